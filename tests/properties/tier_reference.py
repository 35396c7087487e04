"""The tier marts computed the slow and obvious way: members walk from day to day, and each day asks every rule anew.

Nothing is shared with the models: a sum is the sum over all orders that count on the day, not a running one; a tier is
what today's rules and yesterday's validities give, not an interval. The walk goes on beyond the end of the data,
without purchases, until the tier is lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import NamedTuple

from tests.properties import earning_reference
from tests.properties.churn_reference import Silence, is_there, month_states
from tests.properties.earning_reference import Order, Points, Refund
from tests.properties.reference import ONE_DAY, Row, add_months, amount, period_start, periods_between, ratio

MOVING = ("rolling_months", "calendar_months")


@dataclass(frozen=True)
class Rule:
    """A row of tier_rules; `threshold` in cents, or as a number of orders, days or points."""

    version: int
    rank: int
    metric: str
    threshold: int
    window_type: str
    window_months: int | None
    extension_months: int
    grace_days: int
    soft_landing: str


class Override(NamedTuple):
    customer_id: str
    rank: int
    begins: date
    ends: date | None


@dataclass(frozen=True)
class Program:
    program_id: str
    tiers: Sequence[str]
    """By rank."""
    benefit_cents: Sequence[int]
    """What a member costs in a month, by rank."""
    membership: str
    is_history_counted: bool
    versions: Mapping[int, date]
    """Version → first day."""
    rules: Sequence[Rule]
    overrides: Sequence[Override] = ()
    points: Points | None = None

    def version_on(self, day: date) -> int:
        return max(version for version, begins in self.versions.items() if begins <= day)


@dataclass
class Validity:
    """What is left of a rule that was met: until when each level is valid, without and with the days of grace."""

    until: dict[int, date]
    expires: dict[int, date]
    why: str


@dataclass
class Walk:
    """A member's days. `tiers` is (rank, is_override) by day; `reasons` the reason of a day on which they changed."""

    since: date
    tiers: dict[date, tuple[int, bool]] = field(default_factory=dict)
    reasons: dict[date, str] = field(default_factory=dict)
    is_in_grace: bool = False
    totals: dict[Rule, int] = field(default_factory=dict)
    expires: date | None = None


