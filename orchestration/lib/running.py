"""What the steps of one run share: settings, mapping, the parsed dbt project, progress, and how each step ended."""

from __future__ import annotations

import json
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import yaml

from orchestration.lib.dbt import DbtPlace, ParsedProject, Phase, parse
from orchestration.lib.errors import UserError
from orchestration.lib.progress import Progress
from orchestration.lib.run_state import RunState

if TYPE_CHECKING:
    from orchestration.lib.backfilling import Span
    from orchestration.lib.mapping import Mapping as DatasetMapping
    from orchestration.lib.publishing import Version
    from orchestration.lib.settings import Settings


@dataclass(frozen=True)
class Failure:
    """One thing that went wrong, in words for the person who started the run.

    `rows` are a few of the offending rows, `trace` is for the log.
    """

    step: str
    where: str
    why: str
    rows: Sequence[Mapping[str, Any]] = ()
    trace: str = ""


class StepFailed(Exception):
    """A step ended with failures that are on record already."""


@dataclass
class TenureRun:
    """One run of a data set in this process. `figures` are the totals for the table at the end.

    With `is_own_process` the caller started Dagster here and shows `progress` itself; else each step says what it does
    in Dagster's log. With `is_full_refresh` every table is built anew from the raw rows; a `backfill` names the days of
    which it was noted that they are computed anew. `built` are the phases of the dbt project that it built whole,
    in their order.
    """

    settings: Settings
    mapping: DatasetMapping
    progress: Progress
    is_own_process: bool = False
    is_full_refresh: bool = False
    backfill: Span | None = None
    project: ParsedProject | None = None
    failures: list[Failure] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)
    built: list[Phase] = field(default_factory=list)
    version: Version | None = None

    @property
    def kind(self) -> str:
        """What the run log calls it: `run`, `full refresh`, or `backfill` with the days."""
        if self.backfill is not None:
            return f"backfill {self.backfill}"
        return "full refresh" if self.is_full_refresh else "run"

    @cached_property
    def state(self) -> RunState:
        return RunState.read(self.settings.work_dir)

    @cached_property
    def place(self) -> DbtPlace:
        return place_of(self.settings, self.mapping)

    def parsed(self) -> ParsedProject:
        """The dbt project, parsed once per process."""
        if self.project is None:
            self.project = parse(self.place)
        return self.project

    def variables(self) -> dict[str, Any]:
        """dbt's variables with their defaults, as the mapping overrides them."""
        return variables_of(self.settings, self.mapping)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Whatever is raised inside becomes a Failure on record, once, and goes on as StepFailed."""
        started = time.perf_counter()
        try:
            yield
        except StepFailed:
            raise
        except UserError as error:
            failure = Failure(name, "", str(error), trace=traceback.format_exc())
            self._note_failure(failure, started)
            raise StepFailed(describe(failure)) from None
        except Exception as error:
            failure = Failure(name, "", _words(error), trace=traceback.format_exc())
            self._note_failure(failure, started)
            raise StepFailed(describe(failure)) from error

    def _note_failure(self, failure: Failure, started: float) -> None:
        """On record for the person who started the run, and for the run log."""
        from orchestration.lib.publishing import RunStep

        self.failures.append(failure)
        # A load that fails leaves the state as it was before it, and is on record there.
        if failure.step in ("build", "fit", "check", "publish", "serve"):
            with suppress(OSError):
                self.state.add_steps([RunStep(failure.step, None, round(time.perf_counter() - started, 3), "failed")])

    def fail(self, *failures: Failure) -> None:
        """Put failures on record and end the step."""
        self.failures += failures
        raise StepFailed("\n\n".join(describe(failure) for failure in failures))


def place_of(settings: Settings, mapping: DatasetMapping) -> DbtPlace:
    """Where dbt reads and builds for a data set."""
    return DbtPlace(
        project_dir=settings.dbt_dir,
        work_dir=settings.work_dir,
        target_dir=settings.target_dir,
        variables=mapping.dbt_vars(),
        seeds=mapping.seed_paths(),
    )


def variables_of(settings: Settings, mapping: DatasetMapping) -> dict[str, Any]:
    """dbt's variables with their defaults, as the mapping overrides them."""
    declared = yaml.safe_load((settings.dbt_dir / "dbt_project.yml").read_text(encoding="utf-8"))
    return {**declared.get("vars", {}), **mapping.dbt_vars()}


def describe(failure: Failure) -> str:
    """Plain text: what failed, where, why, and the rows."""
    head = f"{failure.where}: {failure.why}" if failure.where else failure.why
    return "\n".join([head, *(f"  {one_line(row)}" for row in failure.rows)])


def one_line(row: Mapping[str, Any]) -> str:
    """A row as name=value, in the order of its columns."""
    return ", ".join(f"{name}={value}" for name, value in row.items())


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a Markdown table; '' for none. Columns are those of the first row."""
    if not rows:
        return ""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    for row in rows:
        cells = (str(row.get(name, "")).replace("|", "\\|").replace("\n", " ") for name in names)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def as_json(value: Any) -> Any:
    """The value with everything that JSON has no form for written out as text."""
    return json.loads(json.dumps(value, default=str))


def _words(error: Exception) -> str:
    text = str(error).strip()
    return (
        text if text and isinstance(error, RuntimeError | ValueError | OSError) else f"{type(error).__name__}: {text}"
    )
