"""The dbt project compiled once, its models then run on any DuckDB connection in a second or less.

A `dbt build` takes seconds to start; a property test wants a hundred of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import duckdb
import pytest

from orchestration.lib import compiled as compiled_sql
from orchestration.lib import dbt
from orchestration.lib.contract import contract_tables
from orchestration.lib.feeds import SQL_TYPES, empty_sql
from orchestration.lib.forecast import tables
from orchestration.lib.settings import PROJECT_ROOT
from orchestration.lib.sql import literal
from orchestration.lib.tiers import rules

SCHEMAS = ("seeds", "staging", "intermediate")
MART_SCHEMAS = ("core", "retention", "churn", "value", "tiers", "wallet", "quality")


@dataclass(frozen=True)
class CompiledProject(compiled_sql.CompiledProject):
    """The project with what it takes to build it where there is nothing."""

    preparation: str = ""

    def build(self, connection: duckdb.DuckDBPyConnection, *, only: tuple[str, ...] = ("",)) -> None:
        """Runs the models (those whose folder starts with one of `only`) where the schema `contract` is there."""
        for schema in SCHEMAS:
            connection.execute(f"create schema if not exists warehouse.{schema}")
        for schema in MART_SCHEMAS:
            connection.execute(f"create schema if not exists marts.{schema}")
        connection.execute(self.preparation)
        # Without fits there are no forecasts; what was fitted stays.
        connection.execute("create schema if not exists forecast")
        for name, columns in tables.TABLES.items():
            connection.execute(f"create table if not exists forecast.{name} {columns}")
        for node in self.nodes:
            if node.folder.startswith(("seeds", *only)):
                node.make(connection)


@cache
def manifest(variables_json: str = "{}", root: Path = PROJECT_ROOT) -> dict[str, Any]:
    """dbt's manifest of the project, or of a copy, compiled with these variables (JSON of an object)."""
    from dbt.cli.main import dbtRunner

    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENURE_WORK", folder)
        result = dbtRunner().invoke(
            ["--quiet", "compile", "--project-dir", str(root / "dbt_project"),
             "--profiles-dir", str(root / "dbt_project"), "--target-path", f"{folder}/target",
             "--log-path", f"{folder}/logs", "--vars", variables_json]
        )  # fmt: skip
        assert result.success, result.exception
        content = json.loads(Path(folder, "target", "manifest.json").read_text())
    _close_dbt_connections()
    return cast(dict[str, Any], content)


def tier_files(folder: Path) -> dict[str, Path]:
    """The files of tier rules in a folder, by their seeds' names."""
    return {name: folder / f"{name}.csv" for name in rules.FILES}


def write_tier_files(folder: Path, lines: Mapping[str, Iterable[Sequence[object]]]) -> None:
    """Writes all files of tier rules, those without lines with a header alone; they are found to be in order."""
    rules.write(folder, lines)
    rules.check(tier_files(folder))


@cache
def compiled_query(sql: str) -> str:
    """A query in Jinja as dbt compiles it."""
    with TemporaryDirectory() as folder:
        work = Path(folder)
        return dbt.compiled(dbt.DbtPlace(PROJECT_ROOT / "dbt_project", work, work / "target"), sql)


def compiled(variables_json: str = "{}", root: Path = PROJECT_ROOT, seeds: Path | None = None) -> CompiledProject:
    """The project, or a copy, compiled with these variables (JSON of an object).

    Seeds whose CSV file is in the folder `seeds` are read from there.
    """
    content = manifest(variables_json, root)

    def seed_path(name: str) -> Path:
        own = None if seeds is None else seeds / f"{name}.csv"
        return own if own and own.exists() else root / "seeds" / f"{name}.csv"

    preparation = content["macros"]["macro.tenure.create_increment_tables"]["macro_sql"]
    project = CompiledProject.of(content, seed_path)
    return replace(project, preparation=re.sub(r"\{%.*?%\}", "", preparation))


def memory_warehouse() -> duckdb.DuckDBPyConnection:
    """An empty warehouse in memory, with both catalogs, empty contract tables and no fits."""
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'; set preserve_insertion_order = false")
    connection.execute("attach ':memory:' as warehouse; attach ':memory:' as marts; use warehouse")
    connection.execute("create schema contract")
    for table in contract_tables():
        connection.execute(f"create table contract.{table} as {empty_sql(table)}")
    connection.execute(
        """create table contract.loaded_files (table_name varchar, source varchar, source_file varchar, load_id bigint,
            loaded_at timestamp, rows_read bigint);
        create table contract.rejected_rows (table_name varchar, source_file varchar, source_row bigint, load_id bigint,
            rejected_column varchar, rejected_value varchar, reason varchar);
        create table contract.filtered_rows (table_name varchar, load_id bigint, source_file varchar,
            filtered_count bigint);
        create table contract.erased_rows (table_name varchar, source varchar, source_file varchar, load_id bigint,
            row_count bigint)"""
    )
    tables.create(connection, tables.TABLES)
    return connection


def insert_contract_rows(
    connection: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]], load_id: int = 1
) -> None:
    """Rows as a loader's view would show them; columns that a row lacks are NULL."""
    columns = contract_tables()[table].columns
    for number, row in enumerate(rows, start=1):
        values = [
            f"cast({'null' if row.get(c.name) is None else literal(str(row[c.name]))} as {SQL_TYPES[c.contract_type]})"
            f" as {c.name}"
            for c in columns
        ]
        connection.execute(
            f"""insert into contract.{table} by name select 'test' as source_file, {number} as source_row,
                {load_id} as load_id, 1 as source_row_count, {", ".join(values)}"""
        )
    connection.execute(
        "insert into contract.loaded_files values (?, ?, 'test', ?, timestamp '2100-01-01', ?)",
        [table, table, load_id, len(rows)],
    )


def _close_dbt_connections() -> None:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()
