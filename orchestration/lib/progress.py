"""What a run shows while it works: a bar with counts and elapsed time on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_LONGEST_WHAT = 36
"""Names of tests can be longer than the line, and would push the count out of it."""

log = logging.getLogger("tenure.progress")


class Progress(Protocol):
    """What the steps of a run report to."""

    def stage(self, title: str) -> None:
        """A stage begins: Load, Build, Check, Publish."""

    def tick(self, done: int, total: int, what: str = "") -> None:
        """`done` of `total` things of the stage are finished; `what` was the last."""

    def line(self, text: str) -> None:
        """Something worth a line of its own."""


class LineProgress:
    """Every line to a function: the plain output without a terminal, and Dagster's log."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._started = time.perf_counter()

    def stage(self, title: str) -> None:
        log.info(title)
        self._write(f"[{time.perf_counter() - self._started:6.1f} s] {title}")

    def tick(self, done: int, total: int, what: str = "") -> None:
        # Of many things each has a line of its own where it is worth one; a step without a number has none.
        if not total:
            self.line(what)

    def line(self, text: str) -> None:
        log.info("  %s", text)
        self._write(f"  {text}")


class RichProgress(AbstractContextManager["RichProgress"]):
    """Lines above, one live bar below, which disappears when the run is over."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._console = console
        self._bar: Bar = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.description:<8}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[what]}", style="dim"),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def stage(self, title: str) -> None:
        log.info(title)
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._console.print(title, style="bold", highlight=False)
        self._task = self._bar.add_task(title.split()[0], total=None, what="")

    def tick(self, done: int, total: int, what: str = "") -> None:
        if self._task is not None:
            short = what if len(what) <= _LONGEST_WHAT else what[: _LONGEST_WHAT - 1] + "…"
            self._bar.update(self._task, completed=done, total=total or None, what=short)

    def line(self, text: str) -> None:
        log.info("  %s", text)
        self._console.print(f"  {text}", highlight=False, markup=False)


def counted(count: int, noun: str) -> str:
    """1 row, 2 rows, 1,234 rows."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
