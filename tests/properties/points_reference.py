"""The marts of points computed the slow and obvious way: each member's events in their order, lots in a list.

Conventions: points are `int`, timestamps UTC, which is the business time zone too. `lot` of a row is (source_type,
source_id) of what gave the lot, None where an entry is of no lot. An expiry has no source_id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from tests.properties import earning_reference
from tests.properties.earning_reference import Points
from tests.properties.reference import ONE_DAY, Row, add_months, periods_between
from tests.properties.tier_reference import Member, Program, Walk

TURNS = ("earned", "adjusted_up", "reinstated", "reversed", "adjusted_down", "redeemed")
"""Of things at the same time, after what expires."""


class Interaction(NamedTuple):
    """`program_id` as the detail has it."""

    interaction_id: str
    customer_id: str
    at: datetime
    interaction_type: str
    score: Decimal | None
    program_id: str | None


class Event(NamedTuple):
    """What gives points, or takes them where `points` are negative. Events are in the order of their tuples."""

    at: datetime
    turn: int
    source_id: str
    source_type: str
    entry_type: str
    points: int


@dataclass
class Lot:
    source: tuple[str, str]
    at: datetime
    expires: date | None
    """As known when it was given."""
    left: int


@dataclass
class Debt:
    event: Event
    left: int


def tier_before(program: Program, walk: Walk, day: date) -> str:
    """The tier that an order of the day is multiplied by."""
    if walk.reasons.get(day) in ("enrolled", "upgraded"):
        rank, _ = walk.tiers.get(day - ONE_DAY, (0, False))
    else:
        rank, _ = walk.tiers[day]
    return program.tiers[rank]


def events(member: Member, walk: Walk, points: Points, interactions: Iterable[Interaction]) -> list[Event]:
    """Everything that gives or takes points of a member, in its order; of interactions those of the programme."""
    orders = [order for order in member.orders if order.on >= member.since]
    tiers = {order.number: tier_before(member.program, walk, order.on) for order in orders}
    given = earning_reference.given(points, orders, tiers)
    found: list[tuple[str, datetime, str, str, int]] = []
    for order in orders:
        gives = given.get(order.number, 0)
        found.append(("earned", order.at, "order", str(order.number), gives))
        for refund, taken in earning_reference.reversals(order, gives, member.refunds):
            found.append(("reversed", refund.counts_at, "refund", str(refund.number), -taken))
    for interaction in interactions:
        on = interaction.at.date()
        is_members = interaction.customer_id == member.customer_id and on >= member.since
        if not is_members or points.version_on(on) is None or interaction.score is None:
            continue
        score = int(interaction.score.quantize(Decimal(1), ROUND_HALF_UP))
        source = ("interaction", interaction.interaction_id)
        if interaction.interaction_type == "points_adjusted":
            found.append(("adjusted_up" if score > 0 else "adjusted_down", interaction.at, *source, score))
        elif interaction.interaction_type == "points_reinstated":
            found.append(("reinstated", interaction.at, *source, max(score, 0)))
        elif interaction.interaction_type == "points_redeemed":
            found.append(("redeemed", interaction.at, *source, -max(score, 0)))
    return sorted(
        Event(at, TURNS.index(turn), source_id, source_type, turn.split("_")[0], change)
        for turn, at, source_type, source_id, change in found
        if change
    )


@dataclass
class Account:
    """A member's points of a programme; `rows` are those of points_ledger."""

    program_id: str
    customer_id: str
    points: Points
    lots: list[Lot] = field(default_factory=list)
    debts: list[Debt] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    lapses: date | None = None
    """Of expiry by activity: when all that is left expires."""

    def take_all(self, happened: Iterable[Event], data_end: date) -> None:
        for event in happened:
            if event.at.date() <= data_end:
                self.expire(event.at.date())
                self.give(event) if event.points > 0 else self.take(event)
        self.expire(data_end)

    def open_lots(self) -> list[Lot]:
        """Lots with points left, in the order in which they are taken from; those that expire at once as given."""
        lots = [lot for lot in self.lots if lot.left > 0]
        if self.points.expiry_type == "fixed":
            lots.sort(key=lambda lot: lot.expires or date.max)
        return lots

    def expires_on(self, lot: Lot) -> date | None:
        """When what is left of a lot is gone if nothing more happens."""
        return self.lapses if self.points.expiry_type == "activity" else lot.expires

    def expire(self, until: date) -> None:
        while due := [day for lot in self.open_lots() if (day := self.expires_on(lot)) and day <= until]:
            day = min(due)
            for lot in [lot for lot in self.open_lots() if self.expires_on(lot) == day]:
                self.write("expired", ("expiry", None), -lot.left, datetime.combine(day, time()), lot)
                lot.left = 0

    def give(self, event: Event) -> None:
        lasts_until = self.lasts_until(event.at.date())
        if self.points.expiry_type == "activity":
            self.lapses = lasts_until
        elif lasts_until is not None:
            lasts_until = max([lasts_until, *(lot.expires for lot in self.lots if lot.expires)])
        lot = Lot((event.source_type, event.source_id), event.at, lasts_until, event.points)
        self.lots.append(lot)
        self.write(event.entry_type, lot.source, lot.left, event.at, lot)
        for debt in self.debts:
            paid = min(lot.left, debt.left)
            if paid:
                lot.left -= paid
                debt.left -= paid
                source = (debt.event.source_type, debt.event.source_id)
                self.write(debt.event.entry_type, source, -paid, event.at, lot)
                self.write("debt", source, paid, event.at, None)

    def take(self, event: Event) -> None:
        if event.entry_type == "redeemed" and self.points.expiry_type == "activity":
            self.lapses = self.lasts_until(event.at.date())
        owed = -event.points
        source = (event.source_type, event.source_id)
        for lot in self.open_lots():
            taken = min(lot.left, owed)
            if taken:
                lot.left -= taken
                owed -= taken
                self.write(event.entry_type, source, -taken, event.at, lot)
        if owed:
            self.debts.append(Debt(event, owed))
            self.write("debt", source, -owed, event.at, None)

    def lasts_until(self, day: date) -> date | None:
        version = self.points.version_on(day)
        assert version is not None
        return None if version.expiry_months is None else add_months(day, version.expiry_months)

    def write(
        self, entry_type: str, source: tuple[str, str | None], points: int, at: datetime, lot: Lot | None
    ) -> None:
        self.rows.append(
            {
                "program_id": self.program_id,
                "customer_id": self.customer_id,
                "entry_type": entry_type,
                "source_type": source[0],
                "source_id": source[1],
                "lot": lot.source if lot else None,
                "points": points,
                "occurred_at": at,
                "business_date": at.date(),
                "expires_on": lot.expires if lot else None,
                "vintage_month": lot.at.date().replace(day=1) if lot else None,
            }
        )


