"""Runs the Dagster job in this process: what `tenure run` does when there is something to do."""

from __future__ import annotations

import logging
import logging.handlers
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.lib import telemetry
from orchestration.lib.running import Failure, StepFailed, TenureRun

if TYPE_CHECKING:
    import dagster as dg

LOG_FILE = "tenure.log"
_INSTANCE_FILE = "tenure_run.yaml"
_LOG_BYTES = 5_000_000

# The same storage as `dagster dev` shows, without what catches the output of each step for its log page: here the
# output is the terminal's.
_INSTANCE_YAML = """\
# Written by Tenure at each run: how `tenure run` opens this directory. Settings of `dagster dev` are in dagster.yaml.
telemetry:
  enabled: false
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""


def execute(run: TenureRun) -> bool:
    """Load, build, check, publish. True when a version was published.

    The outcome is in `run`: `version` or `failures`; the details are in the log file. The caller holds the run lock.
    """
    # A full disk would answer each line of each library's log with a traceback on the terminal.
    logging.raiseExceptions = False
    with _log_to_file(log_path(run)):
        log = logging.getLogger("tenure")
        try:
            _execute(run)
        except StepFailed:
            pass
        except Exception as error:
            log.exception("the run failed")
            if not run.failures:
                run.failures.append(Failure("run", "", f"{type(error).__name__}: {error}"))
        for failure in run.failures:
            log.error("%s %s: %s\n%s", failure.step, failure.where, failure.why, failure.trace)
    return run.version is not None and not run.failures


def log_path(run: TenureRun) -> Path:
    """Where the details of runs are kept."""
    return run.settings.work_dir / "logs" / LOG_FILE


def _execute(run: TenureRun) -> None:
    import dagster as dg

    from orchestration.definitions import build_definitions
    from orchestration.defs.automation import JOB_NAME

    with run.step("prepare"):
        run.progress.stage("Prepare")
        run.parsed()
        definitions = build_definitions(run)
        job = definitions.resolve_job_def(JOB_NAME)
        home = telemetry.prepare_dagster_home(run.settings.dagster_home)
        (home / _INSTANCE_FILE).write_text(_INSTANCE_YAML, encoding="utf-8")
    with _quick_history(), dg.DagsterInstance.from_config(str(home), _INSTANCE_FILE) as instance:
        result = job.execute_in_process(
            instance=instance,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            tags={"tenure/dataset": run.settings.dataset},
        )
    errors = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    if any(error and error.cls_name in ("DagsterExecutionInterruptedError", "KeyboardInterrupt") for error in errors):
        raise KeyboardInterrupt
    if not result.success and not run.failures:
        run.failures += _failures_of(result)


def _failures_of(result: dg.ExecuteInProcessResult) -> list[Failure]:
    """What Dagster itself says went wrong, where no step put anything on record."""
    failures = []
    for event in result.all_events:
        if event.is_step_failure and event.step_failure_data.error:
            error = event.step_failure_data.error
            failures.append(Failure(event.step_key or "run", "", error.message.strip(), trace=error.to_string()))
    return failures or [Failure("run", "Dagster", "the run did not succeed")]


@contextmanager
def _quick_history() -> Iterator[None]:
    """Make Dagster's history, SQLite files in DAGSTER_HOME, not wait for the disk at every event.

    Dagster opens and closes a connection for each of the hundreds of events of a run, several times, and each commit
    and each close of the last connection waits for the disk: measured 30 to 100 ms an event, more than all
    models of a small data set. With write-ahead logs `synchronous = normal` is safe against corruption (a power cut may
    lose the last events), and a connection held open to each file spares the checkpoint at every close.
    """
    import sqlite3

    from sqlalchemy import Engine, event

    held: dict[str, sqlite3.Connection] = {}

    def on_connect(connection: object, _record: object) -> None:
        if not isinstance(connection, sqlite3.Connection):
            return
        connection.execute("pragma synchronous = normal")
        file = str(connection.execute("pragma database_list").fetchone()[2] or "")
        if file and file not in held:
            held[file] = sqlite3.connect(file, check_same_thread=False)
            held[file].execute("select count(*) from sqlite_master").fetchone()

    event.listen(Engine, "connect", on_connect)
    try:
        yield
    finally:
        event.remove(Engine, "connect", on_connect)
        for connection in held.values():
            connection.close()


@contextmanager
def _log_to_file(path: Path) -> Iterator[None]:
    """What a run says, and every warning of the libraries, into a rotating file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=3, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    own = logging.getLogger("tenure")
    own.setLevel(logging.INFO)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        # What a full disk did not take is still in the handler's hands, and would fail once more.
        with suppress(OSError):
            handler.close()
