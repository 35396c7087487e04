"""dbt in this process, on a project of two models with a failing and a warning test."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pytest

from orchestration.lib import dbt
from orchestration.lib.dbt import BuildOutcome, DbtError, DbtPlace, NodeOutcome, ParsedProject

PROJECT = """
name: toy
version: "1.0"
profile: toy
model-paths: [models]
macro-paths: [macros]
models:
  toy:
    staging: {+schema: staging, +materialized: view}
    marts: {+schema: core, +materialized: table, +database: marts}
"""
PROFILES = """
toy:
  target: duckdb
  outputs:
    duckdb:
      type: duckdb
      path: "{{ env_var('TENURE_WORK') }}/warehouse.duckdb"
      attach: [{path: "{{ env_var('TENURE_WORK') }}/marts.duckdb", alias: marts}]
      threads: 2
"""
MACRO = "{% macro generate_schema_name(name, node) %}{{ name or target.schema }}{% endmacro %}"
TESTS = """
models:
  - name: numbers
    columns:
      - name: number
        data_tests:
          - not_null
          - accepted_values: {name: small_numbers, arguments: {values: [0, 1, 2], quote: false}}
          - accepted_values:
              name: even_numbers
              arguments: {values: [0, 2, 4], quote: false}
              config: {severity: warn}
"""


@pytest.fixture
def place(tmp_path: Path) -> DbtPlace:
    project = tmp_path / "project"
    for folder in ("models/staging", "models/marts", "macros"):
        (project / folder).mkdir(parents=True)
    (project / "dbt_project.yml").write_text(PROJECT)
    (project / "profiles.yml").write_text(PROFILES)
    (project / "macros/generate_schema_name.sql").write_text(MACRO)
    (project / "models/staging/stg_numbers.sql").write_text(
        "select range as number from range({{ var('how_many', 3) }})"
    )
    (project / "models/marts/numbers.sql").write_text("select number from {{ ref('stg_numbers') }}")
    (project / "models/marts/numbers.yml").write_text(TESTS)
    work = tmp_path / "work"
    return DbtPlace(project, work, work / "target", {"how_many": 4})


def build(place: DbtPlace, **options: object) -> tuple[ParsedProject, BuildOutcome]:
    project = dbt.parse(place)
    return project, dbt.build(place, project, **options)  # type: ignore[arg-type]


def test_outcomes_rows_and_failing_rows(place: DbtPlace) -> None:
    seen: list[tuple[int, int, NodeOutcome]] = []
    _, outcome = build(place, on_node=lambda done, total, node: seen.append((done, total, node)))

    by_name = {node.name: node for node in outcome.nodes}
    assert not outcome.is_success
    assert outcome.error is None
    assert (by_name["numbers"].table, by_name["numbers"].status) == ("core.numbers", "success")
    assert by_name["numbers"].row_count == 4, "the variable of the mapping arrives"
    assert by_name["stg_numbers"].row_count is None, "a view is not computed for its count"
    assert by_name["small_numbers"].status == "fail"
    assert by_name["small_numbers"].failure_count == 1
    assert by_name["small_numbers"].table == "core.numbers"
    assert by_name["even_numbers"].status == "warn"
    assert [node.name for node in outcome.failures] == ["small_numbers"]
    assert dbt.failing_rows(place, by_name["small_numbers"]) == [{"value_field": 3, "n_records": 1}]

    assert [done for done, _, _ in seen] == [1, 2, 3, 4, 5]
    assert {total for _, total, _ in seen} == {5}
    assert {node.name: node.row_count for _, _, node in seen if node.name == "numbers"} == {"numbers": 4}


def test_the_files_can_be_opened_afterwards_by_readers_and_by_a_second_build(place: DbtPlace) -> None:
    project, _ = build(place)
    for path in (place.warehouse_path, place.marts_path):
        with duckdb.connect(str(path), read_only=True) as connection:
            connection.execute("select 1")
    assert len(dbt.build(place, project).nodes) == 5
    assert "TENURE_WORK" not in os.environ


def test_a_selection_builds_no_more_than_that(place: DbtPlace) -> None:
    _, outcome = build(place, select=["stg_numbers"], indirect_selection="empty")
    assert [node.name for node in outcome.nodes] == ["stg_numbers"]


def test_a_model_that_fails_has_the_databases_own_words_and_skips_its_tests(place: DbtPlace) -> None:
    (place.project_dir / "models/marts/numbers.sql").write_text("select nothing from {{ ref('stg_numbers') }}")
    _, outcome = build(place)
    [failure] = outcome.failures
    assert failure.table == "core.numbers"
    assert 'Referenced column "nothing" not found' in failure.message
    assert "compiled code at" not in failure.message
    assert {node.status for node in outcome.nodes if node.is_test} == {"skipped"}


def test_a_project_that_does_not_parse(place: DbtPlace) -> None:
    (place.project_dir / "models/marts/numbers.sql").write_text("select 1 from {{ ref('nowhere') }}")
    with pytest.raises(DbtError, match="nowhere"):
        dbt.parse(place)
