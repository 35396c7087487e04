"""Erasure: a customer's raw rows go, and stay gone when their file is delivered again.

The files themselves are not ours to touch. What is built from the raw rows is rebuilt without them; versions
published before are removed once a new one stands (see `publishing`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb

from orchestration.lib import increments
from orchestration.lib.contract import contract_tables
from orchestration.lib.feeds import row_sql
from orchestration.lib.mapping import Mapping
from orchestration.lib.sql import identifier, literal

TABLES = """
create table if not exists raw.erased_customers (customer_id varchar primary key, erased_at timestamp not null);
create table if not exists raw.erased_rows (
    source varchar not null, file varchar not null, load_id bigint not null, row_count bigint not null
);
"""


def erase(connection: duckdb.DuckDBPyConnection, mapping: Mapping, now: datetime) -> int:
    """Removes the raw rows of customers who asked for it, under all of their aliases.

    Args:
        connection: on the warehouse, inside the load's transaction, the contract views being there.
        now: UTC; when customers not erased before are noted as erased.

    Returns:
        Number of raw rows removed.
    """
    connection.execute(
        """insert or ignore into raw.erased_customers
        select distinct customer_id, ?::timestamp from contract.erasures where customer_id is not null""",
        [now],
    )
    merged = _MERGED_WITH_ERASED.format(now=literal(str(now)))
    while _count(connection, merged):
        """Until nobody new is reached."""
    if not _count(connection, "select count(*) from raw.erased_customers"):
        return 0
    connection.execute(
        """create or replace temporary table erased_orders as
        select distinct order_id from contract.orders
        where customer_id in (from raw.erased_customers select customer_id)"""
    )
    removed = sum(_delete(connection, source, rows) for source, rows in _rows_to_erase(connection, mapping))
    # A line that could not be read may name the customer anywhere.
    connection.execute(
        """update raw.rejected_rows set line = null
        where exists (select 1 from raw.erased_customers where contains(line, customer_id))"""
    )
    connection.execute("drop table erased_orders")
    return removed


def forget_counts(connection: duckdb.DuckDBPyConnection, source: str, file: str) -> None:
    """A file is read anew: what was erased from its old content no longer counts."""
    connection.execute("delete from raw.erased_rows where source = ? and file = ?", [source, file])


def last_erasure_at(warehouse: Path) -> datetime | None:
    """When a customer was last erased (UTC): a version published before may still hold them.

    None where nobody ever was, or nothing was ever loaded.
    """
    if not warehouse.is_file():
        return None
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        try:
            row = connection.execute("select max(erased_at) from raw.erased_customers").fetchone()
        except duckdb.CatalogException:
            return None
    return row[0].replace(tzinfo=UTC) if row and row[0] else None


# Whoever is merged with an erased customer is the same person; whoever was, and was parted again, is not. Whether a
# merge ended, its newest version says. What staging does not believe is no merge here either: a row that cannot be
# read, a span that ends before it begins, an alias of two customers at once. Circles are followed all the same.
_MERGED_WITH_ERASED = """insert or ignore into raw.erased_customers
select distinct unnest([alias_id, customer_id]), {now}::timestamp
from (
    from (
        from contract.identity_map
        where reason is null and (valid_to <= valid_from) is not true
        qualify rank() over (partition by alias_id, valid_from order by updated_at desc nulls last) = 1
    )
    where coalesce(valid_from <= {now}::timestamp, true) and coalesce(valid_to > {now}::timestamp, true)
    qualify min(customer_id) over (partition by alias_id) = max(customer_id) over (partition by alias_id)
)
where alias_id in (from raw.erased_customers select customer_id)
    or customer_id in (from raw.erased_customers select customer_id)"""


def _rows_to_erase(connection: duckdb.DuckDBPyConnection, mapping: Mapping) -> list[tuple[str, str]]:
    """Each source with a temporary table of the rows (source_file, source_row) of it that go.

    All are there before the first row goes: a feed may look up a source that rows go from too.
    """
    erased = "(from raw.erased_customers select customer_id)"
    tables: list[tuple[str, str]] = []
    for table, feeds in mapping.feeds.items():
        names = {column.name for column in contract_tables()[table].columns}
        conditions = [f"{name} in {erased}" for name in ("customer_id", "alias_id") if name in names]
        if "order_id" in names:
            conditions.append("order_id in (from erased_orders)")
        # The request itself stays, or the next delivery of the customer's rows would be let in.
        for feed in feeds if table != "erasures" else []:
            name = f"erased_rows_{len(tables)}"
            connection.execute(
                f"""create or replace temporary table {name} as
                select source_file, source_row from ({row_sql(connection, mapping, table, feed)})
                where {" or ".join(conditions)}"""
            )
            tables.append((feed.source, name))
    return tables


def _delete(connection: duckdb.DuckDBPyConnection, source: str, rows: str) -> int:
    going = f"(_file, _row) in (select (source_file, source_row) from {rows})"
    connection.execute(
        f"""insert into raw.erased_rows
        select {literal(source)}, _file, _load_id, count(*) from raw.{identifier(source)} where {going} group by all"""
    )
    for (file,) in connection.execute(f"select distinct source_file from {rows}").fetchall():
        increments.touch(connection, source, file)
    removed = _count(connection, f"delete from raw.{identifier(source)} where {going}")
    connection.execute(f"drop table {rows}")
    return removed


def _count(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return int(row[0])
