"""The documentation is true: its examples run, its tables are complete, its links lead somewhere.

What a fenced block is for stands after its language:

    sql                 runs on the marts of Complete Journey; `sql cdnow` on those of CDNOW
    python              runs where ./warehouse is the home of Complete Journey
    bash cdnow          runs where ./warehouse is the home of CDNOW and ./seeds the project's seeds
    bash example        a step of the README's worked example, in order; `exit=1` where it has to fail
    csv file=NAME       a raw file of the recipe whose mapping, `yaml recipe`, comes next
    text output         what the block before it prints: each line is found in it, … stands for anything
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
import yaml

from orchestration.lib.contract import contract_tables
from orchestration.lib.mapping import Feed, Mapping, Source
from orchestration.lib.settings import PROJECT_ROOT
from tests.support.shop import Shop

PAGES = [*sorted(PROJECT_ROOT.glob("*.md")), *sorted((PROJECT_ROOT / "docs").glob("*.md"))]
README = PROJECT_ROOT / "README.md"
MAPPING = PROJECT_ROOT / "docs" / "mapping.md"


@dataclass(frozen=True)
class Block:
    """A fenced block. `output` is the `text output` block that follows it, '' for none."""

    page: Path
    line: int
    language: str
    words: tuple[str, ...]
    content: str
    output: str = ""

    @property
    def id(self) -> str:
        return f"{self.page.name}:{self.line}"

    def value(self, name: str) -> str | None:
        return next((word.partition("=")[2] for word in self.words if word.startswith(f"{name}=")), None)


def blocks(page: Path) -> list[Block]:
    """Fenced blocks of a page, each with the output that is promised for it."""
    text = page.read_text(encoding="utf-8")
    found: list[Block] = []
    for match in re.finditer(r"^```(\w+)([^\n]*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        language, words, content = match[1], tuple(match[2].split()), match[3]
        if language == "text" and words == ("output",):
            found[-1] = Block(**{**vars(found[-1]), "output": content})
        else:
            found.append(Block(page, text[: match.start()].count("\n") + 1, language, words, content))
    return found


def all_blocks(language: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page) if block.language == language]


def missing_lines(promised: str, printed: str) -> list[str]:
    """Lines that were promised and not printed, in this order. How wide a column is does not matter."""
    rest, missing = [_plain(line) for line in printed.splitlines()], []
    for line in filter(None, map(_plain, promised.splitlines())):
        pattern = ".*".join(map(re.escape, line.split("…")))
        place = next((i for i, candidate in enumerate(rest) if re.search(pattern, candidate)), None)
        if place is None:
            missing.append(line)
        else:
            rest = rest[place + 1 :]
    return missing


def _plain(line: str) -> str:
    if re.fullmatch(r"[─┌┐└┘├┤┬┴┼]+", line.strip()):
        return ""
    return " ".join(line.split())


@pytest.mark.parametrize("block", all_blocks("sql"), ids=lambda block: block.id)
def test_sql_runs_on_the_published_marts(block: Block, request: pytest.FixtureRequest) -> None:
    marts = request.getfixturevalue("cdnow" if "cdnow" in block.words else "complete_journey")
    printed = [str(marts.sql(statement)) for statement in block.content.split(";") if statement.strip()]
    assert printed
    assert missing_lines(block.output, "\n".join(printed)) == []


@pytest.mark.parametrize("block", all_blocks("python"), ids=lambda block: block.id)
def test_python_runs_in_the_folder_of_the_warehouse(block: Block, complete_journey_home: Path, tmp_path: Path) -> None:
    (tmp_path / "warehouse").symlink_to(complete_journey_home)
    ran = subprocess.run(
        [sys.executable, "-c", block.content], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    assert missing_lines(block.output, ran.stdout) == []


@pytest.mark.parametrize("block", [b for b in all_blocks("bash") if "cdnow" in b.words], ids=lambda block: block.id)
def test_a_command_runs_in_the_folder_of_the_warehouse(block: Block, cdnow_home: Path, tmp_path: Path) -> None:
    (tmp_path / "warehouse").symlink_to(cdnow_home)
    (tmp_path / "seeds").symlink_to(PROJECT_ROOT / "seeds")
    paths = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(PROJECT_ROOT)}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TENURE_")} | paths
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.content],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, env=environment,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert missing_lines(block.output, ran.stdout) == [], ran.stdout


@pytest.mark.integration
def test_the_worked_example_of_the_readme(tmp_path: Path) -> None:
    steps = [block for block in blocks(README) if "example" in block.words]
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    # The environment that the tests run in, where the example expects one.
    activate = f'export PATH="{Path(sys.executable).parent}:$PATH"\n'
    (binaries / "activate").write_text(activate)
    folder = tmp_path
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TENURE_")} | {"COLUMNS": "80"}
    assert len(steps) >= 5
    for step in steps:
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{activate}{step.content}"],
            cwd=folder, capture_output=True, text=True, timeout=600, env=environment,
        )  # fmt: skip
        printed = ran.stdout + ran.stderr
        assert ran.returncode == int(step.value("exit") or 0), f"{step.id}: {printed}"
        assert missing_lines(step.output, printed) == [], f"{step.id}: {printed}"
        folder = tmp_path / "my_shop"


@dataclass(frozen=True)
class Recipe:
    title: str
    files: dict[str, str]
    mapping: Block


def recipes() -> Iterator[Recipe]:
    files: dict[str, str] = {}
    for block in blocks(MAPPING):
        if name := block.value("file"):
            files[name] = block.content
        elif "recipe" in block.words:
            yield Recipe(block.id, files, block)
            files = {}


@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.title)
def test_a_recipe_of_the_mapping_page(recipe: Recipe, shop: Shop) -> None:
    for name, content in recipe.files.items():
        shop.write(name, content)
    shop.map(**yaml.safe_load(recipe.mapping.content))
    shop.load()
    printed = []
    with duckdb.connect(str(shop.settings.warehouse_path), read_only=True) as connection:
        for table, feeds in shop.mapping.feeds.items():
            mapped = {column for feed in feeds for column in feed.columns}
            columns = [column.name for column in contract_tables()[table].columns if column.name in mapped]
            rejected = f"select count(*) from contract.{table} where reason is not null"
            assert connection.execute(rejected).fetchone() == (0,)
            printed.append(str(connection.sql(f"select {', '.join(columns)} from contract.{table} order by all")))
    assert recipe.mapping.output
    assert missing_lines(recipe.mapping.output, "\n".join(printed)) == [], "\n".join(printed)


def section(page: Path, title: str) -> str:
    """A page's text under a heading, to the next one of its level or above."""
    text = page.read_text(encoding="utf-8")
    match = re.search(rf"^(#+) {re.escape(title)}\n", text, flags=re.MULTILINE)
    assert match, f"{page.name} has no section '{title}'"
    rest = text[match.end() :]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", rest, flags=re.MULTILINE)
    return rest[: end.start()] if end else rest


