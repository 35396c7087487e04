"""What past runs left: trimmed, forgotten after an erasure, and closed when their process died."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from orchestration.lib import history

SECRET = "anna-who-asked-to-be-erased"


@dg.asset
def orders() -> None: ...


@dg.asset_check(asset=orders)
def has_no_bad_rows() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, metadata={"failing rows": SECRET})


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made


def run(instance: dg.DagsterInstance) -> str:
    """A run whose check shows failing rows; its id."""
    job = dg.Definitions(
        assets=[orders], asset_checks=[has_no_bad_rows], executor=dg.in_process_executor
    ).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, raise_on_error=False).run_id


def run_ids(instance: dg.DagsterInstance) -> list[str]:
    return [record.dagster_run.run_id for record in instance.get_run_records()]


def files_with(text: str, folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes())


def test_the_newest_runs_are_kept(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    made = [run(instance) for _ in range(4)]
    history.tidy(instance, own_run_id=made[-1], erased_at=None, keep=2)
    assert run_ids(instance) == [made[3], made[2]]
    assert {path.name.split(".")[0] for path in tmp_path.glob("history/runs/*.db")} == {*made[2:], "index"}


def test_after_an_erasure_nothing_on_disk_tells_of_the_customer(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    run(instance)
    assert files_with(SECRET, tmp_path)
    erased_at = datetime.now(UTC)
    after = run(instance)
    history.tidy(instance, own_run_id=after, erased_at=erased_at)
    assert run_ids(instance) == [after]
    shown_since = {name.split(".")[0] for name in files_with(SECRET, tmp_path)}
    assert shown_since == {after, "index"}

    history.tidy(instance, own_run_id="", erased_at=datetime.now(UTC))
    assert run_ids(instance) == []
    assert files_with(SECRET, tmp_path) == []


def test_a_run_whose_process_died_is_closed_and_one_that_starts_is_not(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = dg.Definitions(assets=[orders]).resolve_implicit_global_asset_job_def()
    dead, own = (str(uuid.uuid4()) for _ in range(2))
    for run_id in (dead, own):
        instance.create_run_for_job(job, run_id=run_id, status=dg.DagsterRunStatus.STARTED)

    def statuses() -> dict[str, str]:
        return {each.dagster_run.run_id: each.dagster_run.status.value for each in instance.get_run_records()}

    history.close_dead_runs(instance, own)
    assert statuses() == {dead: "STARTED", own: "STARTED"}, "it may be about to take the lock"
    monkeypatch.setattr(history, "_LONGEST_START", timedelta(0))
    history.close_dead_runs(instance, own)
    assert statuses() == {dead: "FAILURE", own: "STARTED"}


def test_logs_and_data_docs_from_before_an_erasure(tmp_path: Path) -> None:
    logs, docs = tmp_path / "logs", tmp_path / "data_docs"
    logs.mkdir()
    docs.mkdir()
    now = datetime.now().astimezone()
    for name in ("tenure.log", "tenure.log.1", "dbt.log"):
        (logs / name).write_text(f"{now:%Y-%m-%d %H:%M:%S},123 ERROR tenure: {SECRET}\n")
    (docs / "index.html").write_text(SECRET)

    history.forget_logs(tmp_path, erased_at=now - timedelta(minutes=1))
    assert files_with(SECRET, tmp_path) == ["dbt.log", "index.html", "tenure.log", "tenure.log.1"]
    history.forget_logs(tmp_path, erased_at=now + timedelta(minutes=1))
    assert files_with(SECRET, tmp_path) == []
