"""Random panels, surveys and baskets: every wallet mart equals the slow reference, row for row.

`TENURE_WALLET_EXAMPLES=2000 make test ARGS=tests/properties/test_wallet.py` for a long run.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.lib.forecast import brand_panels
from orchestration.lib.sql import literal
from tests.properties import wallet_reference
from tests.properties.reference import Row
from tests.properties.test_marts import assert_same, rows
from tests.properties.wallet_reference import Basket, Line, Period, Spend
from tests.support.project import CompiledProject, compiled, insert_contract_rows, memory_warehouse

EXAMPLES = int(os.environ.get("TENURE_WALLET_EXAMPLES", "60"))
FIRST_DAY, DATA_END = date(2023, 12, 20), date(2024, 4, 9)
# That after data_end, of which orders are accepted and not counted.
LAST_DAY = (DATA_END - FIRST_DAY).days + 1
OWN_BRANDS = ("us", "our's")
BRANDS = (*OWN_BRANDS, "x", "y", "unknown")
MONTHS = {"month": 1, "quarter": 3, "year": 12}
QUARTER, HALF_YEAR = Period(date(2024, 1, 1), date(2024, 3, 31)), Period(date(2024, 1, 1), date(2024, 6, 30))
LAST_QUARTER = Period(date(2023, 10, 1), date(2023, 12, 31))
LAST_HALF_YEAR = Period(date(2023, 7, 1), date(2023, 12, 31))
TOLERANCE = 0.05
KEY = ["customer_id", "period_start_on", "period_end_on", "category", "provenance"]
SLOW = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

# What is drawn clusters, so that wallets have several brands, which tie.
WHO = st.sampled_from(["a"] * 4 + ["b", "c", "alias_of_a"])
CATEGORIES = st.sampled_from(["tea"] * 4 + ["hats"])
CENTS = st.sampled_from([100] * 4 + [0, 1, 250, 333, None])
PERIODS = st.sampled_from([QUARTER] * 4 + [LAST_QUARTER] * 3 + [HALF_YEAR, LAST_HALF_YEAR])
OBSERVED = st.tuples(
    WHO, PERIODS, CATEGORIES, st.sampled_from(BRANDS), st.sampled_from(["panel"] * 3 + ["survey", None])
)
OF_BRAND = st.tuples(CENTS, st.sampled_from([None] * 12 + [1, 2, 2, 2.5, 7]))
# Many at once, so that there are wallets of periods that follow each other.
OBSERVATIONS = st.one_of(
    st.dictionaries(OBSERVED, OF_BRAND, max_size=20),
    st.dictionaries(OBSERVED, OF_BRAND, min_size=12, max_size=25),
)
LINES = st.lists(
    st.tuples(st.one_of(CATEGORIES, st.none()), st.sampled_from([*BRANDS, None]), st.one_of(CENTS, st.just(-50))),
    max_size=5,
)
BASKETS = st.lists(
    st.tuples(
        st.sampled_from(["a", "a", "b", "d", "alias_of_a", None]),
        st.one_of(st.integers(0, LAST_DAY), st.sampled_from([11, 12, 102, 103, LAST_DAY])),
        st.sampled_from(["completed"] * 5 + ["cancelled"]),
        LINES,
        st.sampled_from([0, 0, 1, 99, 500, 2000]),
    ),
    max_size=8,
)


class Case(NamedTuple):
    """What is known, as the reference takes it and as contract rows."""

    observed: Sequence[Spend]
    baskets: Sequence[Basket]
    segments: dict[str, Sequence[tuple[str, str]]]
    contract: dict[str, list[Row]]

    def spends(self, grain: str) -> list[Spend]:
        lines = wallet_reference.spends_of(self.baskets, MONTHS[grain], DATA_END) if grain else ()
        return [*self.observed, *lines]

    @contextmanager
    def warehouse(self, project: CompiledProject) -> Iterator[duckdb.DuckDBPyConnection]:
        with memory_warehouse() as connection:
            for table, contract_rows in self.contract.items():
                insert_contract_rows(connection, table, contract_rows)
            project.build(connection)
            yield connection


@cache
def project_of(grain: str) -> CompiledProject:
    variables = {"own_brands": OWN_BRANDS, "panel_period": grain, "data_end": str(DATA_END),
                 "segment_labels": ["acquisition_channel"], "wallet_share_tolerance": TOLERANCE,
                 "duplication_brands_most": 3}  # fmt: skip
    return compiled(json.dumps(variables)).made_of("wallet_shares", "wallet_changes", "brand_panel")


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12)


def merged(customer: str) -> str:
    return "a" if customer == "alias_of_a" else customer


def money(cents: int | None) -> Decimal | None:
    return None if cents is None else Decimal(cents) / 100


@st.composite
def cases(draw: st.DrawFn) -> Case:
    contract: dict[str, list[Row]] = defaultdict(list)
    contract["identity_map"] = [{"alias_id": "alias_of_a", "customer_id": "a"}]
    observed = []
    for (customer, period, category, brand, source), (cents, rank) in draw(OBSERVATIONS).items():
        observed.append(Spend(merged(customer), period, category, brand, source or "panel", cents, rank))
        contract["wallet_observations"].append(
            {"customer_id": customer, "period_start": period.starts_on, "period_end": period.ends_on, "rank": rank,
             "category": category, "brand": brand, "source": source, "spend": money(cents)}
        )  # fmt: skip
    baskets, known = [], {spend.customer_id for spend in observed}
    for number, (who, days, status, lines, refunded) in enumerate(draw(BASKETS)):
        on = FIRST_DAY + timedelta(days=days)
        known |= {merged(who)} if who else set()
        if status == "completed":
            baskets.append(Basket(merged(who) if who else None, on, [Line(*line) for line in lines], refunded))
        contract["orders"].append(
            {"order_id": number, "customer_id": who, "ordered_at": noon(on), "amount": 5, "status": status}
        )
        contract["order_lines"] += [
            {"order_id": number, "line_number": place, "category": category, "brand": brand, "amount": money(cents)}
            for place, (category, brand, cents) in enumerate(lines)
        ]
        if refunded:
            contract["refunds"].append(
                {"refund_id": number, "order_id": number, "refunded_at": noon(on), "amount": money(refunded)}
            )
    channels = draw(st.dictionaries(st.sampled_from(["a", "b", "e"]), st.sampled_from(["web", "shop", None])))
    contract["customers"] = [{"customer_id": c, "acquisition_channel": channel} for c, channel in channels.items()]
    has_channels = any(channels.values())
    segments = {
        customer: [("all", "all"), *([("acquisition_channel", channels.get(customer) or "unknown")] * has_channels)]
        for customer in known | channels.keys()
    }
    return Case(observed, baskets, segments, contract)


@SLOW
@given(case=cases(), grain=st.sampled_from(["", *MONTHS]))
def test_every_wallet_mart_equals_the_reference(case: Case, grain: str) -> None:
    wallets = wallet_reference.customer_wallets(case.spends(grain), OWN_BRANDS)
    shares = wallet_reference.wallet_shares(wallets, case.segments)
    changes = wallet_reference.wallet_changes(wallets, DATA_END, TOLERANCE)
    with case.warehouse(project_of(grain)) as connection:
        assert_same(rows(connection, "wallet.customer_wallets"), wallets, KEY)
        assert_same(rows(connection, "wallet.wallet_shares"), shares, [*KEY[1:], "segment_name", "segment_value"])
        built = rows(connection, "wallet.wallet_changes")
    assert_same(built, changes, KEY)
    for row in built:
        assert row["wallet_effect_amount"] + row["share_effect_amount"] == row["own_change_amount"]
        shares_of = row["own_amount"] / row["wallet_amount"] + row["earlier_own_amount"] / row["earlier_wallet_amount"]
        assert abs(row["wallet_effect_amount"] - row["wallet_change_amount"] * shares_of / 2) < Decimal("0.0051")


@SLOW
@given(case=cases(), grain=st.sampled_from(["", *MONTHS]))
def test_every_mart_of_brands_equals_the_reference_and_a_fit_is_refused_in_words(case: Case, grain: str) -> None:
    brands, pairs = wallet_reference.brand_marts(case.spends(grain), OWN_BRANDS, most=3)
    project = project_of(grain)
    [panel] = [node for node in project.nodes if node.name == "brand_panel"]
    with case.warehouse(project) as connection:
        outcome = brand_panels.fit(connection, fewest_buyers=1)
        panel.make(connection)
        found = rows(connection, "wallet.brand_panel")
        assert_same(found, brands, [*KEY[1:], "brand"])
        assert_same(rows(connection, "wallet.brand_duplication"), pairs, [*KEY[1:], "brand", "other_brand"])
    assert outcome.fitted_count + outcome.refused.total() == len(
        {tuple(row[name] for name in KEY[1:]) for row in brands}
    )
    for row in found:
        assert (row["s"] is None) == (row["expected_scr_rate"] is None) == (row["refusal"] is not None)
        if row["s"] is not None:
            assert 0 < row["expected_sole_rate"] <= row["expected_scr_rate"] <= 1
            assert row["expected_purchase_rate"] >= 1 - 1e-6


@SLOW
@given(case=cases())
def test_each_brand_in_turn_being_ours_shares_and_scores_add_up_to_one(case: Case) -> None:
    project = project_of("quarter")
    wallets = [node for node in project.nodes if node.name in ("int_wallets_observed", "customer_wallets")]
    shares: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    with case.warehouse(project) as connection:
        for brand in BRANDS:
            connection.execute(f"update intermediate.int_brands_observed set is_own = brand = {literal(brand)}")
            for model in wallets:
                model.make(connection)
            for row in rows(connection, "wallet.customer_wallets"):
                shares[tuple(row[name] for name in KEY)].append(row)
    for of_brands in shares.values():
        scores = [row["war_score"] for row in of_brands if row["war_score"] is not None]
        assert len(scores) == of_brands[0]["ranked_count"]
        assert not scores or sum(scores) == pytest.approx(1)
        if of_brands[0]["raw_ratio"] is not None:
            assert sum(row["raw_ratio"] for row in of_brands) == pytest.approx(1)
            assert sum(row["own_amount"] for row in of_brands) == of_brands[0]["wallet_amount"]
