"""What pandas and Polars share: period arithmetic over day numbers, and the small ends of the marts, in NumPy.

A day is its number of days since 1970-01-01, a month is year * 12 + month - 1, money is whole cents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
GRAINS = ("week", "month", "quarter")
MODES = ("calendar", "rolling")
# 1970-01-01 was a Thursday: weeks begin on Mondays.
_MONDAY = 3


def months_of(days: Array) -> Array:
    """Month numbers of day numbers."""
    months: Array = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) + 1970 * 12
    return months


def month_starts(months: Array) -> Array:
    """First day numbers of month numbers."""
    return (months - 1970 * 12).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def periods_of(grain: str, days: Array) -> Array:
    """Numbers of the calendar periods that hold the days; consecutive ones differ by 1."""
    if grain == "week":
        return (days + _MONDAY) // 7
    return months_of(days) if grain == "month" else months_of(days) // 3


def period_starts(grain: str, periods: Array) -> Array:
    """First day numbers of the periods."""
    if grain == "week":
        return periods * 7 - _MONDAY
    return month_starts(periods if grain == "month" else periods * 3)


def elapsed(grain: str, mode: str, start: Array, day: Array) -> Array:
    """Index of the period that holds `day`, counted from that of `start` or from `start` itself."""
    if mode == "calendar":
        return periods_of(grain, day) - periods_of(grain, start)
    if grain == "week":
        return (day - start) // 7
    start_month, month = months_of(start), months_of(day)
    day_of_month = day - month_starts(month)
    is_short = (start - month_starts(start_month) > day_of_month) & (day + 1 != month_starts(month + 1))
    whole: Array = month - start_month - is_short
    return whole if grain == "month" else whole // 3


@dataclass(frozen=True)
class Purchases:
    """Purchase days sorted by customer and day, as parallel arrays; `previous` is -1 on a customer's first."""

    customer: Array
    day: Array
    first: Array
    previous: Array
    number: Array
    minor: Array
    data_end: int

    @property
    def is_last(self) -> Array:
        return np.append(self.customer[1:] != self.customer[:-1], True)


Columns = dict[str, Any]


def retention_marts(days: Columns, weeks: Columns, months: Columns) -> dict[str, list[Columns]]:
    """The retention marts, each as sets of columns that stand one below the other.

    Args:
        days: purchase days sorted by customer and day: customer, day, first, previous, number, minor.
        weeks: weeks with a purchase, sorted by customer and week: customer, week, minor.
        months: the same by month.
    """
    data_start, data_end = int(days["day"].min()), int(days["day"].max())
    purchases = Purchases(
        days["customer"], days["day"], days["first"], days["previous"], days["number"], days["minor"], data_end
    )
    return {
        "retention_cohorts": retention_cohorts(purchases),
        "revenue_by_cohort": [revenue_by_cohort(purchases)],
        "repeat_purchase_curves": repeat_purchase_curves(purchases),
        "growth_accounting": [
            growth_accounting("week", weeks["customer"], weeks["week"], weeks["minor"], data_end),
            growth_accounting("month", months["customer"], months["month"], months["minor"], data_end),
        ],
        "net_revenue_retention": net_revenue_retention(
            months["customer"], months["month"], months["minor"], data_start, data_end
        ),
    }


def sums(keys: Array, values: Array, size: int) -> Array:
    """Sums of whole numbers by key 0 … size - 1, exact up to 2**53."""
    return np.bincount(keys, weights=values, minlength=size).astype(np.int64)


def retention_cohorts(purchases: Purchases) -> list[Columns]:
    """The mart's columns, one set per grain and mode."""
    p, unknown = purchases, np.array([purchases.data_end + 1])
    last = p.is_last
    return [_cohorts(p, grain, mode, unknown, last) for grain in GRAINS for mode in MODES]


