"""The retention marts computed the slow and obvious way, as the yardstick of the SQL.

Every function takes purchases and the data window and returns the rows of one mart as dicts keyed by the mart's
columns. Nothing is shared with the models: periods are walked date by date and not numbered, customers are looked at
one by one, nothing is cumulated. Meant for histories of a few dozen purchases; the running time does not matter.

At least one purchase (a guest's will do) must lie in the data window, or there are no periods to speak of.

Conventions: money comes in as integer minor units (cents) and goes out as `Decimal` with two places; counts are `int`,
rates `float`, dates `date`, what cannot be known yet is None. A purchase is a valid sale; a refund is already taken off
its cents. Several purchases of a customer on one day are one purchase day. Customer None is a guest.
"""

from __future__ import annotations

import calendar
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from statistics import NormalDist
from typing import Any, NamedTuple

Row = dict[str, Any]
Labels = Mapping[str, Mapping[str, str]]
"""Customer → label name → value; the label of a customer not named here is 'unknown' if another customer has it."""

GRAINS = ("week", "month", "quarter")
MODES = ("calendar", "rolling")
ONE_DAY = timedelta(days=1)


class Purchase(NamedTuple):
    customer_id: str | None
    purchased_on: date
    cents: int


# Calendar -----------------------------------------------------------------------------------------------------------


