"""The whole way through Dagster on a small shop: what is published, what stops it, and what a user reads then."""

from __future__ import annotations

import datetime
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from typer.testing import CliRunner, Result

from orchestration.cli import app
from orchestration.definitions import build_definitions
from orchestration.defs.automation import JOB_NAME
from orchestration.lib import inputs
from orchestration.lib.lock import LockHeldError
from orchestration.lib.mapping import load_mapping
from orchestration.lib.progress import LineProgress
from orchestration.lib.running import TenureRun
from orchestration.lib.settings import PROJECT_ROOT, Settings
from tests.unit.test_lock import start_holder

pytestmark = pytest.mark.integration

MAPPING = """
dataset: shop
business_timezone: Europe/Berlin
reporting_currency: EUR
sources:
  sales: {read: landing/*.csv, timezone: Europe/Berlin}
orders:
  from: sales
  columns: {order_id: order_no, customer_id: customer, ordered_at: day, amount: total, currency: "'EUR'"}
"""
ROWS_IN_FILE = 200


def write_sales(path: Path, month: int, bad: int = 0) -> None:
    """A month's file: 200 orders of 40 customers, the last `bad` of them with an amount that is no number."""
    lines = ["order_no,customer,day,total"]
    for number in range(ROWS_IN_FILE):
        day = datetime.date(2024, month, 1 + number % 28)
        total = "twelve" if number >= ROWS_IN_FILE - bad else f"{5 + number % 17}.50"
        lines.append(f"{month}-{number},c{number % 40},{day},{total}")
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the shop: mapping, two months of sales, and a home with version 1 of them."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.yml").write_text(MAPPING)
    write_sales(folder / "landing/2024-01.csv", 1)
    write_sales(folder / "landing/2024-02.csv", 2)
    result = run(folder)
    assert result.exit_code == 0, result.output
    return folder


def run(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(
        app, ["run", "--dataset", str(folder / "shop.yml"), "--home", str(folder / "home"), *options]
    )


def current_manifest(folder: Path) -> dict[str, object]:
    manifest: dict[str, object] = json.loads((folder / "home/current/manifest.json").read_text())
    return manifest


def test_a_data_set_brings_rules_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "shop.yml").write_text(MAPPING + "seeds: {tiers: my/tiers.csv, tier_rules: my/rules.csv}\n")
    write_sales(tmp_path / "landing/2024-01.csv", 1)
    assert "which does not exist" in " ".join(run(tmp_path).output.split())
    (tmp_path / "my").mkdir()
    (tmp_path / "my/tiers.csv").write_text(
        "program_id,tier,tier_rank,benefit_cost_amount\nstandard,visitor,0,0\nstandard,friend,1,2.50\n"
    )
    head = (PROJECT_ROOT / "seeds/tier_rules.csv").read_text().splitlines()[0]
    rule = "standard,1,2000-01-01,friend,orders,{},lifetime,,0,0,full"
    (tmp_path / "my/rules.csv").write_text(f"{head}\n{rule.format(0)}\n")
    refused = run(tmp_path)
    assert refused.exit_code == 1
    assert "line 2: threshold is '0'" in " ".join(refused.output.split())
    assert not (tmp_path / "home/current").exists()
    (tmp_path / "my/rules.csv").write_text(f"{head}\n{rule.format(5)}\n")
    published = run(tmp_path)
    assert published.exit_code == 0, published.output
    tiers = "select tier, count(*) from tiers.member_tiers group by tier"
    with duckdb.connect(str(tmp_path / "home/current/marts.duckdb"), read_only=True) as connection:
        assert connection.execute(tiers).fetchall() == [("friend", 40)]
        # The rules of points that the project has are not of these tiers.
        assert connection.execute("select count(*) from tiers.points_ledger").fetchall() == [(0,)]
    settings, mapping = (
        Settings.resolve(str(tmp_path / "shop.yml"), tmp_path / "home"),
        load_mapping(tmp_path / "shop.yml"),
    )
    before = inputs.fingerprint(settings, mapping).digest
    (tmp_path / "my/rules.csv").write_text(f"{head}\n{rule.format(6)}\n")
    assert inputs.fingerprint(settings, mapping).digest != before