class Member:
    """One member of one programme, with everything that the rules may look at."""

    def __init__(
        self, program: Program, customer_id: str, since: date, orders: Sequence[Order], refunds: Sequence[Refund]
    ) -> None:
        self.program = program
        self.customer_id = customer_id
        self.since = since
        self.orders = [order for order in orders if order.customer_id == customer_id]
        self.refunds = [refund for refund in refunds if refund.order.customer_id == customer_id]
        self.units: dict[str, dict[int, int]] = {"spend": {order.number: order.cents for order in self.orders}}
        """Of metrics that refunds take back, by order."""
        self.taken_back: dict[str, list[tuple[Refund, int]]] = {"spend": [(r, r.cents) for r in self.refunds]}
        if program.points:
            points = earning_reference.given(program.points, [order for order in self.orders if order.on >= since])
            self.units["points"] = points
            self.taken_back["points"] = [
                taken
                for order in self.orders
                for taken in earning_reference.reversals(order, points.get(order.number, 0), self.refunds)
            ]

    def window_of(self, rule: Rule, day: date) -> int:
        """Which window with an end a day lies in; the others are all one."""
        if rule.window_type == "calendar_year":
            return day.year
        if rule.window_type == "enrolment_anniversary":
            number = 0
            while add_months(self.since, 12 * (number + 1)) <= day:
                number += 1
            return number
        return 0

    def counts(self, rule: Rule, order: Order, happened: date, day: date) -> bool:
        """Whether what happened to an order is in the sum of a day."""
        known = max(happened, order.on, self.since)
        if order.on < self.since and (
            not self.program.is_history_counted or rule.window_type == "enrolment_anniversary"
        ):
            return False
        if rule.window_type == "calendar_months":
            months = rule.window_months or 0
            this_month = period_start("month", day)
            return period_start("month", known) < this_month <= add_months(period_start("month", order.on), months)
        if known > day:
            return False
        if rule.window_type == "rolling_months":
            return day < add_months(order.on, rule.window_months or 0)
        return self.window_of(rule, order.on) == self.window_of(rule, day)

    def total(self, rule: Rule, day: date) -> int:
        if day < self.since:
            return 0
        orders = [order for order in self.orders if self.counts(rule, order, order.on, day)]
        if rule.metric == "orders":
            return len(orders)
        if rule.metric == "purchase_days":
            return len({order.on for order in orders})
        units = self.units[rule.metric]
        taken = [taken for r, taken in self.taken_back[rule.metric] if self.counts(rule, r.order, r.on, day)]
        return sum(units.get(order.number, 0) for order in orders) - sum(taken)

    def refunded_on(self, rule: Rule, day: date) -> int:
        """What refunds took off the sum on this day."""
        return sum(
            taken for refund, taken in self.taken_back.get(rule.metric, [])
            if self.counts(rule, refund.order, refund.on, day)
            and not (day > self.since and self.counts(rule, refund.order, refund.on, day - ONE_DAY))
        )  # fmt: skip

    def override_on(self, day: date) -> int | None:
        for override in self.program.overrides:
            is_begun = override.customer_id == self.customer_id and override.begins <= day
            if is_begun and (override.ends is None or day < override.ends):
                return override.rank
        return None

    def horizon(self, data_end: date) -> date:
        """After it nothing changes any more."""
        months = max(
            ((r.window_months or 12) * (1 + r.rank) + r.extension_months for r in self.program.rules), default=0
        )
        days = max((r.grace_days for r in self.program.rules), default=0)
        latest = max([data_end, *self.program.versions.values(), *(o.ends or o.begins for o in self.program.overrides)])
        return add_months(latest, months + 2) + timedelta(days=days)

    def walk(self, data_end: date) -> Walk:
        walk = Walk(self.since)
        standing: dict[Rule, int] = {}
        """Rules that are met, with the window in which they are."""
        validities: list[Validity] = []
        shadows: list[tuple[int, date]] = []
        """Rank and last validity of what was met and is no more, of rules whose landing may forbid it."""
        begins = self.program.versions
        before: tuple[int, bool] | None = None
        day = self.since
        while day <= self.horizon(data_end):
            version = self.program.version_on(day)
            started: list[tuple[int, str]] = []
            ended: list[tuple[Rule, str]] = []
            totals = {rule: self.total(rule, day) for rule in self.program.rules}
            for rule in self.program.rules:
                is_reached = totals[rule] >= rule.threshold
                window = self.window_of(rule, day)
                is_in_force = rule.version == version
                if rule in standing:
                    is_same_window = standing[rule] == window
                    if is_reached and is_same_window and (is_in_force or rule.window_type not in MOVING):
                        continue
                    del standing[rule]
                    if not is_same_window:
                        why = "window_ended"
                    elif is_reached:
                        why = "rule_changed"
                    else:
                        is_refund = totals[rule] + self.refunded_on(rule, day) >= rule.threshold
                        why = "refunded" if is_refund else "window_ended"
                    ended.append((rule, why))
                if is_reached and is_in_force:
                    standing[rule] = window
                    yesterday = day - ONE_DAY
                    was_reached = (
                        self.window_of(rule, yesterday) == window
                        and yesterday >= self.since
                        and self.total(rule, yesterday) >= rule.threshold
                    )
                    is_news = was_reached and day == begins[rule.version]
                    started.append((rule.rank, "rule_changed" if is_news else "reached"))
            for rule, why in ended:
                if why != "refunded":
                    shadows.append((rule.rank, self._expiry(rule, day, rule.rank)[1]))
            gone: list[tuple[int, str]] = []
            for rule, why in ended:
                is_cut = why == "refunded" or (
                    rule.soft_landing == "base"
                    and (
                        any(other.rank > rule.rank for other in standing)
                        or any(rank > rule.rank and day < until for rank, until in shadows)
                    )
                )
                if is_cut:
                    gone += [(level, why) for level in range(1, rule.rank + 1)]
                    continue
                ends = {level: self._expiry(rule, day, level) for level in range(1, rule.rank + 1)}
                validities.append(
                    Validity(
                        {level: e[0] for level, e in ends.items()}, {level: e[1] for level, e in ends.items()}, why
                    )
                )
            for validity in validities:
                gone += [(level, validity.why) for level, until in validity.expires.items() if until == day]
            ranks = [rule.rank for rule in standing]
            ranks += [level for v in validities for level, until in v.expires.items() if day < until]
            earned = max(ranks, default=0)
            override = self.override_on(day)
            now = (earned if override is None else override, override is not None)
            if day <= data_end:
                walk.tiers[day] = now
                if now != before:
                    walk.reasons[day] = self._reason(before, now, started, gone)
                if day == data_end:
                    held = now[0]
                    walk.totals = totals
                    walk.is_in_grace = (
                        not now[1]
                        and held > 0
                        and all(rule.rank < held for rule in standing)
                        and not any(day < v.until.get(held, day) for v in validities)
                    )
                    if held == 0:
                        break
            elif now[0] < walk.tiers[data_end][0]:
                walk.expires = day
                break
            before = now
            day += ONE_DAY
        return walk

    def _expiry(self, rule: Rule, day: date, level: int) -> tuple[date, date]:
        """Until when a level is valid after the rule was met for the last time the day before, and with grace."""
        months = rule.extension_months
        if rule.soft_landing == "one_down":
            months += (rule.window_months or 12) * (rule.rank - level)
        until = add_months(day, months)
        return until, until + timedelta(days=rule.grace_days)

    @staticmethod
    def _reason(
        before: tuple[int, bool] | None,
        now: tuple[int, bool],
        started: Sequence[tuple[int, str]],
        gone: Sequence[tuple[int, str]],
    ) -> str:
        if before is None:
            return "enrolled"
        if now[1]:
            return "override"
        if before[1]:
            return "override_ended"
        if now[0] > before[0]:
            return "upgraded" if any(r >= now[0] and why == "reached" for r, why in started) else "rule_changed"
        whys = {why for level, why in gone if level == before[0]}
        return next(name for name, why in _ENDINGS if why in whys)


