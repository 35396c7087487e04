"""Database files that a killed process or a full disk left half made."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from orchestration.lib import databases
from orchestration.lib.dbt import DbtPlace, ParsedProject, drop_unknown_marts


@pytest.mark.parametrize("size", [None, 0, 1, 4096, 8192, 12_287])
def test_the_beginning_of_a_database_is_made_a_whole_one(tmp_path: Path, size: int | None) -> None:
    path = tmp_path / "work" / "warehouse.duckdb"
    if size is not None:
        whole = tmp_path / "whole.duckdb"
        duckdb.connect(str(whole)).close()
        path.parent.mkdir()
        path.write_bytes(whole.read_bytes()[:size])
        with pytest.raises(duckdb.IOException):
            duckdb.connect(str(path))
    databases.make_sure_of(path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table numbers as select 1 as number")
    assert [entry.name for entry in path.parent.iterdir()] == ["warehouse.duckdb"]


def test_a_database_stays_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table numbers as select 1 as number")
    before = path.read_bytes()
    (tmp_path / "warehouse.duckdb.new").write_bytes(b"what a killed process left")
    databases.make_sure_of(path)
    assert path.read_bytes() == before


def test_marts_that_no_model_makes_any_more_go(tmp_path: Path) -> None:
    place = DbtPlace(project_dir=tmp_path, work_dir=tmp_path, target_dir=tmp_path)
    with duckdb.connect(str(place.marts_path)) as connection:
        connection.execute("""
            create schema core;
            create table core.fct_orders as select 1 as order_id;
            create table core.fct_orders__dbt_tmp as select 1 as order_id;
            create table core.renamed as select 1 as order_id;
            create view core.of_renamed as from core.renamed;
        """)
    project = ParsedProject(manifest=None, manifest_json={"nodes": {"m": {"schema": "core", "name": "fct_orders"}}})
    dropped = drop_unknown_marts(place, project)
    assert sorted(dropped) == ["core.fct_orders__dbt_tmp", "core.of_renamed", "core.renamed"]
    assert drop_unknown_marts(place, project) == []
    with duckdb.connect(str(place.marts_path)) as connection:
        assert connection.execute("select table_name from duckdb_tables()").fetchall() == [("fct_orders",)]


def test_of_what_was_deleted_nothing_is_left_in_a_database_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            """create schema raw; create table raw.people (name varchar primary key, age integer not null default 3);
            insert into raw.people select 'person-' || range, range from range(1000);
            insert into raw.people values ('anna', 40);
            comment on table raw.people is 'One row per person.'; comment on column raw.people.age is 'In years.';
            create view raw.adults as select * from warehouse.raw.people where age >= 18"""
        )
        connection.execute("checkpoint")
        connection.execute("delete from raw.people where name = 'anna'")
    assert b"anna" in path.read_bytes()
    described = """select sql, comment from duckdb_tables()
        union all select sql, comment from duckdb_views() where not internal
        union all select column_name, comment from duckdb_columns() where not internal order by all"""
    before = _ask(path, described), _ask(path, "from raw.adults order by all")
    databases.rewrite(path)
    assert b"anna" not in path.read_bytes()
    assert (_ask(path, described), _ask(path, "from raw.adults order by all")) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["warehouse.duckdb"]


def _ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()