def of_program(program: Program, programs: Sequence[Program], interactions: Iterable[Interaction]) -> list[Interaction]:
    """Those that are of a programme: that of their detail, or else the first that has points."""
    first = min(other.program_id for other in programs if other.points)
    return [i for i in interactions if (i.program_id or first) == program.program_id]


def accounts(
    program: Program,
    members: Mapping[str, tuple[Member, Walk]],
    interactions: Sequence[Interaction],
    data_end: date,
) -> list[Account]:
    """Accounts that have an entry, of a programme that has points."""
    assert program.points is not None
    found = []
    for customer_id, (member, walk) in members.items():
        account = Account(program.program_id, customer_id, program.points)
        account.take_all(events(member, walk, program.points, interactions), data_end)
        if account.rows:
            found.append(account)
    return found


def sums(rows: Iterable[Row]) -> Row:
    """Points by entry type as the marts have them: redeemed, expired and reversed are positive."""
    totals = dict.fromkeys(("earned", "adjusted", "reinstated", "redeemed", "expired", "reversed"), 0)
    for row in rows:
        if row["entry_type"] != "debt":
            totals[row["entry_type"]] += row["points"]
    return {
        f"{kind}_points": -total if kind in ("redeemed", "expired", "reversed") else total
        for kind, total in totals.items()
    }


def points_balances(found: Iterable[Account]) -> list[Row]:
    """Rows of tiers.points_balances."""
    rows = []
    for account in found:
        lots = account.open_lots()
        expiring = min((day for lot in lots if (day := account.expires_on(lot))), default=None)
        rows.append(
            {
                "program_id": account.program_id,
                "customer_id": account.customer_id,
                "balance_points": sum(lot.left for lot in lots),
                "debt_points": sum(debt.left for debt in account.debts),
                **sums(account.rows),
                "open_lot_count": len(lots),
                "next_expires_on": expiring,
                "next_expiring_points": sum(
                    lot.left for lot in lots if expiring and account.expires_on(lot) == expiring
                ),
            }
        )
    return rows


def points_rollforward(program: Program, found: Sequence[Account], data_end: date) -> list[Row]:
    """Rows of tiers.points_rollforward."""
    entries = [row for account in found for row in account.rows]
    if not entries:
        return []
    rows = []
    for month in periods_between("month", min(row["business_date"] for row in entries), data_end):
        after = add_months(month, 1)
        before = [row for row in entries if row["business_date"] < month]
        until = [row for row in entries if row["business_date"] < after]
        rows.append(
            {
                "program_id": program.program_id,
                "month": month,
                "opening_points": sum(row["points"] for row in before if row["entry_type"] != "debt"),
                **sums(row for row in until if row["business_date"] >= month),
                "closing_points": sum(row["points"] for row in until if row["entry_type"] != "debt"),
                "debt_points": -sum(row["points"] for row in until if row["entry_type"] == "debt"),
                "is_complete": after <= data_end + ONE_DAY,
            }
        )
    return rows