def _cohorts(p: Purchases, grain: str, mode: str, unknown: Array, last: Array) -> Columns:
    numbers = periods_of(grain, p.first)
    low, end = int(numbers.min()), int(periods_of(grain, np.array([p.data_end]))[0])
    count, width = int(numbers.max()) - low + 1, end - low + 2
    cell = (numbers - low) * width
    size = count * width
    until = elapsed(grain, mode, p.first, np.broadcast_to(unknown, p.first.shape)) - 1
    index = elapsed(grain, mode, p.first, p.day)
    before = np.where(p.previous < 0, -1, elapsed(grain, mode, p.first, np.maximum(p.previous, p.first)))
    known = index <= until
    active = sums((cell + index)[known], (before < index)[known], size).reshape(count, width)
    minor = sums((cell + index)[known], p.minor[known], size).reshape(count, width)
    members = cell[last], until[last], index[last]
    # Index -1, of whom not even period 0 has elapsed, is the last column: nobody counts there.
    eligible = sums(members[0] + members[1] % width, np.ones(int(last.sum())), size).reshape(count, width)
    seen = sums(members[0] + np.minimum(members[1], members[2]) % width, np.ones(int(last.sum())), size)
    cohort_size = eligible.sum(axis=1)
    seen = seen.reshape(count, width)
    eligible, seen, active, minor = (a[:, : width - 1] for a in (eligible, seen, active, minor))
    eligible = eligible[:, ::-1].cumsum(axis=1)[:, ::-1]
    seen = seen[:, ::-1].cumsum(axis=1)[:, ::-1]
    rows, columns = np.nonzero(
        (np.arange(width - 1)[None, :] <= (end - low - np.arange(count))[:, None]) & (cohort_size > 0)[:, None]
    )
    is_known = eligible[rows, columns] > 0
    return {
        "period_grain": grain,
        "retention_mode": mode,
        "cohort_start_on": period_starts(grain, rows + low).astype("datetime64[D]"),
        "period_index": columns,
        "cohort_size": cohort_size[rows],
        "eligible_count": eligible[rows, columns],
        "active_count": _where(is_known, active[rows, columns]),
        "active_on_or_after_count": _where(is_known, seen[rows, columns]),
        "net_amount": _where(is_known, minor[rows, columns]) / 100,
    }


def revenue_by_cohort(purchases: Purchases) -> Columns:
    """The mart's columns."""
    p = purchases
    cohort, month = months_of(p.first), months_of(p.day)
    low, end = int(cohort.min()), int(months_of(np.array([p.data_end]))[0])
    width = end - low + 1
    cell = (cohort - low) * width + month - cohort
    is_entry = (p.previous < 0) | (months_of(np.maximum(p.previous, 0)) < month)
    customers = sums(cell, is_entry, width * width).reshape(width, width)
    minor = sums(cell, p.minor, width * width).reshape(width, width)
    rows, columns = np.nonzero((np.arange(width)[None, :] < width - np.arange(width)[:, None]) & (customers[:, :1] > 0))
    return {
        "cohort_month": month_starts(rows + low).astype("datetime64[D]"),
        "month": month_starts(rows + columns + low).astype("datetime64[D]"),
        "customer_count": customers[rows, columns],
        "net_amount": minor[rows, columns] / 100,
    }


def growth_accounting(grain: str, customer: Array, period: Array, minor: Array, data_end: int) -> Columns:
    """The mart's columns from customer-periods sorted by customer and period."""
    low, end = int(period.min()), int(periods_of(grain, np.array([data_end]))[0])
    last_complete = int(periods_of(grain, np.array([data_end + 1]))[0]) - 1
    size = end - low + 2
    same = np.append(False, customer[1:] == customer[:-1])
    before = np.append(0, period[:-1])
    retained = same & (before == period - 1)
    back = same & ~retained
    change = minor - np.append(0, minor[:-1])
    stays = np.append(retained[1:], False)
    at = period - low

    def total(where: Array, values: Array | None = None, later: int = 0) -> Array:
        return sums(at[where] + later, np.ones(int(where.sum())) if values is None else values[where], size)[:-1]

    everyone = np.ones(len(at), dtype=bool)
    is_complete = np.arange(size - 1) + low <= last_complete
    return {
        "period_grain": grain,
        "period_start_on": period_starts(grain, np.arange(size - 1) + low).astype("datetime64[D]"),
        "active_count": total(everyone),
        "new_count": total(~same),
        "retained_count": total(retained),
        "resurrected_count": total(back),
        "churned_count": _where(is_complete, total(~stays, later=1)),
        "revenue_amount": total(everyone, minor) / 100,
        "new_amount": total(~same, minor) / 100,
        "resurrected_amount": total(back, minor) / 100,
        "expansion_amount": _where(is_complete, total(retained & (change > 0), change)) / 100,
        "contraction_amount": _where(is_complete, -total(retained & (change < 0), change)) / 100,
        "churned_amount": _where(is_complete, total(~stays, minor, later=1)) / 100,
    }


