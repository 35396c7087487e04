"""What the suites cover: every published mart and every contract table, in the columns that dbt's contracts name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from expectations import catalog, runner
from orchestration.lib import contract

ROOT = Path(__file__).parents[2]
MARTS = ROOT / "dbt_project" / "models" / "marts"
STAGING = ROOT / "dbt_project" / "models" / "staging"


@dataclass(frozen=True)
class Paths:
    marts_path: Path
    warehouse_path: Path


def described_models() -> dict[str, dict[str, Any]]:
    """dbt's description of each mart, by `schema.table`."""
    return {
        f"{path.parent.name}.{model['name']}": model
        for path in MARTS.rglob("*.yml")
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", [])
    }


def test_every_mart_has_a_suite_and_every_suite_a_mart() -> None:
    models = {f"{path.parent.name}.{path.stem}" for path in MARTS.rglob("*.sql")}

    assert {spec.qualified_table for spec in catalog.suites() if spec.database == "marts"} == models


def test_every_contract_table_has_a_suite() -> None:
    suites = {spec.qualified_table for spec in catalog.suites() if spec.database == "warehouse"}

    assert suites == {f"staging.stg_{table}" for table in contract.contract_tables()}
    assert all((STAGING / f"{name.split('.')[1]}.sql").is_file() for name in suites)


def test_a_suite_name_is_unique() -> None:
    names = [spec.name for spec in catalog.suites()]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("spec", catalog.suites(), ids=lambda spec: spec.name)
def test_a_description_says_what_must_hold_and_what_to_do(spec: catalog.SuiteSpec) -> None:
    for rule in spec.rules:
        sentences = [sentence for sentence in rule.description.split(". ") if sentence]
        assert len(sentences) >= 2, f"{rule.name}: {rule.description}"
        assert rule.description.endswith("."), f"{rule.name}: {rule.description}"


@pytest.mark.parametrize("spec", catalog.suites(), ids=lambda spec: spec.name)
def test_variables_have_their_default_in_the_dbt_project(spec: catalog.SuiteSpec) -> None:
    assert set(catalog.required_variables([spec])) <= set(catalog.project_variables())


def test_a_rule_never_shows_a_column_with_personal_data() -> None:
    personal = {*contract.personal_columns(), "born_on"}  # staging's name of birth_date

    for spec in catalog.suites():
        shown = {*spec.row_key, *(rule.column for rule in spec.rules)}
        assert not shown & personal, spec.name


def test_the_suites_fit_the_contracts_of_the_marts_and_hold_when_there_is_nothing_to_find(tmp_path: Path) -> None:
    """On empty marts with the columns of dbt's contracts each rule can be evaluated, and only missing orders fail."""
    specs = [spec for spec in catalog.suites() if spec.database == "marts"]
    paths = Paths(tmp_path / "marts.duckdb", tmp_path / "warehouse.duckdb")
    with duckdb.connect(str(paths.marts_path)) as connection:
        for table, model in described_models().items():
            columns = ", ".join(f'"{column["name"]}" {column["data_type"]}' for column in model["columns"])
            connection.execute(f"create schema if not exists {table.split('.')[0]}")
            connection.execute(f"create table {table} ({columns})")

    results = runner.run_suites(paths, specs, catalog.project_variables())

    failed = {
        f"{result.suite.name}.{outcome.name}": outcome.error or outcome.observed
        for result in results
        for outcome in result.expectations
        if not outcome.passed
    }
    assert failed == {"fct_orders.has_orders": 0}
