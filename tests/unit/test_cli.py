"""The command line, as far as it goes without building anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from orchestration.cli import app
from orchestration.lib.settings import PROJECT_ROOT

MAPPING = """
dataset: shop
business_timezone: Europe/Berlin
reporting_currency: EUR
sources:
  sales: landing/*.csv
orders:
  from: sales
  columns: {order_id: order_no, customer_id: customer, ordered_at: day, amount: total}
"""


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing/a.csv").write_text("order_no,customer,day,total\n1,anna,2024-01-05,12.50\n")
    path = tmp_path / "shop.yml"
    path.write_text(MAPPING)
    return path


def tenure(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def imported_by(code: str) -> set[str]:
    """Names of top-level modules that are imported after running `code` in a new process."""
    printed = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sorted(sys.modules))"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return {name.split(".")[0] for name in printed.split()}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["check-mapping", "--help"], ["tiers", "simulate", "-h"]]
)
def test_help(arguments: list[str]) -> None:
    result = tenure(*arguments)
    assert result.exit_code == 0
    assert "Usage: " in result.output


def test_version() -> None:
    assert tenure("--version").output == tenure("version").output
    assert tenure("version").output.startswith("tenure ")


def test_help_imports_nothing_heavy() -> None:
    heavy = {"dagster", "dbt", "great_expectations", "duckdb", "pandas", "pydantic", "sqlalchemy", "plotly"}
    assert not imported_by("import orchestration.cli") & heavy


def test_deciding_that_nothing_is_new_imports_nothing_heavy() -> None:
    code = "from orchestration.lib import inputs, lock, mapping, publishing, settings"
    assert not imported_by(code) & {"dagster", "dbt", "great_expectations", "pandas", "sqlalchemy", "plotly"}


def test_importing_the_definitions_reads_no_settings_and_no_project() -> None:
    code = (
        "import os; os.environ['TENURE_DATASET'] = 'there is no such data set'; "
        "import orchestration.definitions, orchestration.lib.executing"
    )
    assert "great_expectations" not in imported_by(code)


def test_datasets_lists_every_mapping() -> None:
    result = tenure("datasets")
    assert result.exit_code == 0
    for path in (PROJECT_ROOT / "datasets").glob("*.yml"):
        assert path.stem in result.output


def test_a_data_set_that_is_not_there() -> None:
    result = tenure("run", "--dataset", "nowhere")
    assert result.exit_code == 1
    assert "There is no mapping for the data set 'nowhere'" in result.output
    assert "complete_journey" in result.output
    assert "Traceback" not in result.output


def test_check_mapping_says_what_it_found_and_writes_nothing(mapping: Path) -> None:
    before = sorted(mapping.parent.rglob("*"))
    result = tenure("check-mapping", mapping)
    assert result.exit_code == 0, result.output
    assert "sales: order_no, customer, day, total" in result.output
    assert "fits its files" in result.output
    assert sorted(mapping.parent.rglob("*")) == before


def test_check_mapping_names_the_column_that_does_not_exist(mapping: Path) -> None:
    mapping.write_text(MAPPING.replace("amount: total", "amount: totl"))
    result = tenure("check-mapping", mapping)
    assert result.exit_code == 1
    for part in ("shop.yml", "orders", "amount", "totl", "order_no"):
        assert part in result.output
    assert "Traceback" not in result.output


def test_before_the_first_run(tmp_path: Path) -> None:
    result = tenure("versions", "--home", tmp_path)
    assert (result.exit_code, "No version is published" in result.output) == (0, True)
    result = tenure("report", "--home", tmp_path)
    assert (result.exit_code, "No version is published" in result.output) == (1, True)


def test_a_second_run_says_who_is_running(mapping: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    code = (
        "import sys; from pathlib import Path; from orchestration.lib.lock import run_lock\n"
        "with run_lock(Path(sys.argv[1]), 'cdnow'): print('held', flush=True); sys.stdin.readline()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(home / ".lock")],
        cwd=PROJECT_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    result = tenure("run", "--dataset", mapping, "--home", home)
    process.communicate("\n")
    assert result.exit_code == 1
    assert f"Another run is under way: process {process.pid}, data set 'cdnow', since 20" in result.output


def test_make_alone_prints_what_there_is() -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    result = subprocess.run(["make"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True, env=environment)
    for target in ("run", "test", "dev", "lint", "clean"):
        assert f"\n  {target} " in result.stdout
    assert not result.stderr
