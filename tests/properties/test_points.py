"""Random histories under random rules: every mart of points equals the slow reference, row for row, and keeps the laws.

`TENURE_TIER_EXAMPLES=2000 make test ARGS=tests/properties/test_points.py` for a long run.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.lib.tiers import rules as rule_files
from tests.properties import points_reference
from tests.properties.earning_reference import Points, PointsVersion
from tests.properties.liability_reference import Liability
from tests.properties.points_reference import Interaction
from tests.properties.reference import Row
from tests.properties.test_marts import assert_same, rows
from tests.properties.test_tiers import (
    CUSTOMERS,
    DAYS,
    FIRST_DAY,
    SLOW,
    Case,
    at_noon,
    cases,
    check_tiers,
    programs,
    versions,
)
from tests.properties.test_tiers import MARTS as TIER_MARTS
from tests.properties.tier_reference import Program

MARTS = ("points_ledger", "points_balances", "points_rollforward")
FLOWS = {"earned": 1, "adjusted": 1, "reinstated": 1, "redeemed": -1, "expired": -1, "reversed": -1}
"""What has a lot, by the sign that its sums have."""

TIMES = st.sampled_from([time(12), time(12), time(12), time(), time(9, 30), time(23, 59, 59)])
CATEGORIES = ("shoes", "hats", "ties")
LINES = st.lists(
    st.tuples(st.sampled_from([None, *CATEGORIES]), st.sampled_from([-5_000, 0, 1, 33, 3_333, 5_000, 20_000])),
    max_size=4,
)
MULTIPLIERS = st.sampled_from([Decimal(text) for text in ("0", "0.333", "0.5", "1", "1.125", "2")])
CAPS = st.sampled_from([None, None, None, 1, 60, 120, 300])
AMOUNTS = st.sampled_from([Decimal(text) for text in ("0", "0.01", "0.005", "1")])
RATES = st.sampled_from([None, None, Decimal("0"), Decimal("0.5"), Decimal("0.95"), Decimal("1")])
INTERACTIONS = st.lists(
    st.tuples(
        st.sampled_from([*CUSTOMERS, "a", "alias_of_a"]),
        st.integers(0, 99),
        st.sampled_from([0, 0, 0, 1, 2, 29, 30, 31, 60, 92, 200]),
        TIMES,
        st.sampled_from([*["points_redeemed"] * 4, *["points_adjusted"] * 3, "points_reinstated", "visit"]),
        st.sampled_from(["100", "50", "1000", "40.5", "2.5", "0.4", "-2.5", "-60", "-500", "1", "0", None]),
        st.sampled_from([None, None, "{}", "as agreed", *(f'{{"program_id": "{p}"}}' for p in ("one", "two", "none"))]),
    ),
    min_size=4,
    max_size=16,
)


@st.composite
def point_rules(draw: st.DrawFn, tiers: Sequence[str]) -> Points:
    expiry_type = draw(st.sampled_from([*rule_files.EXPIRIES, "fixed"]))
    subjects = [
        *(("tier", tier) for tier in tiers), ("channel", "web"), ("campaign", "spring"),
        *(("category", category) for category in CATEGORIES),
    ]  # fmt: skip
    return Points(
        expiry_type,
        [
            PointsVersion(
                begins,
                None if expiry_type == "never" else draw(st.sampled_from([1, 1, 2, 3, 6, 13])),
                draw(st.sampled_from([Decimal(text) for text in ("1", "1", "1", "1.234567", "10", "0.000001", "0")])),
                draw(st.dictionaries(st.sampled_from(subjects), MULTIPLIERS)),
                draw(CAPS),
                draw(CAPS),
                draw(CAPS),
                draw(AMOUNTS),
                draw(AMOUNTS),
                draw(RATES),
            )
            for begins in draw(versions()).values()
        ],
    )


@st.composite
def programs_with_points(draw: st.DrawFn, program_id: str) -> Program:
    program = draw(programs(program_id, rule_files.METRICS))
    return replace(program, points=draw(point_rules(program.tiers)))


@dataclass(frozen=True)
class PointsCase:
    """A history of tiers, with what points make of it."""

    case: Case
    interactions: Sequence[Interaction]

    def expected(self) -> dict[str, list[Row]]:
        """The rows of MARTS."""
        found: dict[str, list[Row]] = defaultdict(list)
        data_end, programs = self.case.data_end, self.case.programs
        for program in programs:
            if program.points is None:
                continue
            of_it = points_reference.of_program(program, programs, self.interactions)
            accounts = points_reference.accounts(program, self.case.members(program), of_it, data_end)
            found["points_ledger"] += [row for account in accounts for row in account.rows]
            found["points_balances"] += points_reference.points_balances(accounts)
            found["points_rollforward"] += points_reference.points_rollforward(program, accounts, data_end)
        return found


@st.composite
def points_cases(draw: st.DrawFn) -> PointsCase:
    having = draw(st.sampled_from([("one", "two"), ("one",), ("two",)]))
    of = [programs_with_points(name) if name in having else programs(name) for name in ("one", "two")]
    case = draw(cases(of, least_orders=6))
    contract = {table: [dict(row) for row in contract_rows] for table, contract_rows in case.contract.items()}
    orders = {order.number: order for order in case.orders}
    contract["order_lines"] = []
    for row in contract["orders"]:
        row["ordered_at"] = datetime.combine(row["ordered_at"].date(), draw(TIMES))
        row["channel"] = draw(st.sampled_from([None, "web", "web", "shop"]))
        row["campaign_id"] = draw(st.sampled_from([None, None, "spring", "autumn"]))
        lines = tuple(draw(LINES))
        contract["order_lines"] += [
            {"order_id": row["order_id"], "line_number": number, "category": category, "amount": Decimal(cents) / 100}
            for number, (category, cents) in enumerate(lines, start=1)
        ]
        if order := orders.get(row["order_id"]):
            orders[order.number] = order._replace(
                at=row["ordered_at"], channel=row["channel"], campaign_id=row["campaign_id"], lines=lines
            )
    for row in contract["refunds"]:
        row["refunded_at"] = datetime.combine(row["refunded_at"].date(), draw(TIMES))
    refunded = {row["refund_id"]: row["refunded_at"] for row in contract["refunds"]}
    refunds = [
        refund._replace(order=orders[refund.order.number], at=refunded[refund.number]) for refund in case.refunds
    ]
    interactions = []
    for number, (customer, choice, after, at, what, score, detail) in enumerate(draw(INTERACTIONS)):
        # Near an order, and at times at the very time of one.
        near = contract["orders"][choice % len(contract["orders"])]["ordered_at"].date() + timedelta(days=after)
        row = {"interaction_id": f"i{number}", "customer_id": customer, "interaction_type": what, "score": score,
               "occurred_at": datetime.combine(min(near, case.data_end), at), "detail": detail}  # fmt: skip
        contract["interactions"].append(row)
        named = json.loads(detail).get("program_id") if detail and detail.startswith("{") else None
        interactions.append(
            Interaction(
                row["interaction_id"],
                "a" if customer == "alias_of_a" else customer,
                row["occurred_at"],
                what,
                None if score is None else Decimal(score),
                named,
            )
        )
    return PointsCase(replace(case, orders=list(orders.values()), refunds=refunds, contract=contract), interactions)


def by_source_of_lot(ledger: Iterable[Row]) -> list[Row]:
    """Rows of the mart with `lot`, the source of the entry that gave it, instead of keys."""
    entries = list(ledger)
    assert len({row["entry_id"] for row in entries}) == len(entries)
    gave = {row["lot_id"]: (row["source_type"], row["source_id"]) for row in entries if row["points"] > 0}
    assert len(gave) - (None in gave) == sum(row["points"] > 0 and row["lot_id"] is not None for row in entries)
    found = []
    for row in entries:
        lot = None if row["lot_id"] is None else gave[row["lot_id"]]
        found.append({**row, "lot": lot, "source_id": None if row["source_type"] == "expiry" else row["source_id"]})
    return found


def counted(some: Iterable[Row], columns: Iterable[str]) -> Counter[tuple[Any, ...]]:
    """Rows without a key: two lots that are given at one time may pay the same of one debt."""
    names = sorted(columns)
    return Counter(tuple(row[name] for name in names) for row in some)


def built_marts(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Row]]:
    return {mart: rows(connection, f"tiers.{mart}") for mart in MARTS}


@SLOW
@given(points=points_cases())
def test_every_mart_of_points_equals_the_reference(points: PointsCase) -> None:
    expected = points.expected()
    with points.case.marts(*MARTS, *TIER_MARTS) as connection:
        built = built_marts(connection)
        # Tiers too: points may be what they ask for.
        check_tiers(connection, points.case)
    built["points_ledger"] = by_source_of_lot(built["points_ledger"])
    columns = {name for row in expected["points_ledger"] for name in row}
    assert counted(built["points_ledger"], columns) == counted(expected["points_ledger"], columns)
    assert_same(built["points_balances"], expected["points_balances"], ["program_id", "customer_id"])
    assert_same(built["points_rollforward"], expected["points_rollforward"], ["program_id", "month"])
    check_laws(built, {program.program_id: program for program in points.case.programs}, points.case.data_end)


def check_laws(built: Mapping[str, Sequence[Row]], programs: Mapping[str, Program], data_end: date) -> None:
    """What must hold of points whatever happens; of the ledger with `lot` for a lot's source."""
    ledger = sorted(built["points_ledger"], key=lambda row: row["occurred_at"])
    by_member: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in ledger:
        by_member[row["program_id"], row["customer_id"]].append(row)
        assert row["business_date"] == row["occurred_at"].date() <= data_end
        assert row["points"] != 0
        assert (row["lot"] is None) == (row["entry_type"] == "debt")
    balances = {(row["program_id"], row["customer_id"]): row for row in built["points_balances"]}
    assert balances.keys() == by_member.keys()
    for (program_id, customer_id), entries in by_member.items():
        points = programs[program_id].points
        assert points is not None
        left, owed = check_lots(entries, points.expiry_type, data_end)
        balance = balances[program_id, customer_id]
        assert balance["balance_points"] == left == closing_of(balance)
        assert balance["debt_points"] == owed
    for program_id in programs:
        months = [row for row in built["points_rollforward"] if row["program_id"] == program_id]
        mine = [row for row in balances.values() if row["program_id"] == program_id]
        before = 0
        for month in sorted(months, key=lambda row: row["month"]):
            assert month["opening_points"] == before
            assert month["closing_points"] == before + closing_of(month)
            before = month["closing_points"]
        assert before == sum(row["balance_points"] for row in mine)
        for kind in FLOWS:
            name = f"{kind}_points"
            assert sum(row[name] for row in months) == sum(row[name] for row in mine)