def net_revenue_retention(customer: Array, month: Array, minor: Array, data_start: int, data_end: int) -> list[Columns]:
    """The mart's columns, one set per window, from customer-months: a dense matrix of customers × months."""
    low, end = int(months_of(np.array([data_start]))[0]), int(months_of(np.array([data_end]))[0])
    last_complete = int(months_of(np.array([data_end + 1]))[0]) - 1
    width = end - low + 1
    _, row = np.unique(customer, return_inverse=True)
    heads = int(row.max()) + 1
    money, active = np.zeros((width + 1, heads), np.int64), np.zeros((width + 1, heads), np.int16)
    money[month - low + 1, row], active[month - low + 1, row] = minor, 1
    money, active = money.cumsum(axis=0), active.cumsum(axis=0)
    found = []
    for window, length in (("month", 1), ("quarter", 3), ("trailing_12_months", 12)):
        ends = [e for e in range(low + length - 1, last_complete + 1) if window != "quarter" or (e + 1) % 3 == 0]
        rows = [_window(money, active, e - low + 1, length) for e in ends]
        found.append(
            {
                "window": window,
                "window_end_on": (month_starts(np.array(ends) + 1) - 1).astype("datetime64[D]"),
                **{name: np.array([r[name] for r in rows], dtype=float) for name in rows[0]},
            }
        )
    return found


def _window(money: Array, active: Array, end: int, length: int) -> dict[str, float]:
    here, mid, start = end, end - length, max(end - 2 * length, 0)
    current, prior = money[here] - money[mid], money[mid] - money[start]
    is_active, was_active = active[here] > active[mid], active[mid] > active[start]
    is_new, is_base = is_active & (active[mid] == 0), prior > 0
    is_cut = end - 2 * length < 0
    known = float("nan") if is_cut else 1
    return {
        "base_count": known * is_base.sum(),
        "base_amount": known * prior[is_base].sum() / 100,
        "base_current_amount": known * current[is_base].sum() / 100,
        "kept_amount": known * np.maximum(0, np.minimum(current, prior))[is_base].sum() / 100,
        "resurrected_amount": known * current[~is_new & ~is_base].sum() / 100,
        "new_amount": current[is_new].sum() / 100,
        "start_count": known * was_active.sum(),
        "end_count": float(is_active.sum()),
        "new_count": float(is_new.sum()),
    }


def repeat_purchase_curves(purchases: Purchases) -> list[Columns]:
    """The mart's columns, one set per curve, by Kaplan and Meier."""
    p, last = purchases, purchases.is_last
    again = p.previous >= 0
    event_from, event_days = np.minimum(p.number[again] - 1, 3), (p.day - p.previous)[again]
    censored_from, censored_days = np.minimum(p.number[last], 3), p.data_end - p.day[last]
    found = []
    for start in (1, 2, 3):
        events, ends = event_days[event_from == start], censored_days[censored_from == start]
        if not len(events) + len(ends):
            continue
        size = int(max(events.max(initial=0), ends.max(initial=0))) + 1
        event_count, censored_count = np.bincount(events, minlength=size), np.bincount(ends, minlength=size)
        at_risk = (event_count + censored_count)[::-1].cumsum()[::-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            survival = np.nancumprod(1 - event_count / at_risk)
        is_row = (event_count + censored_count > 0) | (np.arange(size) == 0)
        found.append(
            {
                "from_purchase_number": np.full(int(is_row.sum()), start),
                "days_since": np.nonzero(is_row)[0],
                "at_risk_count": at_risk[is_row],
                "event_count": event_count[is_row],
                "censored_count": censored_count[is_row],
                "survival_rate": survival[is_row],
            }
        )
    return found


def _where(known: Array, values: Array) -> Array:
    return np.where(known, values.astype(float), np.nan)
