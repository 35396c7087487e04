"""Where things are: the project's own files, and what a run writes under TENURE_HOME."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from orchestration.lib.errors import UserError

PROJECT_ROOT = Path(__file__).resolve().parents[2]
DEFAULT_DATASET = "complete_journey"
DEFAULT_KEEP = 5
_LEAST_KEEP = 2


@dataclass(frozen=True)
class Settings:
    """Paths of one data set's warehouse.

    Attributes:
        home: TENURE_HOME, the directory under which everything a run writes is kept.
        dataset: name of the data set, the stem of its mapping file.
        mapping_path: the mapping file.
        keep: how many published versions of the data set remain.
    """

    home: Path
    dataset: str
    mapping_path: Path
    keep: int = DEFAULT_KEEP

    @classmethod
    def resolve(cls, dataset: str | None = None, home: Path | None = None, keep: int | str | None = None) -> Settings:
        """Settings from arguments, then from TENURE_DATASET, TENURE_HOME and TENURE_KEEP, then the defaults.

        Args:
            dataset: a name in `datasets/`, or the path of a mapping file (ends in .yml or .yaml).
            home: directory for everything that a run writes.
            keep: how many published versions of the data set remain, at least 2.

        Raises:
            UserError: there is no such mapping; names those that there are. Or `keep` is no number from 2 on.
        """
        name = dataset or os.environ.get("TENURE_DATASET") or DEFAULT_DATASET
        root = home or Path(os.environ.get("TENURE_HOME") or "warehouse")
        path = Path(name) if name.endswith((".yml", ".yaml")) else datasets_dir() / f"{name}.yml"
        if not path.is_file():
            raise UserError(
                f"There is no mapping for the data set '{name}': {path} does not exist.",
                f"Known data sets: {', '.join(known_datasets()) or 'none'}. "
                "Name one of these, or give the path of a mapping file.",
            )
        return cls(root.resolve(), path.stem, path.resolve(), _versions_kept(keep or os.environ.get("TENURE_KEEP")))

    @property
    def project_root(self) -> Path:
        return PROJECT_ROOT

    @property
    def dbt_dir(self) -> Path:
        return PROJECT_ROOT / "dbt_project"

    @cached_property
    def work_dir(self) -> Path:
        return self.home / "work" / self.dataset

    @property
    def warehouse_path(self) -> Path:
        """Raw, staging and intermediate tables: private to runs."""
        return self.work_dir / "warehouse.duckdb"

    @property
    def marts_path(self) -> Path:
        """The marts as last built, before they are checked and published."""
        return self.work_dir / "marts.duckdb"

    @property
    def target_dir(self) -> Path:
        return self.work_dir / "target"

    @property
    def data_docs_dir(self) -> Path:
        return self.work_dir / "data_docs"

    @property
    def fits_dir(self) -> Path:
        """Pages on which the fitted models are seen beside the data."""
        return self.work_dir / "fits"

    @property
    def versions_dir(self) -> Path:
        return self.home / "versions"

    @property
    def current(self) -> Path:
        """Symbolic link to the version that readers see."""
        return self.home / "current"

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"

    @property
    def lock_path(self) -> Path:
        return self.home / ".lock"


def _versions_kept(text: int | str | None) -> int:
    """With fewer than 2, a reader that looked `current` up just before a publish can find its version gone."""
    if not text:
        return DEFAULT_KEEP
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < _LEAST_KEEP:
        raise UserError(
            f"{text} is not a number of versions to keep.", f"Give {_LEAST_KEEP} or more (default: {DEFAULT_KEEP})."
        )
    return number


def datasets_dir() -> Path:
    return PROJECT_ROOT / "datasets"


def seeds_dir() -> Path:
    return PROJECT_ROOT / "seeds"


def known_datasets() -> list[str]:
    """Names of the mappings in `datasets/`, sorted."""
    return sorted(path.stem for path in datasets_dir().glob("*.yml"))