def test_what_is_published(shop: Path) -> None:
    manifest = current_manifest(shop)
    assert manifest["dataset"] == "shop"
    assert manifest["business_timezone"] == "Europe/Berlin"
    checks = manifest["checks"]
    assert isinstance(checks, list)
    assert {check["tool"] for check in checks} == {"dbt", "great_expectations"}
    assert all(check["passed"] for check in checks if check["is_blocking"])
    home = shop / "home"
    with duckdb.connect(str(home / "current/marts.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from core.fct_orders").fetchone() == (2 * ROWS_IN_FILE,)
        steps = dict(connection.execute("select step, row_count from quality.run_log").fetchall())
        assert connection.execute("select distinct status from quality.run_log").fetchall() == [("ok",)]
    assert steps["load sales"] == 2 * ROWS_IN_FILE
    assert steps["build core.fct_orders"] == 2 * ROWS_IN_FILE
    assert any(step.startswith("check ") for step in steps)
    for name in ("report.html", "data_docs/index.html", "parquet/core/fct_orders/2024-02.parquet"):
        assert (home / "current" / name).is_file()


def test_again_with_nothing_new(shop: Path) -> None:
    result = run(shop)
    assert result.exit_code == 0
    assert re.match(r"Nothing new since version 1 \(published \d{4}-\d\d-\d\d \d\d:\d\d UTC\)", result.output)
    assert len(list((shop / "home/versions").glob("[0-9]*"))) == 1


def test_too_much_quarantine_stops_publishing_and_says_why(shop: Path) -> None:
    before = current_manifest(shop)
    march = shop / "landing/2024-03.csv"
    write_sales(march, 3, bad=60)
    result = run(shop)
    assert result.exit_code == 1
    assert "checks did not pass" in result.output
    said = " ".join(re.sub(r"[│╭╰─╮╯]", " ", result.output).split())
    assert "quality.load_accounting, rule" in said
    assert "max_quarantined_share" in said
    assert "quarantined_count=60" in said
    assert "Nothing was published" in said
    assert "still shows version 1 (shop)" in said
    assert "Traceback" not in result.output
    assert current_manifest(shop) == before
    assert "quarantined" in (shop / "home/work/shop/logs/tenure.log").read_text()

    write_sales(march, 3)
    assert run(shop).exit_code == 0
    assert current_manifest(shop)["version"] == 2
    with duckdb.connect(str(shop / "home/current/marts.duckdb"), read_only=True) as connection:
        logged = connection.execute(
            "select step, status from quality.run_log where version is null and (step = 'run' or status = 'failed')"
        ).fetchall()
    assert sorted(logged) == [("check quality.load_accounting", "failed"), ("run", "failed")]


def test_a_mapping_that_does_not_fit_changes_nothing(shop: Path) -> None:
    before = current_manifest(shop)
    path = shop / "shop.yml"
    path.write_text(MAPPING.replace("amount: total", "amount: totl"))
    try:
        result = run(shop)
    finally:
        path.write_text(MAPPING)
    assert result.exit_code == 1
    assert "failed while loading the raw files" in result.output
    assert "totl" in result.output
    assert "Traceback" not in result.output
    assert current_manifest(shop) == before


def test_ctrl_c_ends_it_at_once_and_leaves_the_version(shop: Path) -> None:
    command = [sys.executable, "-m", "orchestration.cli", "run", "--dataset", str(shop / "shop.yml")]
    process = subprocess.Popen(
        [*command, "--home", str(shop / "interrupted")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        if "seeds." in line and not any("seeds." in earlier for earlier in said):
            process.send_signal(signal.SIGINT)
        said.append(line)
    assert process.wait(timeout=60) == 130, "".join(said)
    assert said[-1].startswith("Interrupted"), "".join(said)
    assert not (shop / "interrupted/current").exists()


def test_a_part_built_from_dagsters_page(shop: Path) -> None:
    """One table and its checks can be built alone; a version is only made of what was all built and checked."""
    settings = Settings.resolve(str(shop / "shop.yml"), shop / "home")
    tenure_run = TenureRun(settings, load_mapping(settings.mapping_path), LineProgress(print))
    definitions = build_definitions(tenure_run)
    everything = definitions.resolve_implicit_global_asset_job_def()
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

    with dg.instance_for_test() as instance:
        key = dg.AssetKey(["core", "dim_dates"])
        result = everything.execute_in_process(
            asset_selection=[key], instance=instance, raise_on_error=False, run_config=quiet
        )
        assert result.success
        assert {event.asset_key for event in result.get_asset_materialization_events()} == {key}
        checks = result.get_asset_check_evaluations()
        assert checks and all(check.passed and check.asset_key == key for check in checks)

        published = [dg.AssetKey(["published", name]) for name in ("version", "report")]
        result = everything.execute_in_process(
            asset_selection=published, instance=instance, raise_on_error=False, run_config=quiet
        )
        assert not result.success
        [failure] = [event for event in result.all_events if event.is_step_failure]
        reason = failure.step_failure_data.error
        assert reason and reason.cause and "not checked since the last build" in reason.cause.message

        result = definitions.resolve_job_def(JOB_NAME).execute_in_process(
            instance=instance, raise_on_error=False, run_config=quiet
        )
        assert result.success
        materialized = {event.asset_key for event in result.get_asset_materialization_events()}
        assert set(published) <= materialized
        rows = instance.get_latest_materialization_event(dg.AssetKey(["core", "fct_orders"]))
        assert rows and rows.asset_materialization
        assert rows.asset_materialization.metadata["dagster/row_count"].value
        evaluated = {check.check_name for check in result.get_asset_check_evaluations()}
        assert "expectations" in evaluated and len(evaluated) > 1


def test_a_run_that_dagster_starts_respects_the_lock(shop: Path) -> None:
    settings = Settings.resolve(str(shop / "shop.yml"), shop / "home")
    tenure_run = TenureRun(settings, load_mapping(settings.mapping_path), LineProgress(print))
    job = build_definitions(tenure_run).resolve_job_def(JOB_NAME)
    process = start_holder(settings.lock_path)
    with pytest.raises(dg.DagsterError) as error:
        job.execute_in_process(run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}})
    process.communicate("\n")
    assert isinstance(error.value.__cause__, LockHeldError)