def closing_of(row: Row) -> int:
    """What the flows of a balance or month come to."""
    return sum(sign * int(row[f"{kind}_points"]) for kind, sign in FLOWS.items())


def check_lots(entries: Sequence[Row], expiry_type: str, data_end: date) -> tuple[int, int]:
    """Replays a member's entries, sorted by time: what is left of the lots, and owed, at the end."""
    lots: dict[tuple[str, str], int] = {}
    given_at: dict[tuple[str, str], datetime] = {}
    expires: dict[tuple[str, str], date] = {}
    gone: set[tuple[str, str]] = set()
    owed = 0

    for at, group in groupby(entries, key=lambda row: row["occurred_at"]):
        now = list(group)
        owed -= sum(row["points"] for row in now if row["entry_type"] == "debt")
        taken_from = set()
        for row in sorted((row for row in now if row["lot"]), key=lambda row: row["points"] < 0):
            lot = row["lot"]
            assert lot not in gone
            if row["points"] > 0:
                assert lot not in lots
                # None expires before one that was given earlier, so first given is first to expire.
                if expiry_type == "fixed":
                    assert row["expires_on"] >= max(expires.values(), default=FIRST_DAY)
                lots[lot], given_at[lot], expires[lot] = 0, at, row["expires_on"]
            assert row["expires_on"] == expires[lot]
            assert row["vintage_month"] == given_at[lot].date().replace(day=1)
            lots[lot] += row["points"]
            if row["entry_type"] == "expired":
                assert at.time() == time()
            elif row["points"] < 0:
                taken_from.add(lot)
            if expiry_type == "fixed":
                assert at < at_midnight(row["expires_on"]) or row["entry_type"] == "expired"
        gone |= {row["lot"] for row in now if row["entry_type"] == "expired"}
        assert all(left >= 0 for left in lots.values())
        assert all(lots[lot] == 0 for lot in gone)
        assert owed >= 0
        assert owed == 0 or not any(lots.values())
        for lot in taken_from:
            assert not any(left for other, left in lots.items() if given_at[other] < given_at[lot])
    if expiry_type == "fixed":
        assert not any(left for lot, left in lots.items() if expires[lot] <= data_end)
    return sum(lots.values()), owed


