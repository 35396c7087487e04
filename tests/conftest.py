"""What tests share: warehouses built once by the real command, and a small shop to break things in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.support.shop import Shop


def _run(dataset: str, home: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "orchestration.cli", "run", "--dataset", dataset, "--home", str(home)],
        check=True,
        timeout=600,
    )
    return home


@pytest.fixture(scope="session", autouse=True)
def no_database() -> None:
    """The database that a developer publishes to is not for tests."""
    os.environ.pop("TENURE_POSTGRES", None)


@pytest.fixture(scope="session")
def cdnow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TENURE_HOME in which CDNOW was run and published once. Not to be written to."""
    return _run("cdnow", tmp_path_factory.mktemp("cdnow"))


@pytest.fixture(scope="session")
def complete_journey_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TENURE_HOME in which Complete Journey was run and published once. Not to be written to."""
    return _run("complete_journey", tmp_path_factory.mktemp("complete_journey"))


@pytest.fixture(scope="session")
def cdnow(cdnow_home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published marts of CDNOW, read-only."""
    with duckdb.connect(str(cdnow_home / "current" / "marts.duckdb"), read_only=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def complete_journey(complete_journey_home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published marts of Complete Journey, read-only."""
    with duckdb.connect(str(complete_journey_home / "current" / "marts.duckdb"), read_only=True) as connection:
        yield connection


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """An empty data set of a small shop: write files and a mapping, load it, look at staging."""
    return Shop(tmp_path)