def add_months(day: date, months: int) -> date:
    """The same day of a later month, or its last day where the month is too short."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def period_start(grain: str, day: date) -> date:
    """First day of the week (Monday), month or quarter that holds the day."""
    if grain == "week":
        return day - timedelta(days=day.weekday())
    if grain == "month":
        return day.replace(day=1)
    return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)


def shift(grain: str, day: date, periods: int) -> date:
    """The day so many weeks, months or quarters later."""
    if grain == "week":
        return day + timedelta(weeks=periods)
    return add_months(day, periods if grain == "month" else 3 * periods)


def period_label(grain: str, start: date) -> str:
    if grain == "week":
        iso = start.isocalendar()
        return f"{iso.year}-W{iso.week:02d}"
    if grain == "month":
        return f"{start:%Y-%m}"
    return f"{start.year}-Q{(start.month + 2) // 3}"


def periods_between(grain: str, first: date, last: date) -> Iterator[date]:
    """First days of all periods from the one that holds `first` to the one that holds `last`."""
    start = period_start(grain, first)
    while start <= last:
        yield start
        start = shift(grain, start, 1)


# Histories ----------------------------------------------------------------------------------------------------------


def histories(purchases: Iterable[Purchase], data_end: date) -> dict[str, dict[date, int]]:
    """Customer → purchase day → cents, guests and days after the watermark left out."""
    days: dict[str, dict[date, int]] = {}
    for purchase in purchases:
        if purchase.customer_id is not None and purchase.purchased_on <= data_end:
            history = days.setdefault(purchase.customer_id, {})
            history[purchase.purchased_on] = history.get(purchase.purchased_on, 0) + purchase.cents
    return days


def first_day(purchases: Sequence[Purchase]) -> date:
    """Where the history begins, guests included: what a customer bought before is cut off."""
    return min(purchase.purchased_on for purchase in purchases)


def amount(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2).quantize(Decimal("0.01"))


def ratio(numerator: int | None, denominator: int | None) -> float | None:
    if numerator is None or not denominator:
        return None
    return numerator / denominator


def segments_of(customers: Iterable[str], labels: Labels) -> dict[tuple[str, str], list[str]]:
    """(label, value) → customers, with ('all', 'all') for everybody."""
    known = sorted(customers)
    members: dict[tuple[str, str], list[str]] = {("all", "all"): known}
    names = {name for customer in known for name in labels.get(customer, {})}
    for name in sorted(names):
        for customer in known:
            value = labels.get(customer, {}).get(name, "unknown")
            members.setdefault((name, value), []).append(customer)
    return members


# Cohorts ------------------------------------------------------------------------------------------------------------


class Cell(NamedTuple):
    """Period k of one customer."""

    starts: date
    ends: date
    """First day after the period."""


def cell(grain: str, mode: str, first: date, index: int) -> Cell:
    anchor = period_start(grain, first) if mode == "calendar" else first
    return Cell(shift(grain, anchor, index), shift(grain, anchor, index + 1))


def cohorts_of(
    purchases: Sequence[Purchase], data_end: date, labels: Labels
) -> Iterator[tuple[str, str, str, str, date, dict[str, dict[date, int]]]]:
    """Grain, mode, segment, cohort start and the histories of the members, for every cohort that has any."""
    everybody = histories(purchases, data_end)
    for grain in GRAINS:
        for mode in MODES:
            for (segment_name, segment_value), customers in segments_of(everybody, labels).items():
                for start in sorted({period_start(grain, min(everybody[customer])) for customer in customers}):
                    members = {
                        customer: everybody[customer]
                        for customer in customers
                        if period_start(grain, min(everybody[customer])) == start
                    }
                    yield grain, mode, segment_name, segment_value, start, members


def net_in(history: Mapping[date, int], within: Cell) -> int:
    return sum(cents for day, cents in history.items() if within.starts <= day < within.ends)


def is_active_in(history: Mapping[date, int], within: Cell) -> bool:
    return any(within.starts <= day < within.ends for day in history)


def retention_cohorts(purchases: Sequence[Purchase], data_end: date, labels: Labels | None = None) -> list[Row]:
    """Rows of retention.retention_cohorts."""
    rows = []
    begin = first_day(purchases)
    for grain, mode, name, value, start, members in cohorts_of(purchases, data_end, labels or {}):
        for index, _ in enumerate(periods_between(grain, start, data_end)):
            cells = {customer: cell(grain, mode, min(history), index) for customer, history in members.items()}
            bases = {customer: cell(grain, mode, min(history), 0) for customer, history in members.items()}
            eligible = [customer for customer in members if cells[customer].ends <= data_end + ONE_DAY]
            row: Row = {
                "period_grain": grain,
                "retention_mode": mode,
                "segment_name": name,
                "segment_value": value,
                "cohort_start_on": start,
                "cohort_label": period_label(grain, start),
                "period_index": index,
                "cohort_size": len(members),
                "eligible_count": len(eligible),
                "active_count": None,
                "active_on_or_after_count": None,
                "retention_rate": None,
                "on_or_after_rate": None,
                "net_amount": None,
                "base_net_amount": None,
                "revenue_retention_rate": None,
                "is_complete": len(eligible) == len(members),
                "is_left_truncated": start == period_start(grain, begin),
            }
            if eligible:
                active = sum(is_active_in(members[customer], cells[customer]) for customer in eligible)
                still = sum(max(members[customer]) >= cells[customer].starts for customer in eligible)
                net = sum(net_in(members[customer], cells[customer]) for customer in eligible)
                base = sum(net_in(members[customer], bases[customer]) for customer in eligible)
                row |= {
                    "active_count": active,
                    "active_on_or_after_count": still,
                    "retention_rate": ratio(active, len(eligible)),
                    "on_or_after_rate": ratio(still, len(eligible)),
                    "net_amount": amount(net),
                    "base_net_amount": amount(base),
                    "revenue_retention_rate": ratio(net, base),
                }
            rows.append(row)
    return rows


def retention_brackets(
    purchases: Sequence[Purchase],
    data_end: date,
    brackets: Sequence[tuple[str, int, int]],
    labels: Labels | None = None,
) -> list[Row]:
    """Rows of retention.retention_brackets; `brackets` is the seed: (period_grain, from_index, to_index)."""
    rows = []
    begin = first_day(purchases)
    for grain, mode, name, value, start, members in cohorts_of(purchases, data_end, labels or {}):
        for from_index, to_index in [(low, high) for of_grain, low, high in brackets if of_grain == grain]:
            if shift(grain, start, from_index) > data_end:
                continue
            spans = {
                customer: Cell(
                    cell(grain, mode, min(history), from_index).starts, cell(grain, mode, min(history), to_index).ends
                )
                for customer, history in members.items()
            }
            eligible = [customer for customer in members if spans[customer].ends <= data_end + ONE_DAY]
            active = (
                sum(is_active_in(members[customer], spans[customer]) for customer in eligible) if eligible else None
            )
            rows.append(
                {
                    "period_grain": grain,
                    "retention_mode": mode,
                    "segment_name": name,
                    "segment_value": value,
                    "cohort_start_on": start,
                    "cohort_label": period_label(grain, start),
                    "from_index": from_index,
                    "to_index": to_index,
                    "cohort_size": len(members),
                    "eligible_count": len(eligible),
                    "active_count": active,
                    "retention_rate": ratio(active, len(eligible)),
                    "is_complete": len(eligible) == len(members),
                    "is_left_truncated": start == period_start(grain, begin),
                }
            )
    return rows


def revenue_by_cohort(purchases: Sequence[Purchase], data_end: date) -> list[Row]:
    """Rows of retention.revenue_by_cohort."""
    everybody = histories(purchases, data_end)
    rows = []
    for cohort_month in sorted({period_start("month", min(history)) for history in everybody.values()}):
        members = [history for history in everybody.values() if period_start("month", min(history)) == cohort_month]
        for index, month in enumerate(periods_between("month", cohort_month, data_end)):
            within = Cell(month, add_months(month, 1))
            rows.append(
                {
                    "cohort_month": cohort_month,
                    "month": month,
                    "period_index": index,
                    "customer_count": sum(is_active_in(history, within) for history in members),
                    "net_amount": amount(sum(net_in(history, within) for history in members)),
                    "is_complete": within.ends <= data_end + ONE_DAY,
                }
            )
    return rows


# Growth accounting --------------------------------------------------------------------------------------------------


def growth_accounting(purchases: Sequence[Purchase], data_end: date) -> list[Row]:
    """Rows of retention.growth_accounting."""
    everybody = histories(purchases, data_end)
    guest_purchases = [p for p in purchases if p.customer_id is None and p.purchased_on <= data_end]
    begin = first_day(purchases)
    rows = []
    for grain in ("week", "month"):
        for start in periods_between(grain, begin, data_end):
            now = Cell(start, shift(grain, start, 1))
            before = Cell(shift(grain, start, -1), start)
            active = {customer for customer, history in everybody.items() if is_active_in(history, now)}
            earlier = {customer for customer, history in everybody.items() if is_active_in(history, before)}
            new = {customer for customer in active if min(everybody[customer]) >= start}
            retained = active & earlier
            resurrected = active - earlier - new
            churned = earlier - active
            is_complete = now.ends <= data_end + ONE_DAY
            spent_now = {customer: net_in(history, now) for customer, history in everybody.items()}
            spent_before = {customer: net_in(history, before) for customer, history in everybody.items()}
            revenue = sum(spent_now[customer] for customer in active)
            guest = sum(p.cents for p in guest_purchases if now.starts <= p.purchased_on < now.ends)
            changes = [spent_now[customer] - spent_before[customer] for customer in retained]
            rows.append(
                {
                    "period_grain": grain,
                    "period_start_on": start,
                    "period_label": period_label(grain, start),
                    "active_count": len(active),
                    "new_count": len(new),
                    "retained_count": len(retained),
                    "resurrected_count": len(resurrected),
                    "churned_count": len(churned) if is_complete else None,
                    "quick_ratio": ratio(len(new) + len(resurrected), len(churned)) if is_complete else None,
                    "revenue_amount": amount(revenue),
                    "new_amount": amount(sum(spent_now[customer] for customer in new)),
                    "resurrected_amount": amount(sum(spent_now[customer] for customer in resurrected)),
                    "expansion_amount": amount(sum(c for c in changes if c > 0)) if is_complete else None,
                    "contraction_amount": amount(-sum(c for c in changes if c < 0)) if is_complete else None,
                    "churned_amount": amount(sum(spent_before[c] for c in churned)) if is_complete else None,
                    "guest_amount": amount(guest),
                    "identified_revenue_share": ratio(revenue, revenue + guest),
                    "is_complete": is_complete,
                    "is_left_truncated": start == period_start(grain, begin),
                }
            )
    return rows


# Net revenue retention ----------------------------------------------------------------------------------------------


def net_revenue_retention(purchases: Sequence[Purchase], data_end: date) -> list[Row]:
    """Rows of retention.net_revenue_retention."""
    everybody = histories(purchases, data_end)
    covered_from = period_start("month", first_day(purchases))
    rows = []
    for window, months in (("month", 1), ("quarter", 3), ("trailing_12_months", 12)):
        for last_month in periods_between("month", covered_from, data_end):
            ends = add_months(last_month, 1)
            now = Cell(add_months(ends, -months), ends)
            before = Cell(add_months(ends, -2 * months), now.starts)
            if ends > data_end + ONE_DAY or now.starts < covered_from:
                continue
            if window == "quarter" and period_start("quarter", now.starts) != now.starts:
                continue
            is_left_truncated = before.starts < covered_from
            current = {customer: net_in(history, now) for customer, history in everybody.items()}
            prior = {customer: net_in(history, before) for customer, history in everybody.items()}
            base = [customer for customer in everybody if prior[customer] > 0]
            new = [customer for customer, history in everybody.items() if now.starts <= min(history) < now.ends]
            resurrected = [customer for customer in everybody if customer not in base and customer not in new]
            base_cents = sum(prior[customer] for customer in base)
            current_cents = sum(current[customer] for customer in base)
            kept_cents = sum(max(0, min(current[customer], prior[customer])) for customer in base)
            start_count = sum(is_active_in(history, before) for history in everybody.values())
            end_count = sum(is_active_in(history, now) for history in everybody.values())
            row: Row = {
                "window": window,
                "window_end_on": ends - ONE_DAY,
                "base_count": len(base),
                "base_amount": amount(base_cents),
                "base_current_amount": amount(current_cents),
                "kept_amount": amount(kept_cents),
                "nrr_rate": ratio(current_cents, base_cents),
                "grr_rate": ratio(kept_cents, base_cents),
                "resurrected_amount": amount(sum(current[customer] for customer in resurrected)),
                "new_amount": amount(sum(current[customer] for customer in new)),
                "revenue_amount": amount(sum(current.values())),
                "crr_rate": ratio(end_count - len(new), start_count),
                "start_count": start_count,
                "end_count": end_count,
                "new_count": len(new),
                "is_left_truncated": is_left_truncated,
            }
            if is_left_truncated:
                row |= dict.fromkeys(
                    (
                        "base_count",
                        "base_amount",
                        "base_current_amount",
                        "kept_amount",
                        "nrr_rate",
                        "grr_rate",
                        "resurrected_amount",
                        "crr_rate",
                        "start_count",
                    )
                )
            rows.append(row)
    return rows


# Repeat curves ------------------------------------------------------------------------------------------------------


def repeat_purchase_gaps(purchases: Sequence[Purchase], data_end: date) -> dict[int, list[tuple[int, bool]]]:
    """From-purchase number (3 = third and later) → gaps as (days, was closed by a purchase)."""
    gaps: dict[int, list[tuple[int, bool]]] = {}
    for history in histories(purchases, data_end).values():
        days = sorted(history)
        for number, day in enumerate(days, start=1):
            following = days[number] if number < len(days) else None
            until = data_end if following is None else following
            gaps.setdefault(min(number, 3), []).append(((until - day).days, following is not None))
    return gaps


def repeat_purchase_curves(purchases: Sequence[Purchase], data_end: date) -> list[Row]:
    """Rows of retention.repeat_purchase_curves: the product-limit estimator, written as the product that it is."""
    quantile = NormalDist().inv_cdf(0.975)
    rows: list[Row] = []
    for number, gaps in sorted(repeat_purchase_gaps(purchases, data_end).items()):
        curve: list[Row] = []
        survival = 1.0
        greenwood = 0.0
        for days in sorted({0} | {days for days, _ in gaps}):
            at_risk = sum(gap >= days for gap, _ in gaps)
            events = sum(gap == days and is_closed for gap, is_closed in gaps)
            censored = sum(gap == days and not is_closed for gap, is_closed in gaps)
            survival *= (at_risk - events) / at_risk
            if events < at_risk:
                greenwood += events / (at_risk * (at_risk - events))
            lower, upper = interval(survival, greenwood, quantile)
            curve.append(
                {
                    "from_purchase_number": number,
                    "days_since": days,
                    "at_risk_count": at_risk,
                    "event_count": events,
                    "censored_count": censored,
                    "survival_rate": survival,
                    "lower_rate": lower,
                    "upper_rate": upper,
                }
            )
        reached = [row["days_since"] for row in curve if row["survival_rate"] <= 0.5 + 1e-12]
        rows += [row | {"median_days": min(reached, default=None)} for row in curve]
    return rows


def interval(survival: float, greenwood: float, quantile: float) -> tuple[float, float]:
    """Exponential Greenwood interval; a curve at 0 or 1 has no width."""
    if survival in (0.0, 1.0):
        return survival, survival
    centre = math.log(-math.log(survival))
    width = quantile * math.sqrt(greenwood) / abs(math.log(survival))
    return math.exp(-math.exp(centre + width)), math.exp(-math.exp(centre - width))


MARTS: dict[str, tuple[Callable[..., list[Row]], tuple[str, ...]]] = {
    "retention_cohorts": (
        retention_cohorts,
        ("period_grain", "retention_mode", "segment_name", "segment_value", "cohort_start_on", "period_index"),
    ),
    "retention_brackets": (
        retention_brackets,
        (
            "period_grain",
            "retention_mode",
            "segment_name",
            "segment_value",
            "cohort_start_on",
            "from_index",
            "to_index",
        ),
    ),
    "growth_accounting": (growth_accounting, ("period_grain", "period_start_on")),
    "net_revenue_retention": (net_revenue_retention, ("window", "window_end_on")),
    "repeat_purchase_curves": (repeat_purchase_curves, ("from_purchase_number", "days_since")),
    "revenue_by_cohort": (revenue_by_cohort, ("cohort_month", "month")),
}
"""Mart → its function and its primary key."""
