"""dbt's unit tests, which stand beside the models and are not run with every load."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from orchestration.lib.settings import PROJECT_ROOT


def test_every_dbt_unit_test_passes(cdnow_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    for name in ("warehouse.duckdb", "marts.duckdb"):
        shutil.copy(cdnow_home / "work" / "cdnow" / name, tmp_path / name)
    monkeypatch.setenv("TENURE_WORK", str(tmp_path))
    project = str(PROJECT_ROOT / "dbt_project")
    result = dbtRunner().invoke(
        ["--quiet", "test", "--select", "test_type:unit", "--project-dir", project, "--profiles-dir", project,
         "--target-path", str(tmp_path / "target"), "--log-path", str(tmp_path / "logs")]
    )  # fmt: skip
    DuckDBConnectionManager.close_all_connections()

    outcomes = {node.node.name: node for node in result.result if node.node.resource_type == "unit_test"}
    assert [f"{name}: {node.message}" for name, node in outcomes.items() if str(node.status) != "pass"] == []
    written = PROJECT_ROOT.glob("dbt_project/models/**/*.yml")
    assert len(outcomes) == sum(path.read_text().count("    model: ") for path in written)
