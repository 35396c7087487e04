"""One run at a time: an advisory lock on `$TENURE_HOME/.lock` that says who holds it.

The kernel drops the lock with its process, however the process ends: there is no stale lock to remove by hand.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from orchestration.lib.errors import UserError


@dataclass(frozen=True)
class Holder:
    """The process that holds the lock. `since` is an ISO 8601 time in UTC."""

    pid: int
    dataset: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid}, data set '{self.dataset}', since {self.since}"


class LockHeldError(UserError):
    """Another process holds the run lock."""

    def __init__(self, path: Path, holder: Holder | None) -> None:
        super().__init__(
            f"Another run is under way: {holder or 'a process that has not said who it is yet'}.",
            f"Wait until it has finished, or end that process: the lock ({path}) goes with it.",
        )
        self.holder = holder


_held: set[Path] = set()
_held_guard = threading.Lock()


@contextmanager
def run_lock(path: Path, dataset: str) -> Iterator[None]:
    """Hold the run lock of a TENURE_HOME; a process that holds it already may enter again.

    Raises LockHeldError, at once, when another process holds it.
    """
    path = path.resolve()
    with _held_guard:
        is_outermost = path not in _held
        _held.add(path)
    if not is_outermost:
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a+", encoding="utf-8") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LockHeldError(path, _read(path)) from error
            me = Holder(os.getpid(), dataset, datetime.now(UTC).isoformat(timespec="seconds"))
            handle.truncate(0)
            handle.write(json.dumps(asdict(me)) + "\n")
            handle.flush()
            yield
            handle.truncate(0)
    finally:
        with _held_guard:
            _held.discard(path)


def holder(path: Path) -> Holder | None:
    """Who seems to hold the lock, without touching it: trying it would make a run that starts just then fail."""
    found = _read(path)
    if found is None or not Path(f"/proc/{found.pid}").exists():
        return None
    return found


def _read(path: Path) -> Holder | None:
    """The holder that the file names; None in the instant between taking the lock and writing it down."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
