"""What an order gives before tiers, in exact fractions: amounts of categories, multipliers, caps, refunds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import NamedTuple

MILLION = 1_000_000


class Order(NamedTuple):
    """A completed order. `number` names it for its refunds; `cents` are before refunds, `cost` is None where it is not
    known; lines are (category, cents).
    """

    number: int
    customer_id: str
    at: datetime
    cents: int
    cost: int | None = None
    channel: str | None = None
    campaign_id: str | None = None
    lines: tuple[tuple[str | None, int], ...] = ()

    @property
    def on(self) -> date:
        return self.at.date()


class Refund(NamedTuple):
    number: int
    order: Order
    at: datetime
    cents: int

    @property
    def on(self) -> date:
        return self.at.date()

    @property
    def counts_at(self) -> datetime:
        return max(self.at, self.order.at)


@dataclass(frozen=True)
class PointsVersion:
    """A row of points_rules with its earn_rules: `per_unit` of every order, `multipliers` by (applies_to, value);
    `value` and `cost` of a point."""

    begins: date
    expiry_months: int | None
    per_unit: Decimal
    multipliers: Mapping[tuple[str, str], Decimal] = field(default_factory=dict)
    order_cap: int | None = None
    day_cap: int | None = None
    month_cap: int | None = None
    value: Decimal = Decimal("0.01")
    cost: Decimal = Decimal("0.01")
    redemption_rate: Decimal | None = None

    def multiplier(self, applies_to: str, value: str | None) -> Fraction:
        return Fraction(self.multipliers.get((applies_to, value or ""), 1))

    def millionths(self, order: Order) -> int:
        """Millionths of points that an order gives before tiers and caps."""
        told_apart: dict[str, int] = defaultdict(int)
        for category, cents in order.lines:
            if category is not None and ("category", category) in self.multipliers:
                told_apart[category] += cents
        lines = {category: cents for category, cents in told_apart.items() if cents > 0}
        whole = sum(lines.values())
        if whole > order.cents:
            lines = {category: cents * order.cents // whole for category, cents in lines.items()}
        parts: list[tuple[str | None, int]] = [*lines.items(), (None, order.cents - sum(lines.values()))]
        of_order = (
            Fraction(self.per_unit)
            * self.multiplier("channel", order.channel)
            * self.multiplier("campaign", order.campaign_id)
        )
        given = Fraction(0)
        for category, cents in parts:
            product = floor(of_order * self.multiplier("category", category) * MILLION + Fraction(1, 2))
            given += Fraction(cents, 100) * product
        return floor(given)


@dataclass(frozen=True)
class Points:
    """A programme's points; the first of `versions` is version 1."""

    expiry_type: str
    versions: Sequence[PointsVersion]

    def version_on(self, day: date) -> PointsVersion | None:
        return max((v for v in self.versions if v.begins <= day), key=lambda v: v.begins, default=None)


def given(points: Points, orders: Iterable[Order], tiers: Mapping[int, str] | None = None) -> dict[int, int]:
    """Order number → points of a member's orders, by the tier held before each order where tiers are given."""
    found: dict[int, int] = {}
    of_day: dict[date, int] = defaultdict(int)
    of_month: dict[tuple[date, date], int] = defaultdict(int)
    for order in sorted(orders, key=lambda order: (order.at, str(order.number))):
        version = points.version_on(order.on)
        if version is None:
            continue
        of_tier = version.multiplier("tier", tiers[order.number]) if tiers is not None else 1
        gives = floor(version.millionths(order) * of_tier / Fraction(MILLION))
        month = (version.begins, order.on.replace(day=1))
        for cap, before in (
            (version.order_cap, 0), (version.day_cap, of_day[order.on]), (version.month_cap, of_month[month])
        ):  # fmt: skip
            if cap is not None:
                gives = min(gives, cap - before)
        of_day[order.on] += gives
        of_month[month] += gives
        found[order.number] = gives
    return found


def reversals(order: Order, points: int, refunds: Iterable[Refund]) -> Iterator[tuple[Refund, int]]:
    """What each refund takes back of an order's points."""
    left, stood = order.cents, points
    mine = [refund for refund in refunds if refund.order == order]
    for refund in sorted(mine, key=lambda refund: (refund.counts_at, str(refund.number))):
        left -= refund.cents
        stands = max(points * left // order.cents, 0) if points else 0
        yield refund, stood - stands
        stood = stands
