"""The retention marts against published figures of CDNOW and against lifelines, an independent Kaplan–Meier."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import duckdb
import pytest
from lifelines import KaplanMeierFitter

DATA_END = date(1998, 6, 30)


def one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row


@pytest.mark.parametrize(
    ("mode", "active"), [("calendar", (7846, 1157, 964, 810)), ("rolling", (7846, 1018, 841, 711))]
)
def test_january_cohort_of_cdnow(cdnow: duckdb.DuckDBPyConnection, mode: str, active: tuple[int, ...]) -> None:
    rows = cdnow.execute(
        """
        select cohort_size, eligible_count, active_count
        from retention.retention_cohorts
        where period_grain = 'month' and retention_mode = ? and segment_name = 'all'
            and cohort_label = '1997-01' and period_index <= 3
        order by period_index
        """,
        [mode],
    ).fetchall()
    assert rows == [(7846, 7846, count) for count in active]


def test_cohorts_hold_every_customer_and_all_revenue(cdnow: duckdb.DuckDBPyConnection) -> None:
    rows = cdnow.execute(
        """
        select
            period_grain,
            sum(cohort_size) filter (where period_index = 0),
            sum(net_amount)
        from retention.retention_cohorts
        where retention_mode = 'calendar' and segment_name = 'all'
        group by period_grain
        order by period_grain
        """
    ).fetchall()
    # 30 June 1998 ends a month and a quarter; the last two days of it belong to a week that is not over.
    assert rows[0] == ("month", 23570, Decimal("2500315.63"))
    assert rows[1] == ("quarter", 23570, Decimal("2500315.63"))
    week_rest = one(
        cdnow,
        "select revenue_amount from retention.growth_accounting where period_grain = 'week' and not is_complete",
    )[0]
    assert rows[2] == ("week", 23570, Decimal("2500315.63") - week_rest)


def test_half_the_january_cohort_is_not_through_its_last_rolling_month(cdnow: duckdb.DuckDBPyConnection) -> None:
    """Month 17 of a customer's own is over by 30 June 1998 only for those who came on 1 January 1997."""
    row = one(
        cdnow,
        """
        select cohort_size, eligible_count, active_count, is_complete
        from retention.retention_cohorts
        where period_grain = 'month' and retention_mode = 'rolling' and segment_name = 'all'
            and cohort_label = '1997-01' and period_index = 17
        """,
    )
    assert row == (7846, 209, 14, False)


def test_growth_accounting_of_april_1997(cdnow: duckdb.DuckDBPyConnection) -> None:
    row = one(
        cdnow,
        """
        select active_count, new_count, retained_count, resurrected_count, churned_count
        from retention.growth_accounting
        where period_grain = 'month' and period_start_on = date '1997-04-01'
        """,
    )
    assert row == (2822, 0, 1773, 1049, 7751)


def test_revenue_retention_of_the_last_quarter_of_1997(cdnow: duckdb.DuckDBPyConnection) -> None:
    nrr, grr, resurrected = one(
        cdnow,
        """
        select retention.nrr_rate, retention.grr_rate, retention.resurrected_amount
        from retention.net_revenue_retention as retention
        where retention.window = 'quarter' and retention.window_end_on = date '1997-12-31'
        """,
    )
    assert round(nrr, 4) == 0.6377
    assert round(grr, 4) == 0.4068
    assert resurrected == Decimal("114357.28")


def test_trailing_year_of_cdnow_has_no_year_before_it(cdnow: duckdb.DuckDBPyConnection) -> None:
    rows = cdnow.execute(
        """
        select retention.window_end_on, retention.nrr_rate, retention.base_amount, retention.is_left_truncated
        from retention.net_revenue_retention as retention
        where retention.window = 'trailing_12_months'
        order by retention.window_end_on
        """
    ).fetchall()
    assert [row[0] for row in rows][:: len(rows) - 1] == [date(1997, 12, 31), DATA_END]
    assert all(row[1:] == (None, None, True) for row in rows)


def test_one_time_buyers(cdnow: duckdb.DuckDBPyConnection) -> None:
    customers, repeaters = one(
        cdnow,
        """
        select max(at_risk_count), sum(event_count)
        from retention.repeat_purchase_curves
        where from_purchase_number = 1
        """,
    )
    assert customers == 23570
    assert round(100 * (customers - repeaters) / customers, 2) == 51.14


def test_revenue_by_cohort_adds_up(cdnow: duckdb.DuckDBPyConnection) -> None:
    rows = cdnow.execute(
        """
        select cohort_month, count(*), sum(net_amount)
        from retention.revenue_by_cohort
        group by cohort_month
        order by cohort_month
        """
    ).fetchall()
    assert [row[:2] for row in rows] == [(date(1997, 1, 1), 18), (date(1997, 2, 1), 17), (date(1997, 3, 1), 16)]
    assert sum(row[2] for row in rows) == Decimal("2500315.63")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_repeat_curves_equal_lifelines(cdnow: duckdb.DuckDBPyConnection, number: int) -> None:
    gaps = cdnow.execute(
        """
        with days as (
            select distinct customer_id, business_date
            from core.fct_orders
            where is_valid_sale and is_identified
        ),

        gaps as (
            select
                row_number() over by_customer as purchase_number,
                business_date as from_date,
                lead(business_date) over by_customer as to_date
            from days
            window by_customer as (partition by customer_id order by business_date)
        )

        select coalesce(to_date, ?) - from_date as duration, to_date is not null as is_closed
        from gaps
        where least(purchase_number, 3) = ?
        """,
        [DATA_END, number],
    ).df()
    fitter = KaplanMeierFitter().fit(gaps["duration"], gaps["is_closed"])
    curve = (
        cdnow.execute(
            """
            select days_since, at_risk_count, event_count, censored_count, survival_rate, lower_rate, upper_rate,
                median_days
            from retention.repeat_purchase_curves
            where from_purchase_number = ?
            order by days_since
            """,
            [number],
        )
        .df()
        .set_index("days_since")
    )
    table = fitter.event_table
    assert list(curve.index) == list(table.index)
    assert list(curve["at_risk_count"]) == list(table["at_risk"])
    assert list(curve["event_count"]) == list(table["observed"])
    assert list(curve["censored_count"]) == list(table["censored"])
    bounds = fitter.confidence_interval_
    for ours, theirs in (
        (curve["survival_rate"], fitter.survival_function_.iloc[:, 0]),
        (curve["lower_rate"], bounds.iloc[:, 0]),
        (curve["upper_rate"], bounds.iloc[:, 1]),
    ):
        assert abs(ours.to_numpy() - theirs.to_numpy()).max() < 1e-9
    # Not reached: NULL here, infinity there.
    assert curve["median_days"].astype("float64").fillna(float("inf")).unique() == [fitter.median_survival_time_]
