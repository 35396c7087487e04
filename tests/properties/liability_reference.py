"""What points cost, the slow way and in exact fractions, from the entries of the reference's ledger.

A vintage is asked anew, at every end of a month, what became of each of its points; the chance of being redeemed is the
recursion "now, or else later" from one month of age to the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import cache

from tests.properties import earning_reference
from tests.properties.earning_reference import Points
from tests.properties.points_reference import Account, tier_before
from tests.properties.reference import ONE_DAY, Row, add_months, periods_between
from tests.properties.tier_reference import Member, Program, Walk

WITHDRAWN = ("reversed", "adjusted")


@dataclass(frozen=True)
class Fate:
    """Points of a vintage by the end of a month."""

    issued: int
    redeemed: int
    expired: int
    withdrawn: int

    @property
    def outstanding(self) -> int:
        return self.issued - self.redeemed - self.expired - self.withdrawn

    @property
    def kept(self) -> int:
        return self.issued - self.withdrawn


class Liability:
    """A programme's vintages, of the entries that have a lot."""

    def __init__(
        self, program: Program, accounts: Sequence[Account], members: Mapping[str, tuple[Member, Walk]], data_end: date
    ) -> None:
        assert program.points is not None
        self.program = program
        self.points: Points = program.points
        self.data_end = data_end
        self.rows = [row for account in accounts for row in account.rows if row["entry_type"] != "debt"]
        self.vintages = sorted({row["vintage_month"] for row in self.rows})
        self.sales = self._sales(members)
        self.share = cache(self._share)

    def _sales(self, members: Mapping[str, tuple[Member, Walk]]) -> list[tuple[date, int, int]]:
        """Of each order that gave points: when, what is left of its amount in cents, and of its points."""
        found = []
        for member, walk in members.values():
            orders = [order for order in member.orders if order.on >= member.since]
            tiers = {order.number: tier_before(self.program, walk, order.on) for order in orders}
            given = earning_reference.given(self.points, orders, tiers)
            for order in orders:
                left = order.cents - sum(refund.cents for refund in member.refunds if refund.order == order)
                gives = given.get(order.number, 0)
                if gives:
                    found.append((order.on, left, gives * max(left, 0) // order.cents))
        return found

    def months(self, vintage: date) -> list[date]:
        return list(periods_between("month", vintage, self.data_end))

    def is_complete(self, month: date) -> bool:
        return add_months(month, 1) <= self.data_end + ONE_DAY

    def fate(self, vintage: date, month: date) -> Fate:
        """By the end of a month."""
        mine = [
            row for row in self.rows
            if row["vintage_month"] == vintage and row["business_date"] < add_months(month, 1)
        ]  # fmt: skip

        def taken(*kinds: str) -> int:
            return -sum(row["points"] for row in mine if row["entry_type"] in kinds and row["points"] < 0)

        issued = sum(row["points"] for row in mine if row["points"] > 0)
        return Fate(issued, taken("redeemed"), taken("expired"), taken(*WITHDRAWN))

    def _share(self, age: int) -> tuple[Fraction, Fraction] | None:
        """Of the points of this age in months, what was redeemed and expired in that month; None if there were none."""
        redeemed = expired = there = 0
        for vintage in self.vintages:
            month = add_months(vintage, age)
            if month <= self.data_end and self.is_complete(month):
                now = self.fate(vintage, month)
                before = self.fate(vintage, add_months(month, -1)) if age else Fate(0, 0, 0, 0)
                redeemed += now.redeemed - before.redeemed
                expired += now.expired - before.expired
                there += now.outstanding + now.redeemed - before.redeemed + now.expired - before.expired
        return (Fraction(redeemed, there), Fraction(expired, there)) if there else None

    def chance(self, age: int) -> Fraction:
        """That a point which is there when this month of its age begins is ever redeemed."""
        shares = self.share(age)
        if shares is None:
            fates = [self.fate(vintage, self.months(vintage)[-1]) for vintage in self.vintages]
            redeemed, expired = sum(fate.redeemed for fate in fates), sum(fate.expired for fate in fates)
            return Fraction(redeemed, redeemed + expired) if redeemed + expired else Fraction(1)
        redeemed_now, expired_now = shares
        later = 1 - redeemed_now - expired_now
        return redeemed_now + (later * self.chance(age + 1) if later else 0)

    def estimated(self, vintage: date) -> Fraction:
        """Points of a vintage that are or will be redeemed, as the past lets expect at the end of the data."""
        months = self.months(vintage)
        age = next((n for n, month in enumerate(months) if not self.is_complete(month)), len(months))
        fate = self.fate(vintage, months[-1])
        return fate.redeemed + fate.outstanding * self.chance(age)

    def expected(self, vintage: date, month: date) -> Fraction:
        """The same as expected at the end of a month, by finance if it says so."""
        fate = self.fate(vintage, month)
        version = self.points.version_on(min(add_months(month, 1) - ONE_DAY, self.data_end))
        assert version is not None
        if version.redemption_rate is None:
            return max(self.estimated(vintage), Fraction(fate.redeemed))
        possible = min(Fraction(version.redemption_rate) * fate.kept, Fraction(fate.redeemed + fate.outstanding))
        return max(possible, Fraction(fate.redeemed))

    def allocated(self, vintage: date) -> Fraction:
        """Cents of a vintage's sales that were paid for its points."""
        priced = Fraction(0)
        for on, _, kept in self.sales:
            if on.replace(day=1) == vintage:
                version = self.points.version_on(on)
                assert version is not None
                rate = version.redemption_rate
                whole = self.fate(vintage, self.months(vintage)[-1]).kept
                today = self.estimated(vintage) / whole if whole else Fraction(0)
                priced += kept * Fraction(version.value) * 100 * (today if rate is None else Fraction(rate))
        paid = max(self.sold(vintage), 0)
        return paid * priced / (paid + priced) if paid + priced else Fraction(0)

    def sold(self, vintage: date) -> int:
        return sum(left for on, left, _ in self.sales if on.replace(day=1) == vintage)

    def recognised(self, vintage: date, month: date) -> Fraction:
        """Cents of that which are revenue by the end of a month."""
        fate, expected = self.fate(vintage, month), self.expected(vintage, month)
        if fate.outstanding == 0 or expected == 0:
            return self.allocated(vintage)
        return self.allocated(vintage) * fate.redeemed / expected

    def cost_of_a_point(self, vintage: date) -> Fraction:
        """What a point that was given in a month is expected to cost in the end; 0 where none is left."""
        if vintage not in self.vintages:
            return Fraction(0)
        month = self.months(vintage)[-1]
        kept, version = self.fate(vintage, month).kept, self.points.version_on(self.data_end)
        assert version is not None
        return self.expected(vintage, month) / kept * Fraction(version.cost) if kept else Fraction(0)

    def by_vintage(self) -> list[Row]:
        """Rows of tiers.points_liability; amounts as fractions of the currency."""
        rows = []
        for vintage in self.vintages:
            month = self.months(vintage)[-1]
            fate, expected = self.fate(vintage, month), self.expected(vintage, month)
            version = self.points.version_on(self.data_end)
            assert version is not None
            ahead = expected - fate.redeemed
            rows.append(
                {
                    "program_id": self.program.program_id,
                    "vintage_month": vintage,
                    "issued_points": fate.issued,
                    "redeemed_points": fate.redeemed,
                    "expired_points": fate.expired,
                    "withdrawn_points": fate.withdrawn,
                    "outstanding_points": fate.outstanding,
                    "expected_redemption_rate": float(expected / fate.kept) if fate.kept else None,
                    "outstanding_redemption_rate": float(ahead / fate.outstanding) if fate.outstanding else None,
                    "breakage_rate": fate.expired / fate.kept if fate.kept and not fate.outstanding else None,
                    "liability_amount": ahead * Fraction(version.cost),
                    "expected_cost_amount": expected * Fraction(version.cost),
                    "sales_amount": Fraction(self.sold(vintage), 100),
                    "allocated_amount": self.allocated(vintage) / 100,
                    "recognised_amount": self.recognised(vintage, month) / 100,
                    "deferred_amount": (self.allocated(vintage) - self.recognised(vintage, month)) / 100,
                }
            )
        return rows

    def by_month(self) -> dict[date, Fraction]:
        """Month → what is recognised by its end, of all vintages, in the currency."""
        return {
            month: sum((self.recognised(v, month) for v in self.vintages if v <= month), Fraction(0)) / 100
            for month in (periods_between("month", self.vintages[0], self.data_end) if self.vintages else [])
        }
