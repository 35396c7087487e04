"""Whether two ways to the marts came to the same figures: row for row, money to the cent, rates to 1e-9."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from orchestration.lib.sql import literal


@dataclass(frozen=True)
class Mart:
    """What is compared of a mart: its key, its exact columns, its rates, and which rows of the product's."""

    table: str
    exact: tuple[str, ...]
    rates: tuple[str, ...] = ()
    where: str = "true"


MARTS = (
    Mart(
        "core.fct_orders",
        ("order_id", "customer_id", "ordered_at", "business_date", "status", "net_amount", "order_number"),
    ),
    Mart(
        "core.dim_customers",
        (
            "customer_id", "first_order_on", "last_order_on", "cohort_month", "order_count", "purchase_day_count",
            "net_amount",
        ),
    ),
    Mart(
        "core.fct_customer_months",
        ("customer_id", "month", "order_count", "purchase_day_count", "net_at_order_date_amount"),
    ),
    Mart(
        "retention.retention_cohorts",
        (
            "period_grain", "retention_mode", "cohort_start_on", "period_index", "cohort_size", "eligible_count",
            "active_count", "active_on_or_after_count", "net_amount",
        ),
        where="segment_name = 'all'",
    ),
    Mart(
        "retention.growth_accounting",
        (
            "period_grain", "period_start_on", "active_count", "new_count", "retained_count", "resurrected_count",
            "churned_count", "revenue_amount", "new_amount", "resurrected_amount", "expansion_amount",
            "contraction_amount", "churned_amount",
        ),
    ),
    Mart(
        "retention.net_revenue_retention",
        (
            '"window"', "window_end_on", "base_count", "base_amount", "base_current_amount", "kept_amount",
            "resurrected_amount", "new_amount", "start_count", "end_count", "new_count",
        ),
    ),
    Mart(
        "retention.repeat_purchase_curves",
        ("from_purchase_number", "days_since", "at_risk_count", "event_count", "censored_count"),
        rates=("survival_rate",),
    ),
    Mart("retention.revenue_by_cohort", ("cohort_month", "month", "customer_count", "net_amount")),
)  # fmt: skip


def differences(product: Path, other: Path) -> dict[str, int]:
    """Rows by which each mart differs, those of either side that the other lacks; empty when all are equal.

    Args:
        product: the product's DuckDB file.
        other: another's DuckDB file, or folder of Parquet files.
    """
    found = {}
    with duckdb.connect() as connection:
        connection.execute(f"attach {literal(str(product))} as product (read_only)")
        if not other.is_dir():
            connection.execute(f"attach {literal(str(other))} as other (read_only)")
        for mart in MARTS:
            name = mart.table.split(".")[1]
            relation = (
                f"read_parquet({literal(str(other / f'{name}.parquet'))})" if other.is_dir() else f"other.{mart.table}"
            )
            # Whatever type the other has for it: an amount is whole cents, a rate the ninth digit.
            types = dict(
                connection.execute(f"select column_name, column_type from (describe product.{mart.table})").fetchall()
            )
            exact = ", ".join(f"cast({name} as {types[name.strip(chr(34))]}) as {name}" for name in mart.exact)
            rates = "".join(f", round({name}, 9) as {name}" for name in mart.rates)
            sides = [
                f"select {exact}{rates} from product.{mart.table} where {mart.where}",
                f"select {exact}{rates} from {relation}",
            ]
            rows = sum(
                int(connection.execute(f"select count(*) from ({a} except all {b})").fetchall()[0][0])
                for a, b in (sides, reversed(sides))
            )
            if rows:
                found[mart.table] = rows
    return found
