"""The forecast marts on the sample that the literature uses, against the same in Python."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import duckdb
import numpy as np
import pytest

from orchestration.lib.forecast import bg_nbd, gamma_gamma, quality, scoring
from orchestration.lib.forecast.fitting import Fit
from orchestration.lib.forecast.histories import Floats, Histories, SpendHistories
from orchestration.lib.forecast.scoring import FittedModel
from orchestration.lib.forecast.value import discounted_purchases
from tests.support.histories import cdnow_sample
from tests.support.project import compiled, memory_warehouse

MONTHS, DISCOUNT_RATE = 36, 0.1
CUSTOMERS = 2357


@pytest.fixture(scope="module")
def sample() -> Iterator[duckdb.DuckDBPyConnection]:
    """Both catalogs built from the orders of the sample, fitted, and built again."""
    with memory_warehouse() as connection:
        cdnow_sample(connection)
        connection.execute(
            """insert into contract.orders by name
            select 'order ' || rowid as order_id, customer_id, business_date as ordered_at, net_minor / 100 as amount,
                'test' as source_file, rowid as source_row, 1 as load_id, 1 as source_row_count
            from cdnow_sample"""
        )
        project = compiled()
        project.build(connection)
        scoring.write(connection, fits(connection), repeats=np.arange(200), longest_days=MONTHS * 365 / 12)
        project.build(connection, only=("intermediate", "marts"))
        yield connection


def fits(connection: duckdb.DuckDBPyConnection) -> list[FittedModel]:
    found = []
    for (as_of_on,) in connection.execute("select as_of_on from intermediate.int_forecast_dates").fetchall():
        rows = f"""(select *, 1 as customer_count from intermediate.int_forecast_histories
            where as_of_on = date '{as_of_on}')"""
        found.append(FittedModel(as_of_on, "bg_nbd", bg_nbd.fit(Histories.read(connection, rows))))
        found.append(FittedModel(as_of_on, "gamma_gamma", gamma_gamma.fit(SpendHistories.read(connection, rows))))
    return found


def current_fits(connection: duckdb.DuckDBPyConnection) -> tuple[Fit, Fit]:
    """Of purchases and of spend."""
    current = "(select *, 1 as customer_count from intermediate.int_forecast_histories where is_current)"
    return bg_nbd.fit(Histories.read(connection, current)), gamma_gamma.fit(SpendHistories.read(connection, current))


def columns(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, Any]:
    return {name: np.asarray(column) for name, column in connection.execute(query).fetchnumpy().items()}


def test_values_and_what_is_at_risk_are_those_of_python(sample: duckdb.DuckDBPyConnection) -> None:
    found = columns(
        sample,
        """select histories.repeat_count, span_days, tenure_days, repeat_minor, p_alive,
            scores.expected_purchases_365d, cast(revenue_at_risk_amount as double) as at_risk,
            cast(expected_order_amount as double) as spend, cast(expected_net_amount_365d as double) as net,
            cast(clv_amount as double) as clv
        from marts.churn.churn_scores as scores
        join marts.value.customer_value as valued using (customer_id)
        join intermediate.int_forecast_histories as histories using (as_of_on, customer_id)
        order by customer_id""",
    )
    purchases, spends = current_fits(sample)
    x = found["repeat_count"]
    histories = Histories(x, found["span_days"], found["tenure_days"], np.ones(len(x)))
    mean_spend = np.maximum(found["repeat_minor"], 0) / np.maximum(x, 1) / 100
    spend = gamma_gamma.expected_spend(spends, SpendHistories(x, mean_spend, np.ones(len(x))))

    def expected(of: Histories, weeks: float) -> Floats:
        return bg_nbd.expected_purchases(purchases, of, weeks)

    alive = bg_nbd.probability_alive(purchases, histories)
    year = expected(histories, 365 / 7)
    value = discounted_purchases(expected, histories, MONTHS, DISCOUNT_RATE) * spend
    assert len(x) == CUSTOMERS
    assert found["p_alive"] == pytest.approx(alive, rel=1e-9)
    assert found["expected_purchases_365d"] == pytest.approx(year, rel=1e-9)
    for name, amount in (
        ("spend", spend),
        ("net", year * spend),
        ("at_risk", (1 - alive) * year * spend),
        ("clv", value),
    ):
        assert found[name] == pytest.approx(amount, abs=0.00501), name


def test_deciles_are_equally_large_and_in_order(sample: duckdb.DuckDBPyConnection) -> None:
    deciles = sample.execute(
        """select value_decile, count(*), min(clv_amount), max(clv_amount)
        from marts.value.customer_value group by value_decile order by value_decile"""
    ).fetchall()
    assert [(number, count) for number, count, *_ in deciles] == [(n, 236 if n <= 7 else 235) for n in range(1, 11)]
    assert all(upper[2] >= lower[3] for upper, lower in pairwise(deciles))


def test_forecasts_are_compared_as_in_python(sample: duckdb.DuckDBPyConnection) -> None:
    """Of every date and horizon that has passed: totals, and the bins of `quality.calibration`."""
    compared = 0
    dates = sample.execute("select as_of_on from intermediate.int_forecast_dates where not is_current").fetchall()
    for (as_of_on,) in dates:
        for days in (30, 90, 180, 365):
            scored = columns(
                sample,
                f"""select expected_purchases_{days}d as forecast, expected_spend_minor / 100 as spend,
                    cast(purchases_{days}d as double) as actual, cast(net_minor_{days}d as double) / 100 as revenue
                from intermediate.int_forecast_scores
                join intermediate.int_forecast_outcomes using (as_of_on, customer_id)
                where as_of_on = date '{as_of_on}' and purchases_{days}d is not null""",
            )
            rows = sample.execute(
                f"""select measure, bin, forecast, actual, customer_count from marts.value.forecast_quality
                where as_of_on = date '{as_of_on}' and measure like '%_{days}d%' order by measure, bin"""
            ).fetchall()
            if not len(scored["forecast"]):
                assert rows == []
                continue
            bins = quality.calibration(scored["forecast"], scored["actual"], np.ones(len(scored["forecast"])))
            wanted = [
                (scored["forecast"].sum(), scored["actual"].sum(), len(scored["forecast"])),
                *((found.forecast, found.actual, found.count) for found in bins),
                ((scored["forecast"] * scored["spend"]).sum(), scored["revenue"].sum(), len(scored["forecast"])),
            ]
            assert [row[2:] for row in rows] == [pytest.approx(row, rel=1e-9) for row in wanted]
            compared += 1
    assert compared >= 6