def table_rows(text: str) -> list[list[str]]:
    """Cells of the Markdown tables of a text, without their heads."""
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    heads = {i - 1 for i, row in enumerate(rows) if all(re.fullmatch(":?-+:?", cell) for cell in row)}
    return [row for i, row in enumerate(rows) if i not in heads and i - 1 not in heads]


def first_code(cell: str) -> str:
    match = re.search("`([^`]+)`", cell)
    return match[1] if match else ""


@pytest.mark.parametrize("table", contract_tables())
def test_the_mapping_page_has_every_contract_column_as_it_is(table: str) -> None:
    text = section(MAPPING, table)
    written = [
        (first_code(name), kind, name.startswith("**"), "*personal*" in meaning)
        for name, kind, meaning in table_rows(text)
    ]
    assert written == [
        (column.name, column.contract_type, column.is_required, column.is_personal)
        for column in contract_tables()[table].columns
    ]
    settings = yaml.safe_load((PROJECT_ROOT / "dbt_project" / "dbt_project.yml").read_text())
    key = re.search(r"Key ([^.]+)\.", text)
    assert key and re.findall("`([^`]+)`", key[1]) == settings["vars"]["contract"][table]["key"]


def test_the_mapping_page_has_every_key_of_a_mapping() -> None:
    keys = {first_code(row[0]) for row in table_rows(section(MAPPING, "Keys"))} - {""}
    assert keys == set(Mapping.model_fields) - {"path", "feeds"} | {"orders"}
    assert {first_code(row[0]) for row in table_rows(section(MAPPING, "Sources"))} == set(Source.model_fields)
    feeds = {first_code(row[0]) for row in table_rows(section(MAPPING, "Feeds"))}
    assert feeds == {field.alias or name for name, field in Feed.model_fields.items()}


