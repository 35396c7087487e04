"""The tiers of CDNOW: members by tier at the end of June 1998 as they are known, and any day by a plain sum."""

from __future__ import annotations

import duckdb


def test_cdnow_members_by_tier(cdnow: duckdb.DuckDBPyConnection) -> None:
    """Lower bounds inclusive: an order bronze, 50 silver, 150 gold, 400 platinum; no order in twelve months: none."""
    rows = cdnow.execute("select tier, count(*) from tiers.member_tiers group by tier").fetchall()
    assert dict(rows) == {"none": 15_238, "bronze": 3_479, "silver": 2_964, "gold": 1_421, "platinum": 468}


def test_cdnow_history_is_the_sum_of_twelve_months_on_any_day(cdnow: duckdb.DuckDBPyConnection) -> None:
    """The first and the last day of each month, by a sum over the orders that lie in the window on that day."""
    different = cdnow.execute(
        """
        with days as (
            select date_on from core.dim_dates where is_in_data and (day(date_on) = 1 or date_on = last_day(date_on))
        ),
        sums as (
            select days.date_on, orders.customer_id, count(*) as orders, sum(orders.net_amount) as spend
            from days
            inner join core.fct_orders as orders
                on orders.is_valid_sale and orders.business_date <= days.date_on
                and orders.business_date + interval 12 months > days.date_on
            group by all
        )
        select days.date_on, history.customer_id, history.tier, sums.spend
        from tiers.tier_history as history
        inner join days
            on history.valid_from <= days.date_on and coalesce(history.valid_to, '9999-12-31') > days.date_on
        left join sums on sums.customer_id = history.customer_id and sums.date_on = days.date_on
        where history.tier <> case
            when sums.spend >= 400 then 'platinum' when sums.spend >= 150 then 'gold'
            when sums.spend >= 50 then 'silver' when sums.orders >= 1 then 'bronze' else 'none' end
        """
    ).fetchall()
    assert different == []
