"""Processes measured from outside: wall and processor seconds, peak memory."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any


@dataclass(frozen=True)
class Measured:
    """One process: seconds on the clock and of the processors, peak resident bytes, and what it printed last."""

    wall: float
    processor: float
    peak_bytes: int
    told: dict[str, Any] = field(default_factory=dict)


def measure(arguments: Sequence[str], *, cwd: Path, is_json: bool = False) -> Measured:
    """Runs Python with these arguments to its end.

    Raises RuntimeError with the end of what it printed when it fails.
    """
    started = time.perf_counter()
    with TemporaryFile("w+") as output:
        process = subprocess.Popen([sys.executable, *arguments], cwd=cwd, stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - started
        output.seek(0)
        printed = output.read()
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}:\n{printed[-3000:]}")
    told = json.loads(printed.strip().splitlines()[-1]) if is_json else {}
    return Measured(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, told)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Slope of log seconds over log size by least squares: 1 is linear."""
    x, y = [math.log(size) for size in sizes], [math.log(value) for value in seconds]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)


def bytes_of(path: Path) -> int:
    """Of a file, or of all files under a folder; links are not followed."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_file() and not file.is_symlink())
