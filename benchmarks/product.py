"""The product's full build, as `tenure run` does it, with the clock read at each stage."""

from __future__ import annotations

import gc
import resource
import time
from pathlib import Path

from orchestration.lib import telemetry


class StageClock:
    """A run's progress that notes when each stage began: (title, wall seconds, processor seconds)."""

    def __init__(self) -> None:
        self.marks: list[tuple[str, float, float]] = []

    def stage(self, title: str) -> None:
        self.marks.append((title, time.perf_counter(), processor_seconds()))

    def tick(self, done: int, total: int, what: str = "") -> None:
        pass

    def line(self, text: str) -> None:
        pass

    def stages(self) -> dict[str, tuple[float, float]]:
        """(wall, processor) seconds of each stage."""
        ends = [*self.marks[1:], ("", time.perf_counter(), processor_seconds())]
        return {
            title: (end - start, cpu_end - cpu)
            for (title, start, cpu), (_, end, cpu_end) in zip(self.marks, ends, strict=True)
        }


def processor_seconds() -> float:
    """Of all threads of this process, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def run(mapping: Path, home: Path) -> dict[str, object]:
    """Runs the data set and returns the seconds of its stages and of its steps, by name.

    Raises RuntimeError with what failed.
    """
    telemetry.turn_off()
    clock = StageClock()
    clock.stage("start Python's libraries")
    gc.set_threshold(200_000, 20, 20)  # as the command does
    from orchestration.lib.executing import execute
    from orchestration.lib.mapping import load_mapping
    from orchestration.lib.running import TenureRun
    from orchestration.lib.settings import Settings

    settings = Settings.resolve(str(mapping), home)
    settings.home.mkdir(parents=True, exist_ok=True)
    finished = TenureRun(settings, load_mapping(settings.mapping_path), clock, is_own_process=True)
    if not execute(finished):
        raise RuntimeError("\n".join(f"{failure.where}: {failure.why}" for failure in finished.failures))
    steps = {step.step: step.seconds for step in finished.state.record().steps}
    return {"stages": clock.stages(), "steps": steps}
