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
