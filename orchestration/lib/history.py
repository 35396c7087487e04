"""What past runs left in Dagster's history and in logs: it does not grow for ever, and holds nobody who was erased."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg

KEPT_RUNS = 100
_LONGEST_START = timedelta(minutes=10)
"""A run that has not taken the run lock after this time never will."""


def tidy(instance: dg.DagsterInstance, own_run_id: str, erased_at: datetime | None, keep: int = KEPT_RUNS) -> None:
    """Remove the oldest runs but `keep`, and those from before the last erasure, whose checks may show failing rows.

    To be called by who holds the run lock, with the id of its own run.
    """
    records = instance.get_run_records()
    old = [record for record in records[keep:] if record.dagster_run.is_finished]
    tainted = [record for record in records if erased_at is not None and record.create_timestamp < _utc(erased_at)]
    going = {record.dagster_run.run_id for record in [*old, *tainted]} - {own_run_id}
    for run_id in going:
        instance.delete_run(run_id)
    folder = Path(instance.root_directory) / "history"
    for run_id in going:
        for path in (folder / "runs").glob(f"{run_id}.db*"):
            path.unlink(missing_ok=True)
    tainted_ids = {record.dagster_run.run_id for record in tainted} - {own_run_id}
    if tainted_ids:
        _forget(folder, tainted_ids)


def close_dead_runs(instance: dg.DagsterInstance, own_run_id: str | None = None) -> None:
    """Mark runs as failed that are under way in the history although nobody holds the run lock but the caller.

    What kills a process leaves its run so, and Dagster's queue would wait for it for ever.
    """
    import dagster as dg

    under_way = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])
    for record in instance.get_run_records(under_way):
        is_starting = datetime.now(UTC) - _utc(record.create_timestamp) < _LONGEST_START
        if record.dagster_run.run_id != own_run_id and not is_starting:
            instance.report_run_failed(record.dagster_run, "The process of this run ended without saying so.")


def _forget(folder: Path, run_ids: set[str]) -> None:
    """Removes from Dagster's SQLite files what deleting a run leaves: checks' evaluations, and the freed pages."""
    for path in (folder / "runs.db", folder / "runs" / "index.db"):
        if not path.is_file():
            continue  # the history is kept elsewhere
        with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as connection:
            if path.name == "index.db":
                connection.executemany(
                    "delete from asset_check_executions where run_id = ?", [(run_id,) for run_id in run_ids]
                )
            connection.execute("vacuum")
            connection.execute("pragma wal_checkpoint(truncate)")


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def forget_logs(work_dir: Path, erased_at: datetime) -> None:
    """Empties log files that were begun before the last erasure, and removes data docs from then: they show rows."""
    logs = sorted((work_dir / "logs").glob("tenure.log*"))
    if any(_begun_before(path, erased_at) for path in logs):
        for path in [*logs, *(work_dir / "logs").glob("dbt.log*")]:
            # Not removed: this process may have it open, to go on writing to it.
            path.write_bytes(b"")
    index = work_dir / "data_docs" / "index.html"
    if index.is_file() and datetime.fromtimestamp(index.stat().st_mtime, UTC) < erased_at:
        shutil.rmtree(index.parent)


def _begun_before(path: Path, moment: datetime) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        first = file.readline()
    try:
        return datetime.strptime(first[:19], "%Y-%m-%d %H:%M:%S").astimezone(UTC) < moment
    except ValueError:
        return bool(first)  # the rest of an entry of several lines, cut off by rotation