_ENDINGS = (("expired", "window_ended"), ("rule_changed", "rule_changed"), ("refunded", "refunded"))


def members(
    program: Program,
    orders: Sequence[Order],
    refunds: Sequence[Refund],
    enrolled: Mapping[str, date],
    data_end: date,
) -> Iterator[Member]:
    """Everybody who is a member by the end of the data. Orders after it are not known yet."""
    known = [order for order in orders if order.on <= data_end]
    given_back = [refund for refund in refunds if refund.order in known]
    joined: dict[str, date] = dict(enrolled)
    if program.membership == "purchasers":
        joined = {}
        for order in known:
            joined[order.customer_id] = min(order.on, joined.get(order.customer_id, order.on))
    for customer_id, on in sorted(joined.items()):
        since = max(on, min(program.versions.values()))
        if since <= data_end:
            yield Member(program, customer_id, since, known, given_back)


def tier_history(program: Program, walks: Mapping[str, Walk]) -> list[Row]:
    """Rows of tiers.tier_history: days put together while nothing changes."""
    rows: list[Row] = []
    for customer_id, walk in walks.items():
        last: Row = {}
        for day in sorted(walk.reasons):
            last["valid_to"] = day
            rank, is_override = walk.tiers[day]
            last = {
                "program_id": program.program_id,
                "customer_id": customer_id,
                "tier": program.tiers[rank],
                "tier_rank": rank,
                "change_reason": walk.reasons[day],
                "rule_version": program.version_on(day),
                "is_override": is_override,
                "valid_from": day,
                "valid_to": None,
            }
            rows.append(last)
    return rows


def member_tiers(program: Program, walks: Mapping[str, Walk], data_end: date) -> list[Row]:
    """Rows of tiers.member_tiers."""
    rows: list[Row] = []
    for customer_id, walk in walks.items():
        version = program.version_on(data_end)
        rank, is_override = walk.tiers[data_end]
        by_rank = {rule.rank: rule for rule in program.rules if rule.version == version}
        following = by_rank.get(rank + 1)
        measured = following or by_rank[rank]
        scale = 1 if measured.metric == "spend" else 100
        total = walk.totals[measured]
        rows.append(
            {
                "program_id": program.program_id,
                "customer_id": customer_id,
                "tier": program.tiers[rank],
                "tier_rank": rank,
                "next_tier": program.tiers[rank + 1] if following else None,
                "qualifying_metric": measured.metric,
                "rule_version": version,
                "qualifying_amount": amount(total * scale),
                "amount_to_next_tier": amount(max(following.threshold - total, 0) * scale) if following else None,
                "is_in_grace": walk.is_in_grace,
                "is_override": is_override,
                "member_since_on": walk.since,
                "tier_since_on": max(walk.reasons),
                "tier_expires_on": walk.expires,
            }
        )
    return rows


