"""Random histories under random rules: every tier mart equals the slow reference, row for row.

`TENURE_TIER_EXAMPLES=2000 make test ARGS=tests/properties/test_tiers.py` for a long run; each example is of several
members in two programmes.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.lib.tiers import rules as rule_files
from tests.properties import churn_reference, tier_reference
from tests.properties.churn_reference import Event, Silence
from tests.properties.earning_reference import Order, Refund
from tests.properties.reference import Purchase, Row, add_months
from tests.properties.test_churn import VARIABLES
from tests.properties.test_marts import assert_same, rows
from tests.properties.tier_reference import Member, Override, Program, Rule, Walk
from tests.support.project import compiled, insert_contract_rows, memory_warehouse, write_tier_files

EXAMPLES = int(os.environ.get("TENURE_TIER_EXAMPLES", "40"))
FIRST_DAY = date(2023, 10, 29)
LAST_DAY = 460
CUSTOMERS = ("a", "b", "c")
TIERS = ("base", "silver", "gold", "platinum")
METRICS = tuple(metric for metric in rule_files.METRICS if metric != "points")
"""Those of programmes without points."""
MARTS = ("tier_history", "member_tiers", "tier_movements", "tier_economics")
KEYS = {
    "tier_history": ["program_id", "customer_id", "valid_from"],
    "member_tiers": ["program_id", "customer_id"],
    "tier_movements": ["program_id", "month", "from_tier", "to_tier"],
    "tier_economics": ["program_id", "month", "tier"],
}
SLOW = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)

# Month ends, the turn of a year, the leap day; days cluster, so that windows end on days on which something happens.
DAYS = st.one_of(
    st.integers(0, LAST_DAY),
    st.integers(0, 80),
    st.sampled_from([0, 2, 3, 33, 63, 64, 94, 123, 124, 152, 153, 366, 367, 430]),
)
CENTS = st.sampled_from([0, 1, 5_000, 9_999, 10_000, 25_000])
ORDER = st.tuples(
    st.sampled_from([*CUSTOMERS, "a", "a", "alias_of_a"]),
    DAYS,
    CENTS,
    st.sampled_from(["completed"] * 7 + ["cancelled"]),
    st.sampled_from([None, 0, 3_000, 10_000]),
)
REFUNDS = st.lists(
    st.tuples(
        st.integers(0, 99),
        st.sampled_from([-2, 0, 1, 5, 15, 30, 31, 90, 200]),
        st.sampled_from([1, 5_000, 10_000, 30_000]),
    ),
    max_size=9,
)
CLOSURES = st.lists(st.tuples(st.sampled_from(CUSTOMERS), DAYS), max_size=3)


@st.composite
def versions(draw: st.DrawFn) -> dict[int, date]:
    begins = [date(1900, 1, 1), *(FIRST_DAY + timedelta(days=d) for d in sorted(draw(st.sets(DAYS, max_size=3))))]
    # A programme may begin within the data.
    begins = begins[1:] if len(begins) > 1 and draw(st.booleans()) else begins
    return dict(enumerate(begins, start=1))


@st.composite
def rules_of_version(draw: st.DrawFn, version: int, top: int, metrics: Sequence[str]) -> list[Rule]:
    windows = st.tuples(
        st.sampled_from(
            [
                "rolling_months",
                "rolling_months",
                "calendar_months",
                "calendar_year",
                "enrolment_anniversary",
                "lifetime",
            ]
        ),
        st.integers(1, 5),
    )
    terms = st.tuples(
        st.sampled_from([0, 0, 1, 2, 6, 12]),
        st.sampled_from([0, 0, 1, 10, 40, 150]),
        st.sampled_from(rule_files.LANDINGS),
    )
    metric, window, term = draw(st.sampled_from(metrics)), draw(windows), draw(terms)
    is_uniform = draw(st.booleans())
    least: dict[Any, int] = defaultdict(int)
    found = []
    for rank in range(1, top + 1):
        if not is_uniform:
            metric, window, term = draw(st.sampled_from(metrics)), draw(windows), draw(terms)
        months = window[1] if window[0] in rule_files.MOVING_WINDOWS else None
        measure = (metric, window[0], months)
        steps = {"spend": [1, 4_999, 5_000, 10_000], "points": [1, 49, 50, 100]}.get(metric, [1, 1, 2])
        least[measure] += draw(st.sampled_from(steps))
        found.append(Rule(version, rank, metric, least[measure], window[0], months, *term))
    return found


@st.composite
def programs(draw: st.DrawFn, program_id: str, metrics: Sequence[str] = METRICS) -> Program:
    begins = draw(versions())
    top = draw(st.integers(1, 3))
    rules = [rule for version in begins for rule in draw(rules_of_version(version, top, metrics))]
    overrides = []
    for customer in draw(st.one_of(st.just(set()), st.sets(st.sampled_from(CUSTOMERS), max_size=2))):
        bounds = sorted(draw(st.sets(DAYS, min_size=1, max_size=4)))
        days: list[date | None] = [FIRST_DAY + timedelta(days=bound) for bound in bounds]
        days += [None] * (len(days) % 2)
        for begins_on, ends_on in zip(days[::2], days[1::2], strict=True):
            assert begins_on is not None
            overrides.append(Override(customer, draw(st.integers(0, top)), begins_on, ends_on))
    return Program(
        program_id,
        TIERS[: top + 1],
        draw(st.lists(st.sampled_from([0, 1, 250]), min_size=top + 1, max_size=top + 1)),
        draw(st.sampled_from(rule_files.MEMBERSHIPS)),
        draw(st.booleans()),
        begins,
        rules,
        overrides,
    )


@dataclass(frozen=True)
class Case:
    """What happened, as the reference takes it and as contract rows; and the programmes."""

    orders: Sequence[Order]
    refunds: Sequence[Refund]
    closures: Sequence[Event]
    enrolled: dict[str, date]
    data_end: date
    programs: Sequence[Program]
    contract: dict[str, list[Row]]

    @contextmanager
    def marts(self, *names: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """Marts of tiers, built from the contract rows under these programmes."""
        with TemporaryDirectory() as folder, memory_warehouse() as connection:
            write_rules(Path(folder), self.programs)
            for table, contract_rows in self.contract.items():
                insert_contract_rows(connection, table, contract_rows)
            compiled(json.dumps(VARIABLES), seeds=Path(folder)).made_of(*names).build(connection)
            yield connection

    def members(self, program: Program) -> dict[str, tuple[Member, Walk]]:
        found = tier_reference.members(program, self.orders, self.refunds, self.enrolled, self.data_end)
        return {member.customer_id: (member, member.walk(self.data_end)) for member in found}

    def silences(self) -> list[Silence]:
        purchases = [Purchase(order.customer_id, order.on, order.cents) for order in self.orders]
        rules = churn_reference.rules(VARIABLES, causes={})
        return churn_reference.silences(purchases, self.closures, self.data_end, {}, rules)

    def walks(self, program: Program) -> dict[str, Walk]:
        return {customer_id: walk for customer_id, (_, walk) in self.members(program).items()}


def at_noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12)


@st.composite
def cases(
    draw: st.DrawFn,
    of: Sequence[st.SearchStrategy[Program]] = (programs("one"), programs("two")),
    least_orders: int = 1,
) -> Case:
    orders: list[Order] = []
    contract: dict[str, list[Row]] = {"orders": [], "refunds": [], "customers": [], "interactions": []}
    contract["identity_map"] = [{"alias_id": "alias_of_a", "customer_id": "a"}]
    history = st.lists(ORDER, min_size=least_orders, max_size=20).filter(
        lambda orders: any(order[3] == "completed" for order in orders)
    )
    drawn = draw(history)
    last_order_on = FIRST_DAY + timedelta(days=max(day for _, day, _, status, _ in drawn if status == "completed"))
    data_end = last_order_on + timedelta(days=draw(st.sampled_from([0, 0, 1, 13, 40, 100, 250])))
    for number, (customer, days, cents, status, cost) in enumerate(drawn):
        on = min(FIRST_DAY + timedelta(days=days), data_end)
        if status == "completed":
            orders.append(Order(number, "a" if customer == "alias_of_a" else customer, at_noon(on), cents, cost))
        contract["orders"].append(
            {"order_id": number, "customer_id": customer, "ordered_at": at_noon(on), "amount": Decimal(cents) / 100,
             "status": status, "cost_amount": None if cost is None else Decimal(cost) / 100}
        )  # fmt: skip
    refunds = []
    for number, (choice, after, cents) in enumerate(draw(REFUNDS)):
        # The number after the last is of no order.
        order_number = choice % (len(drawn) + 1)
        order = next((order for order in orders if order.number == order_number), None)
        on = min((order.on if order else FIRST_DAY) + timedelta(days=after), data_end + timedelta(days=1))
        if order is not None:
            refunds.append(Refund(number, order, at_noon(on), cents))
        contract["refunds"].append(
            {"refund_id": number, "order_id": order_number, "refunded_at": at_noon(on), "amount": Decimal(cents) / 100}
        )
    enrolled = {
        customer: FIRST_DAY + timedelta(days=days)
        for customer, days in draw(st.dictionaries(st.sampled_from(CUSTOMERS), DAYS)).items()
    }
    contract["customers"] = [{"customer_id": c, "enrolled_at": at_noon(on)} for c, on in enrolled.items()]
    # Enrolment comes with the customers or as an interaction; one of these may not move the watermark.
    by_interaction = {c for c in draw(st.sets(st.sampled_from(CUSTOMERS))) if enrolled.get(c, date.max) <= data_end}
    for row in contract["customers"]:
        if row["customer_id"] in by_interaction:
            row["enrolled_at"] = None
    closures = [
        Event(customer, min(FIRST_DAY + timedelta(days=days), data_end), "account_closed", number)
        for number, (customer, days) in enumerate(draw(CLOSURES))
    ]
    contract["interactions"] = [
        {"interaction_id": 1, "interaction_type": "visit", "occurred_at": at_noon(data_end)},
        *({"interaction_id": c, "customer_id": c, "interaction_type": "enrolled", "occurred_at": at_noon(enrolled[c])}
          for c in sorted(by_interaction)),
        *({"interaction_id": f"closure_{event.number}", "customer_id": event.customer_id,
           "interaction_type": event.kind, "occurred_at": at_noon(event.on)} for event in closures),
    ]  # fmt: skip
    return Case(orders, refunds, closures, enrolled, data_end, [draw(program) for program in of], contract)


def write_rules(folder: Path, of: Sequence[Program]) -> None:
    """The rule files of these programmes, which are found to be in order."""
    lines: dict[str, list[Sequence[Any]]] = defaultdict(list)
    for program in of:
        name = program.program_id
        lines["tier_programs"].append([name, name, program.membership, str(program.is_history_counted).lower()])
        lines["tiers"] += [
            [name, tier, rank, Decimal(cents) / 100]
            for rank, (tier, cents) in enumerate(zip(program.tiers, program.benefit_cents, strict=True))
        ]
        for rule in program.rules:
            threshold = Decimal(rule.threshold) / 100 if rule.metric == "spend" else rule.threshold
            lines["tier_rules"].append(
                [name, rule.version, program.versions[rule.version], program.tiers[rule.rank], rule.metric, threshold,
                 rule.window_type, rule.window_months or "", rule.extension_months, rule.grace_days, rule.soft_landing]
            )  # fmt: skip
        for override in program.overrides:
            lines["tier_overrides"].append(
                [name, override.customer_id, program.tiers[override.rank], override.begins, override.ends or "", "test"]
            )
        for number, version in enumerate(program.points.versions if program.points else [], start=1):
            assert program.points is not None
            caps = [version.order_cap, version.day_cap, version.month_cap]
            worth = [version.value, version.cost, version.redemption_rate]
            lines["points_rules"].append(
                [name, number, version.begins, program.points.expiry_type,
                 *("" if value is None else value for value in (version.expiry_months, *caps, *worth))]
            )  # fmt: skip
            multipliers = {("order", ""): version.per_unit, **version.multipliers}
            lines["earn_rules"] += [[name, number, *what, f"{value:f}"] for what, value in multipliers.items()]
    write_tier_files(folder, lines)


def check_tiers(connection: duckdb.DuckDBPyConnection, case: Case) -> None:
    """Every tier mart equals the reference and keeps the laws."""
    expected: dict[str, list[Row]] = {mart: [] for mart in MARTS}
    for program in case.programs:
        walks = case.walks(program)
        expected["tier_history"] += tier_reference.tier_history(program, walks)
        expected["member_tiers"] += tier_reference.member_tiers(program, walks, case.data_end)
        expected["tier_movements"] += tier_reference.tier_movements(
            program, walks, case.orders, case.refunds, case.data_end
        )
        expected["tier_economics"] += tier_reference.tier_economics(
            program, walks, case.orders, case.refunds, case.silences(), case.data_end
        )
    built = {mart: rows(connection, f"tiers.{mart}") for mart in MARTS}
    for mart in MARTS:
        assert_same(built[mart], expected[mart], KEYS[mart])
    check_laws(built, case.data_end)


@SLOW
@given(case=cases())
def test_every_tier_mart_equals_the_reference(case: Case) -> None:
    with case.marts(*MARTS) as connection:
        check_tiers(connection, case)


def check_laws(built: dict[str, list[Row]], data_end: date) -> None:
    """One tier at any instant, from membership on; the matrix adds up to the members."""
    by_member: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in sorted(built["tier_history"], key=lambda row: row["valid_from"]):
        by_member[row["program_id"], row["customer_id"]].append(row)
    members = {(row["program_id"], row["customer_id"]): row for row in built["member_tiers"]}
    assert members.keys() == by_member.keys()
    for key, history in by_member.items():
        assert history[0]["valid_from"] == members[key]["member_since_on"]
        assert history[0]["change_reason"] == "enrolled"
        for row, following in pairwise(history):
            assert row["valid_from"] < row["valid_to"] == following["valid_from"] <= data_end
            assert (row["tier"], row["is_override"]) != (following["tier"], following["is_override"])
        assert history[-1]["valid_to"] is None
        assert history[-1]["tier"] == members[key]["tier"]
        assert history[-1]["valid_from"] == members[key]["tier_since_on"]
    for program_id in ("one", "two"):
        month = FIRST_DAY.replace(day=1)
        while month <= data_end:
            cells = [r for r in built["tier_movements"] if (r["program_id"], r["month"]) == (program_id, month)]
            for eve, side in ((month - timedelta(days=1), "from_tier"),
                              (min(add_months(month, 1) - timedelta(days=1), data_end), "to_tier")):  # fmt: skip
                held: dict[str, int] = defaultdict(int)
                for (owner, _), history in by_member.items():
                    for row in history:
                        if (
                            owner == program_id
                            and row["valid_from"] <= eve
                            and (not row["valid_to"] or eve < row["valid_to"])
                        ):
                            held[row["tier"]] += 1
                moved: dict[str, int] = defaultdict(int)
                for cell in cells:
                    if cell[side] != "new":
                        moved[cell[side]] += cell["member_count"]
                assert moved == held
            month = add_months(month, 1)


@SLOW
@given(case=cases(), more=st.lists(st.tuples(st.sampled_from(CUSTOMERS), DAYS, CENTS), min_size=1, max_size=3))
def test_buying_more_never_lowers_a_tier(case: Case, more: list[tuple[str, int, int]]) -> None:
    """Where nothing is given back, and landing on base takes nothing away."""
    gentle = [
        replace(
            program,
            membership="enrolled",
            rules=[
                replace(r, soft_landing="full" if r.soft_landing == "base" else r.soft_landing) for r in program.rules
            ],
        )
        for program in case.programs
    ]
    before = replace(case, programs=gentle, contract={**case.contract, "refunds": []})
    further = [
        {"order_id": f"more_{number}", "customer_id": customer, "amount": Decimal(cents) / 100, "status": "completed",
         "ordered_at": at_noon(min(FIRST_DAY + timedelta(days=days), case.data_end))}
        for number, (customer, days, cents) in enumerate(more)
    ]  # fmt: skip
    after = replace(before, contract={**before.contract, "orders": [*case.contract["orders"], *further]})
    histories = []
    for shop in (before, after):
        with shop.marts("tier_history") as connection:
            histories.append(rows(connection, "tiers.tier_history"))
    for row in histories[0]:
        for other in histories[1]:
            is_same_member = all(row[name] == other[name] for name in ("program_id", "customer_id"))
            starts = max(row["valid_from"], other["valid_from"])
            ends = min(row["valid_to"] or date.max, other["valid_to"] or date.max)
            if is_same_member and starts < ends:
                assert other["tier_rank"] >= row["tier_rank"]
