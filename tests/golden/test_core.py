"""Published figures of the two data sets, in the core marts."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from orchestration.lib.mapping import load_mapping
from orchestration.lib.settings import datasets_dir


def test_cdnow_totals(cdnow: duckdb.DuckDBPyConnection) -> None:
    totals = cdnow.execute(
        """select count(distinct customer_id), count(*), sum(net_amount), count(*) filter (where gross_amount = 0)
        from core.fct_orders where is_valid_sale"""
    ).fetchone()
    assert totals == (23_570, 69_659, Decimal("2500315.63"), 80)


def test_cdnow_keeps_equal_rows_that_are_real_purchases(cdnow: duckdb.DuckDBPyConnection) -> None:
    """255 lines equal another: the source has no order id, so none may be dropped."""
    [(copies,)] = cdnow.execute("select sum(copy_count) from quality.load_accounting").fetchall()
    assert copies == 0


def test_cdnow_one_time_buyers_by_purchase_days(cdnow: duckdb.DuckDBPyConnection) -> None:
    [(share,)] = cdnow.execute(
        "select avg(case when lifecycle_stage = 'one_time' then 1.0 else 0 end) from core.dim_customers"
    ).fetchall()
    assert share == pytest.approx(0.5114, abs=5e-5)


def test_complete_journey_totals(complete_journey: duckdb.DuckDBPyConnection) -> None:
    totals = complete_journey.execute(
        "select count(distinct customer_id), count(*), sum(net_amount) from core.fct_orders where is_valid_sale"
    ).fetchone()
    assert totals == (2_469, 155_848, Decimal("4596039.58"))
    [(customers,)] = complete_journey.execute("select count(*) from core.dim_customers").fetchall()
    assert customers == 2_469
    lines = complete_journey.execute("select count(*), sum(line_amount) from core.fct_order_lines").fetchone()
    assert lines == (1_469_307, Decimal("4596039.58"))


REDEEMED_ON_A_SHOPPING_DAY = """
    select count(*)
    from core.fct_interactions as redemptions
    where interaction_type = 'coupon_redeemed' and exists (
        select 1 from core.fct_orders as orders
        where orders.customer_id = redemptions.customer_id and {same_day}
    )"""


def test_every_redemption_falls_on_a_shopping_day_of_the_business_calendar(
    complete_journey: duckdb.DuckDBPyConnection,
) -> None:
    same_day = REDEEMED_ON_A_SHOPPING_DAY.format(same_day="orders.business_date = redemptions.business_date")
    assert complete_journey.execute(same_day).fetchone() == (2_102,)


def test_in_utc_redemptions_would_miss_their_baskets(complete_journey: duckdb.DuckDBPyConnection) -> None:
    """The business time zone matters: an evening's basket is the next day in UTC."""
    in_utc = REDEEMED_ON_A_SHOPPING_DAY.format(
        same_day="cast(orders.ordered_at as date) = cast(redemptions.occurred_at as date)"
    )
    [(found,)] = complete_journey.execute(in_utc).fetchall()
    assert found < 2_102
    mapping = load_mapping(datasets_dir() / "complete_journey.yml")
    assert mapping.business_timezone == "America/New_York"


def test_complete_journey_has_no_purchase_after_its_last_day(complete_journey: duckdb.DuckDBPyConnection) -> None:
    """The last basket is on 1 January 2018 in UTC, which was New Year's Eve in the shop."""
    row = complete_journey.execute("select max(ordered_at)::varchar, max(business_date)::varchar from core.fct_orders")
    assert row.fetchone() == ("2018-01-01 04:01:20", "2017-12-31")


def test_a_version_has_no_personal_column(cdnow_home: Path) -> None:
    from orchestration.lib.contract import personal_columns

    with duckdb.connect(str(cdnow_home / "current" / "marts.duckdb"), read_only=True) as connection:
        rows = connection.execute("select column_name from duckdb_columns() where not internal").fetchall()
    names = {row[0] for row in rows}
    assert names.isdisjoint(personal_columns())