def tier_movements(
    program: Program,
    walks: Mapping[str, Walk],
    orders: Sequence[Order],
    refunds: Sequence[Refund],
    data_end: date,
) -> list[Row]:
    """Rows of tiers.tier_movements: each member is looked at on the eve of a month and on its last day."""
    heads: dict[tuple[date, str, str], int] = defaultdict(int)
    cents: dict[tuple[date, str, str], int] = defaultdict(int)
    for month in periods_between("month", min((walk.since for walk in walks.values()), default=data_end), data_end):
        for customer_id, (from_tier, to_tier) in _moves(program, walks, month, data_end).items():
            heads[month, from_tier, to_tier] += 1
            for order in _bought(customer_id, month, orders, data_end):
                cents[month, from_tier, to_tier] += _net(order, refunds)
    return [
        {
            "program_id": program.program_id,
            "month": month,
            "from_tier": from_tier,
            "to_tier": to_tier,
            "member_count": count,
            "net_amount": amount(cents[month, from_tier, to_tier]),
            "is_complete": add_months(month, 1) <= data_end + ONE_DAY,
        }
        for (month, from_tier, to_tier), count in heads.items()
    ]


def tier_economics(
    program: Program,
    walks: Mapping[str, Walk],
    orders: Sequence[Order],
    refunds: Sequence[Refund],
    silences: Sequence[Silence],
    data_end: date,
) -> list[Row]:
    """Rows of tiers.tier_economics: each member is asked each month what they did in it."""
    states = month_states(silences, data_end)
    known: dict[str, list[Silence]] = defaultdict(list)
    for silence in silences:
        known[silence.customer_id].append(silence)
    rows: list[Row] = []
    for month in periods_between("month", min((walk.since for walk in walks.values()), default=data_end), data_end):
        after = add_months(month, 1)
        is_complete = after <= data_end + ONE_DAY
        moves = _moves(program, walks, month, data_end)
        for tier in {from_tier for from_tier, _ in moves.values()}:
            members = [customer for customer, (from_tier, _) in moves.items() if from_tier == tier]
            rank = None if tier == "new" else program.tiers.index(tier)
            bought = {customer: _bought(customer, month, orders, data_end) for customer in members}
            buyers = sum(bool(found) for found in bought.values())
            costs = {order: order.cost for found in bought.values() for order in found if order.cost is not None}
            costed = sum(_net(order, refunds) for order in costs)
            is_known = costed != 0 or sum(costs.values()) != 0
            base = [customer for customer in members if is_there(known[customer], month)]
            churned = [c for c in base if any(s.churned and month <= s.churned < after for s in known[c])]
            pending = [
                customer
                for customer in base
                if customer not in churned
                and any(
                    s.ended is None
                    and s.churned is None
                    and s.length > s.threshold
                    and month <= s.began + timedelta(s.threshold) < after
                    for s in known[customer]
                )
            ]
            active = [customer for customer in members if states.get((customer, month)) == "active"]
            rows.append(
                {
                    "program_id": program.program_id,
                    "month": month,
                    "tier": tier,
                    "tier_rank": rank,
                    "member_count": len(members),
                    "active_count": len(active) if is_complete else None,
                    "active_member_rate": ratio(len(active), len(members)) if is_complete else None,
                    "buyer_count": buyers,
                    "retention_rate": ratio(buyers, len(members)) if is_complete and rank is not None else None,
                    "base_count": len(base),
                    "churned_count": len(churned),
                    "churn_rate": ratio(len(churned), len(base)),
                    "pending_count": len(pending),
                    "possible_churn_rate": ratio(len(churned) + len(pending), len(base)),
                    "net_amount": amount(sum(_net(order, refunds) for found in bought.values() for order in found)),
                    "costed_amount": amount(costed) if is_known else None,
                    "margin_amount": amount(costed - sum(costs.values())) if is_known else None,
                    "benefit_cost_amount": amount(0 if rank is None else len(members) * program.benefit_cents[rank]),
                    "is_complete": is_complete,
                }
            )
    return rows


def _moves(program: Program, walks: Mapping[str, Walk], month: date, data_end: date) -> dict[str, tuple[str, str]]:
    """Member → tier on the eve of a month, or new, and on its last day."""
    last = min(add_months(month, 1) - ONE_DAY, data_end)
    found = {}
    for customer_id, walk in walks.items():
        if walk.since <= last:
            eve = walk.tiers.get(month - ONE_DAY)
            found[customer_id] = ("new" if eve is None else program.tiers[eve[0]], program.tiers[walk.tiers[last][0]])
    return found


def _bought(customer_id: str, month: date, orders: Sequence[Order], data_end: date) -> list[Order]:
    return [
        order
        for order in orders
        if order.customer_id == customer_id and period_start("month", order.on) == month and order.on <= data_end
    ]


def _net(order: Order, refunds: Sequence[Refund]) -> int:
    return order.cents - sum(refund.cents for refund in refunds if refund.order == order)
