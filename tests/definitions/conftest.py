"""The definitions of two data sets, each parsed once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import dagster as dg
import pytest

from orchestration.definitions import build_definitions
from orchestration.lib.mapping import load_mapping
from orchestration.lib.progress import LineProgress
from orchestration.lib.running import TenureRun
from orchestration.lib.settings import Settings

DefinitionsOf = Callable[[str], tuple[TenureRun, dg.Definitions]]


@pytest.fixture(scope="session")
def definitions_of(tmp_path_factory: pytest.TempPathFactory) -> DefinitionsOf:
    """The name of a data set → a run in an empty home, and its definitions."""
    home: Path = tmp_path_factory.mktemp("definitions")

    @cache
    def built(dataset: str) -> tuple[TenureRun, dg.Definitions]:
        settings = Settings.resolve(dataset, home)
        run = TenureRun(settings, load_mapping(settings.mapping_path), LineProgress(print))
        return run, build_definitions(run)

    return built