def at_midnight(day: date) -> datetime:
    return datetime.combine(day, time())


def until(case: Case, day: date) -> Case:
    """What was known at the end of a day; a visit on it moves the watermark there."""
    times = {"orders": "ordered_at", "refunds": "refunded_at", "interactions": "occurred_at"}
    contract = dict(case.contract)
    for table, column in times.items():
        contract[table] = [row for row in contract[table] if row[column].date() <= day]
    known = {row["order_id"] for row in contract["orders"]}
    contract["order_lines"] = [row for row in contract["order_lines"] if row["order_id"] in known]
    visit = {"interaction_id": "cut", "interaction_type": "visit", "occurred_at": at_noon(day)}
    contract["interactions"] = [*contract["interactions"], visit]
    return replace(case, contract=contract, data_end=day)


@SLOW
@given(points=points_cases())
def test_what_points_cost_equals_the_reference(points: PointsCase) -> None:
    """Rates to 1e-9; amounts to the cent, for a half may be rounded either way."""
    case = points.case
    with case.marts("points_liability", "points_rollforward", "tier_economics") as connection:
        economics = rows(connection, "tiers.tier_economics")
        built = {(row["program_id"], row["vintage_month"]): row for row in rows(connection, "tiers.points_liability")}
        months = {(row["program_id"], row["month"]): row for row in rows(connection, "tiers.points_rollforward")}
    found = 0
    for program in case.programs:
        if program.points is None:
            continue
        of_it = points_reference.of_program(program, case.programs, points.interactions)
        members = case.members(program)
        accounts = points_reference.accounts(program, members, of_it, case.data_end)
        liability = Liability(program, accounts, members, case.data_end)
        for expected in liability.by_vintage():
            found += 1
            row = built[program.program_id, expected["vintage_month"]]
            for column, value in expected.items():
                if isinstance(value, Fraction):
                    assert abs(Fraction(row[column]) - value) <= Fraction(11, 1000), column
                elif isinstance(value, float):
                    assert row[column] == pytest.approx(value, abs=1e-9), column
                else:
                    assert row[column] == value, column
            assert row["allocated_amount"] == row["recognised_amount"] + row["deferred_amount"]
        for month in {row["month"] for row in economics if row["program_id"] == program.program_id}:
            tiers = [row for row in economics if (row["program_id"], row["month"]) == (program.program_id, month)]
            kept = sum(kept for on, _, kept in liability.sales if on.replace(day=1) == month)
            assert sum(row["earned_points"] for row in tiers) == kept
            # Each may be rounded.
            cost = liability.cost_of_a_point(month) * kept
            assert abs(Fraction(sum(row["points_cost_amount"] for row in tiers)) - cost) <= Fraction(len(tiers), 180)
        total = Decimal(0)
        for month, recognised in liability.by_month().items():
            total += months[program.program_id, month]["recognised_amount"]
            assert abs(Fraction(total) - recognised) <= Fraction(11 * len(liability.vintages), 1000)
    assert len(built) == found
    for program_id in {program_id for program_id, _ in built}:
        deferred = sum(row["deferred_amount"] for (owner, _), row in built.items() if owner == program_id)
        last = max(month for owner, month in months if owner == program_id)
        assert months[program_id, last]["deferred_amount"] == deferred


@SLOW
@given(points=points_cases(), days=DAYS)
def test_the_past_of_the_ledger_stands(points: PointsCase, days: int) -> None:
    day = min(FIRST_DAY + timedelta(days=days), points.case.data_end)
    ledgers = []
    for case in (until(points.case, day), points.case):
        with case.marts("points_ledger") as connection:
            ledgers.append(rows(connection, "tiers.points_ledger"))
    earlier, later = ledgers
    past = [row for row in later if row["business_date"] <= day]
    columns = {name for row in past for name in row}
    assert counted(earlier, columns) == counted(past, columns)


@SLOW
@given(points=points_cases())
def test_spending_points_never_changes_a_tier(points: PointsCase) -> None:
    saved = [row for row in points.case.contract["interactions"] if row["interaction_type"] != "points_redeemed"]
    histories = []
    for case in (points.case, replace(points.case, contract={**points.case.contract, "interactions": saved})):
        with case.marts("tier_history") as connection:
            history = rows(connection, "tiers.tier_history")
        histories.append(counted(history, {name for row in history for name in row}))
    assert histories[0] == histories[1]
