"""The command `tenure` as a process of its own, that a test can watch and kill.

The processes are forked from a server that has imported the big libraries once: a run then takes half of its time. What
runs is the command itself; the one thing that is ours is where it writes its output.
"""

from __future__ import annotations

import io
import logging
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import MappingProxyType

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.support.preloaded"])
_starting = threading.Lock()


@dataclass
class Tenure:
    """A running or ended `tenure …`; `output` is what it wrote to both streams."""

    process: BaseProcess
    output_path: Path

    @classmethod
    def start(
        cls,
        output_path: Path,
        *arguments: str | Path,
        kill_at: str | None = None,
        pause_at: str | None = None,
    ) -> Tenure:
        """Starts it. At the very moment at which it writes a line with this text it is killed, or stopped until
        `go_on`.
        """
        output_path.write_text("")
        given = [str(argument) for argument in arguments]
        signals = {kill_at: signal.SIGKILL, pause_at: signal.SIGSTOP}
        process = _CONTEXT.Process(target=_run, args=(given, str(output_path), signals))
        with _starting:
            process.start()
        return cls(process, output_path)

    @property
    def output(self) -> str:
        return self.output_path.read_text()

    def wait(self, seconds: float = 300) -> int:
        """The exit code; negative is a signal."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"still at work after {seconds} s:\n{self.output}"
        return self.process.exitcode

    def wait_until_paused(self, seconds: float = 300) -> None:
        until = time.monotonic() + seconds
        while Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            assert self.process.is_alive() and time.monotonic() < until, (
                f"never came to where it pauses:\n{self.output}"
            )
            time.sleep(0.01)

    def go_on(self) -> None:
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        if self.process.is_alive():
            self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)


class _Output(io.TextIOWrapper):
    """Sends the process a signal as soon as a text is written."""

    signals: Mapping[str | None, signal.Signals] = MappingProxyType({})

    def write(self, text: str) -> int:
        written = super().write(text)
        for marker, number in self.signals.items():
            if marker is not None and marker in text:
                self.flush()
                os.kill(os.getpid(), number)
        return written


def _run(arguments: list[str], output_path: str, signals: dict[str | None, signal.Signals]) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    descriptor = os.open(output_path, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    sys.stdout = _Output(io.FileIO(1, "w", closefd=False), write_through=True)
    sys.stdout.signals = signals
    sys.stderr = _Output(io.FileIO(2, "w", closefd=False), write_through=True)
    # Importing the libraries set up logging of their own, which comes later in a run that imports them itself.
    logging.getLogger().handlers.clear()
    from orchestration.cli import app

    app(arguments)
