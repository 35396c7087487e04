"""No usage statistics leave this machine: dbt, Dagster and Great Expectations are told so wherever they start."""

from __future__ import annotations

import os
from pathlib import Path

_OFF = {
    "DO_NOT_TRACK": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "GX_ANALYTICS_ENABLED": "false",
    # Dagster's web page asks a server for news otherwise.
    "DAGSTER_DISABLE_TELEMETRY": "1",
}

_DAGSTER_YAML = """\
# Written by Tenure when missing; yours to change, but for the first entry.
telemetry:
  enabled: false
nux:
  enabled: false
# One warehouse file, one writer: runs queue up behind each other.
concurrency:
  runs:
    max_concurrent_runs: 1
"""


def turn_off() -> None:
    """Set the environment of this process and its children; cheap, to be called first."""
    os.environ.update(_OFF)


def prepare_dagster_home(dagster_home: Path) -> Path:
    """Create DAGSTER_HOME with a dagster.yaml that has telemetry off; an existing file is kept."""
    dagster_home.mkdir(parents=True, exist_ok=True)
    path = dagster_home / "dagster.yaml"
    if not path.exists():
        path.write_text(_DAGSTER_YAML, encoding="utf-8")
    return dagster_home
