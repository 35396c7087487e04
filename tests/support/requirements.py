"""What a test needs of the machine: skipped without it, and failed where all is required.

`.ci/run` sets TENURE_REQUIRE_ALL=1, so that nothing goes untested there unseen.
"""

from __future__ import annotations

import os
import shutil
from typing import TypeVar

import pytest

T = TypeVar("T")


def require(found: T | None, what: str) -> T:
    """What was found; else the test is skipped, or fails under TENURE_REQUIRE_ALL=1.

    Args:
        what: what is missing and how to get it, e.g. "PostgreSQL (Debian: apt-get install postgresql)".
    """
    if found is not None:
        return found
    if os.environ.get("TENURE_REQUIRE_ALL") == "1":
        pytest.fail(f"not on this machine, and TENURE_REQUIRE_ALL is set: {what}")
    pytest.skip(f"not on this machine: {what}")


def chromium() -> str:
    """Path of a Chromium to open pages with."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return require(next(filter(None, map(shutil.which, names)), None), "Chromium (Debian: apt-get install chromium)")