def loader_code() -> str:
    files = [
        *sorted((PROJECT_ROOT / "orchestration").rglob("*.py")),
        *sorted((PROJECT_ROOT / "dbt_project").rglob("*.sql")),
    ]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def test_the_mapping_page_has_every_reason_of_quarantine() -> None:
    reasons = [first_code(row[0]) for row in table_rows(section(MAPPING, "What is quarantined"))]
    code = loader_code()
    for reason in reasons:
        variable = "(cannot be read as|has no rate to|through more than|at the same time:|the other is).*"
        stem = re.sub(variable, r"\1", reason)
        assert stem in code, f"no code says '{reason}'"
    said = {
        *re.findall(r"'reason': '([^']+)'", code),
        *re.findall(r"then '(the (?:row|line) [^']+)'", code),
    }
    assert [reason for reason in said if not any(known.startswith(reason.strip()) for known in reasons)] == []


def test_the_error_messages_of_the_mapping_page_are_those_of_the_code() -> None:
    code = loader_code()
    messages = [first_code(row[0]) for row in table_rows(section(MAPPING, "Error messages"))]
    assert messages
    assert [message for message in messages if message not in code] == []


def test_the_readme_lists_the_marts_with_their_rows(complete_journey_home: Path) -> None:
    manifest = json.loads((complete_journey_home / "current" / "manifest.json").read_text())
    written = {first_code(row[0]): row[2] for row in table_rows(section(README, "What you get"))}
    counts = {table: f"{entry['row_count']:,}" for table, entry in manifest["tables"].items()}
    assert written == counts | {"quality.run_log": "grows"}


def test_the_commands_are_all_there_and_those_named_exist() -> None:
    from orchestration.cli import app

    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    commands |= {group.name for group in app.registered_groups if group.name}
    documented = [first_code(row[0]).split()[1] for row in table_rows(section(README, "Commands"))]
    assert sorted(documented) == sorted(commands)
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT_ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        code = "\n".join(block.content for block in blocks(page)) + "\n".join(re.findall("`[^`\n]+`", text))
        assert set(re.findall(r"(?:^|`|&& )tenure ([a-z][a-z-]*)", code, flags=re.MULTILINE)) <= commands, page.name
        assert set(re.findall(r"(?:^|`|&& )make ([a-z]+)", code, flags=re.MULTILINE)) <= targets, page.name


def test_the_bi_settings_let_a_query_read_no_other_file_and_write_none(
    complete_journey_home: Path, tmp_path: Path
) -> None:
    [settings] = [block for block in all_blocks("json") if "connect_args" in block.content and block.page == README]
    script = """
import json, sys
import sqlalchemy
engine = sqlalchemy.create_engine("duckdb:///" + sys.argv[1], **json.loads(sys.argv[2]))
with engine.connect() as connection:
    print(connection.exec_driver_sql("select count(*) from core.dim_customers").scalar())
    for statement in (
        "copy core.dim_dates to 'out.csv'", "from read_text('secret.txt')", "attach 'other.duckdb'",
        "create table core.mine as select 1", "set enable_external_access = true",
    ):
        try:
            connection.exec_driver_sql(statement)
            print("allowed:", statement)
        except Exception as error:
            connection.rollback()
"""
    (tmp_path / "secret.txt").write_text("secret")
    marts = complete_journey_home / "current" / "marts.duckdb"
    ran = subprocess.run(
        [sys.executable, "-c", script, str(marts), settings.content],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (0, "2469\n"), ran.stderr


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"(?<!`)\]\(([^)]+)\)|(?:href|src)=\"([^\"]+)\"", text)
    for link in ("".join(pair) for pair in links):
        if re.match("[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_the_changelog_begins_with_this_version() -> None:
    version = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## (\S+)", (PROJECT_ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert headings[0] == version


def test_examples_name_only_variables_that_there_are() -> None:
    declared = yaml.safe_load((PROJECT_ROOT / "dbt_project" / "dbt_project.yml").read_text())["vars"]
    for name in ("segment_labels", "segment_max_values", "max_quarantined_share", "data_end"):
        assert f"`{name}`" in MAPPING.read_text(encoding="utf-8")
        assert name in declared
