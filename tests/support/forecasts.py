"""The tables that fits read, filled with made-up customers."""

from __future__ import annotations

from datetime import date, timedelta

import duckdb
import numpy as np

from orchestration.lib.forecast.histories import Histories

TODAY = date(2024, 12, 31)
TABLES = """
create schema intermediate;
create table intermediate.int_forecast_dates (as_of_on date, is_current boolean);
create table intermediate.int_forecast_histories (
    as_of_on date, is_current boolean, customer_id varchar, repeat_count bigint, span_days bigint, tenure_days bigint,
    repeat_minor bigint
);
create table intermediate.int_forecast_features (
    as_of_on date, customer_id varchar, silence_days double, threshold_days double, silence_ratio double,
    tenure_days double, luck double
);
create table intermediate.int_forecast_outcomes (
    as_of_on date, customer_id varchar, label_known_on date, is_lost boolean
);
"""


def dates(count: int) -> list[date]:
    """Today and dates three months apart before it, the latest first."""
    return [TODAY - timedelta(days=90 * number) for number in range(count)]


def write_histories(connection: duckdb.DuckDBPyConnection, as_of_on: date, histories: Histories) -> None:
    """Customers with these histories, who differ in what they spend."""
    random = np.random.default_rng(5)
    x = histories.repeats
    usual = 2000 * random.gamma(4, size=len(x)) ** -1
    connection.register(
        "made",
        {
            "x": x,
            "span": histories.span_days,
            "tenure": histories.tenure_days,
            "minor": np.where(x > 0, np.ceil(usual * random.gamma(6 * np.maximum(x, 1))), 0).astype(int),
        },
    )
    connection.execute(
        """insert into intermediate.int_forecast_histories
        select ?, ?, 'c' || row_number() over (), x, span, tenure, minor from made""",
        [as_of_on, as_of_on == TODAY],
    )
    connection.execute("insert into intermediate.int_forecast_dates values (?, ?)", [as_of_on, as_of_on == TODAY])
    connection.unregister("made")


def write_outcomes(
    connection: duckdb.DuckDBPyConnection, as_of_on: date, *, threshold_days: int = 60, seed: int = 1
) -> None:
    """Features of the customers of a date and what became of them: who is silent for long is lost more often."""
    connection.execute(
        """insert into intermediate.int_forecast_features
        select as_of_on, customer_id, silence, $threshold, silence / $threshold, tenure_days,
            (hash(customer_id, $seed) // 997) % 100
        from (
            select *, (hash(customer_id, as_of_on, $seed) % (2 * $threshold))::double as silence
            from intermediate.int_forecast_histories where as_of_on = $as_of_on
        )""",
        {"as_of_on": as_of_on, "threshold": threshold_days, "seed": seed},
    )
    if as_of_on < TODAY:
        connection.execute(
            """insert into intermediate.int_forecast_outcomes
            select as_of_on, customer_id, known_on,
                case when known_on <= $today then (hash(customer_id, as_of_on) % 1000) / 1000 < silence_ratio / 2.5 end
            from (
                select *, cast(as_of_on + threshold_days::integer as date) as known_on
                from intermediate.int_forecast_features where as_of_on = $as_of_on
            )""",
            {"as_of_on": as_of_on, "today": TODAY},
        )
