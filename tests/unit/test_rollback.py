"""Going back to an older version, and what the runs after it do."""

from __future__ import annotations

import os
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner, Result

from orchestration.cli import app
from orchestration.lib import inputs, publishing
from orchestration.lib.mapping import load_mapping
from orchestration.lib.settings import Settings
from tests.unit.test_publishing import assert_whole, build_marts, leftovers, publish

MAPPING = """
dataset: {name}
reporting_currency: EUR
sources: {{sales: sales.csv}}
orders:
  from: sales
  columns: {{order_id: order_no, customer_id: customer, ordered_at: day, amount: total}}
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("published")
    (tmp_path / "sales.csv").write_text("order_no,customer,day,total\n1,anna,2024-01-05,12.50\n")
    settings = settings_of(tmp_path / "home", "shop")
    for number in (1, 2):
        build_marts(settings, stamp=number)
        publish(settings, number)
    build_marts(settings, stamp=3)
    publish_of_files(settings, 3)
    return tmp_path


@pytest.fixture
def home(published: Path, tmp_path: Path) -> Path:
    """Versions 1 to 3 of `shop`, the last of which was made of the files that are there now."""
    shutil.copytree(published, tmp_path, symlinks=True, dirs_exist_ok=True)
    return tmp_path / "home"


def settings_of(home: Path, name: str) -> Settings:
    path = home.parent / f"{name}.yml"
    path.write_text(MAPPING.format(name=name))
    return Settings(home=home, dataset=name, mapping_path=path)


def publish_of_files(settings: Settings, number: int) -> None:
    found = inputs.fingerprint(settings, load_mapping(settings.mapping_path))
    publish(settings, number, inputs=found.to_json())


def tenure(home: Path, *arguments: str | int) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments), "--home", str(home)])


def run(home: Path, name: str = "shop") -> str:
    """A run that finds nothing new."""
    result = tenure(home, "run", "--dataset", str(home.parent / f"{name}.yml"))
    assert result.exit_code == 0, result.output
    assert "Nothing new since version" in result.output
    return result.output


def test_it_holds_through_runs_that_find_nothing_new(home: Path) -> None:
    settings = settings_of(home, "shop")
    result = tenure(home, "rollback", 2)
    assert result.exit_code == 0
    assert "shows version 2 (shop, data through 2024-03-30). It stays so until a run of 'shop'" in result.output
    for _ in range(2):
        said = run(home)
        assert "shows version 2, which was rolled back to; `tenure rollback 3` shows the newest" in said
        assert f"Report: {home / 'current' / 'report.html'}" in said
        assert_whole(settings, number=2, stamp=2)


def test_versions_says_so(home: Path) -> None:
    tenure(home, "rollback", 2)
    lines = tenure(home, "versions").output.splitlines()
    assert [line.split()[:2] for line in lines] == [["1", "shop"], ["*", "2"], ["3", "shop"]]
    assert [line.endswith("rolled back to on purpose") for line in lines] == [False, True, False]
    assert all("data through 2024-03-30" in line and "published 20" in line for line in lines)


def test_forward_again(home: Path) -> None:
    tenure(home, "rollback", 1)
    result = tenure(home, "rollback", 3)
    assert "shows version 3" in result.output and "stays so" not in result.output
    assert "rolled back" not in run(home)
    assert leftovers(settings_of(home, "shop")) == []


def test_another_data_set_is_shown_in_between(home: Path) -> None:
    """What is shown again is what the data set was rolled back to, not its newest version."""
    tenure(home, "rollback", 2)
    other = settings_of(home, "other")
    build_marts(other, stamp=4)
    publish_of_files(other, 4)
    assert_whole(other, number=4, stamp=4)
    assert "shows version 2, which was rolled back to" in run(home)
    assert_whole(settings_of(home, "shop"), number=2, stamp=2)
    assert "showed version 2 (shop) and shows version 4 (other) again" in run(home, "other")


def test_a_new_version_ends_it(home: Path) -> None:
    settings = settings_of(home, "shop")
    tenure(home, "rollback", 1)
    assert publishing.rolled_back_to(settings) is not None
    build_marts(settings, stamp=4)
    publish_of_files(settings, 4)
    assert publishing.rolled_back_to(settings) is None
    assert leftovers(settings) == []
    assert "rolled back" not in run(home)
    assert_whole(settings, number=4, stamp=4)


def test_killed_between_the_choice_and_the_link(home: Path) -> None:
    settings = settings_of(home, "shop")
    tenure(home, "rollback", 2)
    publishing._point_current(settings, 3)
    run(home)
    assert_whole(settings, number=2, stamp=2)


def test_no_such_version(home: Path) -> None:
    result = tenure(home, "rollback", 9)
    assert result.exit_code == 1
    assert "there is no version 9" in result.output and "(there is: 1, 2, 3)" in result.output
    assert_whole(settings_of(home, "shop"), number=3, stamp=3)


def test_a_version_that_holds_an_erased_customer_is_not_shown_again(home: Path) -> None:
    """A publish that was killed before it removed the versions from before an erasure: the next run does it."""
    settings = settings_of(home, "shop")
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute("create schema raw; create table raw.erased_customers (erased_at timestamp)")
        connection.execute("insert into raw.erased_customers values (?)", [datetime.now(UTC).replace(tzinfo=None)])
    time.sleep(1.1)  # the manifest states whole seconds
    publish_of_files(settings, 4)
    tenure(home, "rollback", 3)
    run(home)
    assert [version.number for version in publishing.versions(settings)] == [4]
    assert_whole(settings, number=4, stamp=3)


def test_what_a_killed_publish_left_goes_with_the_next_run_that_finds_nothing_new(home: Path) -> None:
    settings = settings_of(home, "shop")
    (settings.versions_dir / ".building-1").mkdir()
    (settings.versions_dir / ".removing-9").mkdir()
    (home / ".current-1").symlink_to("versions/9")
    run(home)
    assert leftovers(settings) == []


@pytest.mark.parametrize(("given", "kept"), [("", 5), ("3", 3)])
def test_how_many_are_kept(home: Path, monkeypatch: pytest.MonkeyPatch, given: str, kept: int) -> None:
    monkeypatch.setenv("TENURE_KEEP", given)
    path = str(home.parent / "shop.yml")
    assert Settings.resolve(path, home).keep == kept
    assert Settings.resolve(path, home, keep=2).keep == 2


@pytest.mark.parametrize("given", ["1", "many"])
def test_too_few_to_keep(home: Path, given: str) -> None:
    os.environ["TENURE_KEEP"] = given
    try:
        result = tenure(home, "run", "--dataset", str(home.parent / "shop.yml"))
    finally:
        del os.environ["TENURE_KEEP"]
    assert result.exit_code == 1
    assert f"{given} is not a number of versions to keep" in result.output
