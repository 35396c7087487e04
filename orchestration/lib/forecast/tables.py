"""The tables that fits write, schema `forecast` of the warehouse; dbt's source of that name describes them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

PURCHASE_TABLES = {
    "model_parameters": """(
        as_of_on date, model_id varchar, model_family varchar,
        r double, alpha double, a double, b double, s double, beta double, p double, q double, v double,
        log_likelihood double, customer_count bigint, is_default boolean, refusal varchar
    )""",
    "model_nodes": """(
        as_of_on date, model_id varchar, repeat_count bigint, from_tenure_days bigint, value double, weight double
    )""",
}
RISK_TABLES = {
    "risk_models": """(
        as_of_on date, model_id varchar, is_chosen boolean, learnt_from_count bigint, calibrated_on date,
        refusal varchar
    )""",
    "risk_quality": """(
        as_of_on date, model_id varchar, measure varchar, bin varchar, forecast double, actual double,
        customer_count bigint
    )""",
    "risk_scores": """(
        as_of_on date, customer_id varchar, model_id varchar, churn_risk_rate double,
        reason_1 varchar, reason_2 varchar, reason_3 varchar
    )""",
}
PANEL_TABLES = {
    "dirichlet_models": """(
        period_start_on date, period_end_on date, category varchar, provenance varchar,
        m double, k double, s double, refusal varchar
    )""",
    "dirichlet_norms": """(
        period_start_on date, period_end_on date, category varchar, provenance varchar, brand varchar,
        expected_penetration_rate double, expected_purchase_rate double, expected_scr_rate double,
        expected_sole_rate double
    )""",
}
WALLET_TABLES = {
    "wallet_models": """(
        period_start_on date, period_end_on date, is_current boolean, model_id varchar, basis varchar,
        is_chosen boolean, learnt_from_count bigint, refusal varchar
    )""",
    "wallet_quality": """(
        as_of_on date, model_id varchar, measure varchar, bin varchar, forecast double, actual double,
        customer_count bigint
    )""",
    "wallet_scores": """(
        period_start_on date, period_end_on date, customer_id varchar, category varchar, wallet_minor bigint
    )""",
}
TABLES = {**PURCHASE_TABLES, **RISK_TABLES, **PANEL_TABLES, **WALLET_TABLES}


def create(connection: duckdb.DuckDBPyConnection, tables: dict[str, str]) -> None:
    """Empty tables in place of those that were there."""
    connection.execute("create schema if not exists forecast")
    for name, columns in tables.items():
        connection.execute(f"create or replace table forecast.{name} {columns}")


@contextmanager
def replaced(connection: duckdb.DuckDBPyConnection, tables: dict[str, str]) -> Iterator[None]:
    """Around writing the tables anew, which are empty at first: one transaction, and nothing where it fails."""
    connection.execute("begin")
    try:
        create(connection, tables)
        yield
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise


class Clock:
    """Seconds that each of the tables takes, from 0 on."""

    def __init__(self, tables: dict[str, str]) -> None:
        self.seconds = dict.fromkeys(tables, 0.0)

    @contextmanager
    def timed(self, table: str) -> Iterator[None]:
        """Around work whose time counts for the table."""
        started = time.perf_counter()
        yield
        self.seconds[table] += time.perf_counter() - started


def row_counts(connection: duckdb.DuckDBPyConnection, tables: dict[str, str]) -> dict[str, int]:
    """Rows by table."""
    counts = " union all ".join(f"select '{name}', count(*) from forecast.{name}" for name in tables)
    return dict(connection.execute(counts).fetchall())
