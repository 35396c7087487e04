"""Random small histories: every retention mart equals the slow reference, and every identity of the metrics holds."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.lib.settings import PROJECT_ROOT
from tests.properties import reference
from tests.properties.reference import Purchase, Row
from tests.support.project import CompiledProject, compiled, insert_contract_rows, memory_warehouse

FIRST_DAY = date(2023, 11, 20)
CUSTOMERS = ["a", "b", "c", "d", "e"]
CHANNELS = st.sampled_from([None, "web", "shop"])

# Days cluster, so that same-day orders, adjacent periods and long silences all occur.
DAYS = st.one_of(st.integers(0, 520), st.integers(0, 70), st.sampled_from([0, 41, 42, 101, 102, 132, 406]))
ORDERS = st.lists(
    st.tuples(
        st.sampled_from([*CUSTOMERS, "alias_of_a", None]),
        DAYS,
        st.sampled_from([0, 1, 999, 12_345, 100_000]),
        st.sampled_from(["completed", "completed", "completed", "completed", None, "cancelled", "test"]),
        st.sampled_from([None, None, None, 1, 500, 12_345]),
    ),
    min_size=1,
    max_size=25,
).filter(lambda orders: any(order[3] in ("completed", None) for order in orders))


class History:
    """Contract rows of one history, and the same as the reference takes it."""

    def __init__(self, orders: list[tuple[Any, ...]], channels: dict[str, str | None], days_after: int) -> None:
        self.orders: list[Row] = []
        self.refunds: list[Row] = []
        self.purchases: list[Purchase] = []
        for number, (customer, day, cents, status, refund_cents) in enumerate(orders):
            on = FIRST_DAY + timedelta(days=day)
            self.orders.append(
                {
                    "order_id": number,
                    "customer_id": customer,
                    "ordered_at": datetime(on.year, on.month, on.day, 12),
                    "amount": Decimal(cents) / 100,
                    "status": status,
                }
            )
            if refund_cents:
                self.refunds.append(
                    {
                        "refund_id": number,
                        "order_id": number,
                        "refunded_at": datetime(on.year, on.month, on.day, 12) + timedelta(days=45),
                        "amount": Decimal(refund_cents) / 100,
                    }
                )
            if status in ("completed", None):
                whose = "a" if customer == "alias_of_a" else customer
                self.purchases.append(Purchase(whose, on, cents - (refund_cents or 0)))
        self.data_end = max(purchase.purchased_on for purchase in self.purchases) + timedelta(days=days_after)
        self.channels = channels
        buyers = {purchase.customer_id for purchase in self.purchases if purchase.customer_id}
        everybody = {("a" if order["customer_id"] == "alias_of_a" else order["customer_id"]) for order in self.orders}
        known = {c for c in everybody if c} | set(channels)
        has_channels = any(channels.get(customer) for customer in known)
        self.labels = {
            customer: {"acquisition_channel": channels.get(customer) or "unknown"} if has_channels else {}
            for customer in buyers
        }

    def warehouse(self, project: CompiledProject, interactions: Sequence[Row] = ()) -> duckdb.DuckDBPyConnection:
        connection = memory_warehouse()
        insert_contract_rows(connection, "orders", self.orders)
        insert_contract_rows(connection, "refunds", self.refunds)
        insert_contract_rows(connection, "identity_map", [{"alias_id": "alias_of_a", "customer_id": "a"}])
        insert_contract_rows(
            connection,
            "customers",
            [{"customer_id": c, "acquisition_channel": channel} for c, channel in self.channels.items()],
        )
        # An anonymous visit moves the watermark past the last order.
        visit = {"interaction_id": 1, "interaction_type": "visit", "occurred_at": f"{self.data_end} 12:00:00"}
        insert_contract_rows(connection, "interactions", [visit, *interactions])
        project.build(connection)
        return connection


HISTORIES = st.builds(
    History,
    ORDERS,
    st.dictionaries(st.sampled_from(CUSTOMERS), CHANNELS),
    st.sampled_from([0, 0, 1, 13, 40, 200]),
)


def rows(connection: duckdb.DuckDBPyConnection, table: str) -> list[Row]:
    cursor = connection.execute(f"select * from marts.{table}")
    assert cursor.description is not None
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def brackets() -> list[tuple[str, int, int]]:
    with (PROJECT_ROOT / "seeds" / "retention_bracket_bounds.csv").open() as file:
        return [(row["period_grain"], int(row["from_index"]), int(row["to_index"])) for row in csv.DictReader(file)]


def assert_same(built: list[Row], expected: list[Row], key: list[str]) -> None:
    """Equal row for row by key, over the columns of the reference; floats to 1e-9."""
    left = {tuple(row[name] for name in key): row for row in built}
    right = {tuple(row[name] for name in key): row for row in expected}
    assert len(left) == len(built)
    assert left.keys() == right.keys()
    for name, row in right.items():
        for column, value in row.items():
            found = left[name][column]
            if isinstance(value, float):
                assert found == pytest.approx(value, abs=1e-9), (name, column)
            else:
                assert found == value, (name, column)


COHORT_KEY = ["period_grain", "retention_mode", "segment_name", "segment_value", "cohort_start_on"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(history=HISTORIES)
def test_every_retention_mart_equals_the_reference_and_keeps_its_identities(history: History) -> None:
    connection = history.warehouse(compiled())
    purchases, data_end = history.purchases, history.data_end
    with connection:
        cohorts = rows(connection, "retention.retention_cohorts")
        assert_same(
            cohorts,
            reference.retention_cohorts(purchases, data_end, labels=history.labels),
            [*COHORT_KEY, "period_index"],
        )
        assert_same(
            rows(connection, "retention.retention_brackets"),
            reference.retention_brackets(purchases, data_end, brackets=brackets(), labels=history.labels),
            [*COHORT_KEY, "from_index", "to_index"],
        )
        growth = rows(connection, "retention.growth_accounting")
        assert_same(growth, reference.growth_accounting(purchases, data_end), ["period_grain", "period_start_on"])
        nrr = rows(connection, "retention.net_revenue_retention")
        assert_same(nrr, reference.net_revenue_retention(purchases, data_end), ["window", "window_end_on"])
        curves = rows(connection, "retention.repeat_purchase_curves")
        assert_same(
            curves, reference.repeat_purchase_curves(purchases, data_end), ["from_purchase_number", "days_since"]
        )
        assert_same(
            rows(connection, "retention.revenue_by_cohort"),
            reference.revenue_by_cohort(purchases, data_end),
            ["cohort_month", "month"],
        )
        accounts = rows(connection, "quality.load_accounting")
        customers = rows(connection, "core.dim_customers")
        months = rows(connection, "core.fct_customer_months")
        orders = rows(connection, "core.fct_orders")

    for row in accounts:
        fates = ["accepted", "quarantined", "copy", "superseded", "filtered", "erased"]
        assert sum(row[f"{fate}_count"] for fate in fates) == row["rows_read"]
    identified = sum((o["net_amount"] for o in orders if o["is_identified"]), Decimal(0))
    assert sum((c["net_amount"] for c in customers), Decimal(0)) == identified
    assert sum((m["net_at_order_date_amount"] for m in months), Decimal(0)) == identified
    assert sum((m["net_at_refund_date_amount"] for m in months), Decimal(0)) == identified
    check_growth_identities(growth)
    # Where more was refunded than paid, NRR counts less than nothing and GRR nothing.
    is_over_refunded = any(purchase.cents < 0 for purchase in purchases)
    for row in nrr:
        if row["nrr_rate"] is not None and not is_over_refunded:
            assert row["grr_rate"] <= min(1, row["nrr_rate"]) + 1e-12
    for row in cohorts:
        if row["eligible_count"]:
            assert row["active_count"] <= row["active_on_or_after_count"] <= row["eligible_count"] <= row["cohort_size"]


def check_growth_identities(growth: list[Row]) -> None:
    for grain in ("week", "month"):
        spine = sorted((row for row in growth if row["period_grain"] == grain), key=lambda row: row["period_start_on"])
        for before, row in zip([None, *spine], spine, strict=False):
            assert row["active_count"] == row["new_count"] + row["retained_count"] + row["resurrected_count"]
            if row["is_complete"] and before is not None:
                assert before["active_count"] == row["retained_count"] + row["churned_count"]
                assert row["revenue_amount"] == (
                    before["revenue_amount"]
                    + row["new_amount"]
                    + row["resurrected_amount"]
                    + row["expansion_amount"]
                    - row["contraction_amount"]
                    - row["churned_amount"]
                )
