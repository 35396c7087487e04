"""Complete Journey as a panel: what households bought of all manufacturers of a category is what they bought of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest


@pytest.fixture(scope="module")
def panel(complete_journey_home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published marts, and as `work` what they were made from, read-only."""
    with duckdb.connect(str(complete_journey_home / "current" / "marts.duckdb"), read_only=True) as connection:
        private = complete_journey_home / "work" / "complete_journey" / "warehouse.duckdb"
        connection.execute(f"attach '{private}' as work (read_only)")
        yield connection


def test_shares_of_all_manufacturers_add_up_to_one(panel: duckdb.DuckDBPyConnection) -> None:
    """Per household, quarter and category, and of whatever was bought: 464,632 wallets of 302 categories."""
    [(count, categories, different)] = panel.execute(
        """
        with shares as (
            select wallets.customer_id, wallets.period_start_on, wallets.category, wallets.wallet_amount,
                sum(brands.spend_minor) / 100 as spend_amount,
                sum(brands.spend_minor / (wallets.wallet_amount * 100)) as shares
            from wallet.customer_wallets as wallets
            full join work.intermediate.int_brands_observed as brands
                using (customer_id, period_start_on, period_end_on, category, provenance)
            group by all
        )
        select count(*), count(distinct category),
            count(*) filter (
                spend_amount is distinct from wallet_amount or wallet_amount > 0 and abs(shares - 1) > 1e-9
            )
        from shares
        """
    ).fetchall()
    assert (count, categories, different) == (464_632, 302, 0)


def test_wallets_are_what_was_bought_of_the_category(panel: duckdb.DuckDBPyConnection) -> None:
    """In all, and of the chain's own labels: from the lines as they are published."""
    own = (
        "('3', '5', '16', '19', '20', '69', '886', '895', '903', '961', '1905', '2453', '2471', '2490', '2504', '5180',"
    )
    own += " '5359', '5483', '6075', '6260')"
    different = panel.execute(
        f"""
        with lines as (
            select category, date_trunc('quarter', business_date) as period_start_on, sum(line_amount) as wallet_amount,
                coalesce(sum(line_amount) filter (brand in {own}), 0) as own_amount
            from core.fct_order_lines
            where category is not null
            group by all
        ),
        wallets as (
            select category, period_start_on, sum(wallet_amount) as wallet_amount, sum(own_amount) as own_amount
            from wallet.customer_wallets
            group by all
        )
        select *
        from lines full join wallets using (category, period_start_on)
        where (lines.wallet_amount, lines.own_amount) is distinct from (wallets.wallet_amount, wallets.own_amount)
        """
    ).fetchall()
    assert different == []
    [(total,)] = panel.execute("select sum(wallet_amount) from wallet.customer_wallets").fetchall()
    [(lines,)] = panel.execute(
        "select sum(line_amount) from core.fct_order_lines where category is not null"
    ).fetchall()
    assert total == lines


def test_brands_add_up_to_what_was_bought_of_their_category(panel: duckdb.DuckDBPyConnection) -> None:
    """Households, days and money of every brand and category by plain counts of the published lines."""
    different = panel.execute(
        """
        with lines as (
            select date_trunc('quarter', business_date) as period_start_on, business_date, customer_id, line_amount,
                category, coalesce(brand, 'unknown') as brand
            from core.fct_order_lines
            where category is not null
        ),
        days as (
            select period_start_on, category, brand, count(distinct customer_id) as buyer_count,
                count(distinct (customer_id, business_date)) as purchase_count, sum(line_amount) as spend_amount
            from lines
            group by all
        ),
        categories as (
            select period_start_on, category, count(distinct customer_id) as category_buyer_count,
                count(distinct (customer_id, brand, business_date)) as category_purchase_count
            from lines
            group by all
        ),
        panels as (
            select period_start_on, count(distinct customer_id) as panel_count from lines group by all
        )
        select *
        from wallet.brand_panel as brands
        full join days using (period_start_on, category, brand)
        left join categories using (period_start_on, category)
        left join panels using (period_start_on)
        where (brands.buyer_count, brands.purchase_count, brands.spend_amount)
                is distinct from (days.buyer_count, days.purchase_count, days.spend_amount)
            or (brands.category_buyer_count, brands.category_purchase_count)
                is distinct from (categories.category_buyer_count, categories.category_purchase_count)
            or brands.panel_count <> panels.panel_count
        """
    ).fetchall()
    assert different == []


def test_double_jeopardy_shows_in_nearly_every_category(panel: duckdb.DuckDBPyConnection) -> None:
    """Of categories and quarters with five large brands: the more buyers a brand has, the more often they buy it."""
    [(categories, positive, median)] = panel.execute(
        """
        with categories as (
            select corr(penetration_rate, purchase_rate) as correlation
            from wallet.brand_panel
            where buyer_count >= 100
            group by period_start_on, category
            having count(*) >= 5
        )
        select count(*), count(*) filter (correlation > 0), median(correlation) from categories
        """
    ).fetchall()
    assert (categories, positive) == (113, 107)
    assert median == pytest.approx(0.831, abs=0.001)


def test_norms_are_near_to_what_large_brands_do(panel: duckdb.DuckDBPyConnection) -> None:
    """Half of 1,690 brands with a hundred buyers have as many as expected to 4 %, and their requirements to 5 %."""
    [(brands, categories, penetration, requirements, correlation)] = panel.execute(
        """
        select count(*),
            (select count(distinct (period_start_on, category)) from wallet.brand_panel where refusal is null),
            median(abs(penetration_rate / expected_penetration_rate - 1)),
            median(abs(scr_rate / expected_scr_rate - 1)), corr(scr_rate, expected_scr_rate)
        from wallet.brand_panel
        where buyer_count >= 100 and refusal is null
        """
    ).fetchall()
    assert (brands, categories) == (1690, 784)
    assert (penetration, requirements, correlation) == pytest.approx((0.040, 0.049, 0.976), abs=0.001)
