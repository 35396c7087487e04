"""The churn marts computed the slow and obvious way: every customer's state on every day, one day after the other.

As `reference`, of which it takes the conventions and the calendar, it shares nothing with the models: states are found
by walking through the days and not by intervals, months by looking at their last days.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from tests.properties.reference import (
    ONE_DAY,
    Labels,
    Purchase,
    Row,
    amount,
    histories,
    period_start,
    periods_between,
    ratio,
    segments_of,
    shift,
)


class Event(NamedTuple):
    """A closure, an exit interview or a complaint, at noon of its day; `number` orders those of a day."""

    customer_id: str
    on: date
    kind: str
    number: int
    cause: str | None = None
    initiator: str | None = None
    settles: int | None = None


@dataclass(frozen=True)
class Rules:
    """The thresholds of dbt_project.yml."""

    own_gaps: int
    min_gaps: int
    multiple: Fraction
    prior: int
    floor: int
    cap: int
    complaint_days: int
    causes: Mapping[str, str]
    """Cause → initiator."""


@dataclass
class Silence:
    """From one purchase day to the next, or to the end of the data."""

    customer_id: str
    began: date
    ended: date | None
    gaps: list[int]
    threshold: int
    basis: str
    closed: date | None
    initiator: str
    cause: str
    length: int
    churned: date | None = None
    has_open_complaint: bool = False

    def state_on(self, day: date) -> str:
        """At the end of a day within the silence."""
        recency = (day - self.began).days
        if self.closed is not None and self.closed <= day:
            return "closed"
        return "active" if recency <= self.threshold else "at_risk" if recency <= 2 * self.threshold else "lapsed"


def percentile(values: Sequence[int]) -> Fraction:
    """The 90th, by linear interpolation."""
    place = Fraction(9, 10) * (len(values) - 1)
    low = math.floor(place)
    ordered = sorted(values)
    rest = place - low
    return ordered[low] + (rest * (ordered[low + 1] - ordered[low]) if rest else 0)


def clamped(days: Fraction, rules: Rules) -> int:
    return max(rules.floor, min(rules.cap, math.ceil(days)))


def silences(
    purchases: Sequence[Purchase], events: Sequence[Event], data_end: date, labels: Labels, rules: Rules
) -> list[Silence]:
    """All silences of all customers, with the threshold of each and whether it was a churn."""
    days = {customer: sorted(history) for customer, history in histories(purchases, data_end).items()}
    gaps = {customer: [(b - a).days for a, b in pairwise(known)] for customer, known in days.items()}
    known_events = [event for event in events if event.on <= data_end]
    found = []
    for customer, known in days.items():
        label = labels.get(customer, {}).get("acquisition_channel")
        peers = [c for c in days if label is not None and labels.get(c, {}).get("acquisition_channel") == label]
        for number, began in enumerate(known):
            ended = known[number + 1] if number + 1 < len(known) else None
            own = gaps[customer][:number]
            threshold, basis = _threshold(own, [gaps[c] for c in peers], list(gaps.values()), rules)
            within = [
                event for event in known_events
                if event.customer_id == customer and began <= event.on and (ended is None or event.on < ended)
            ]  # fmt: skip
            closed, initiator, cause = _ending(within, rules)
            silence = Silence(
                customer, began, ended, own, threshold, basis, closed, initiator, cause,
                ((ended or data_end) - began).days,
            )  # fmt: skip
            if closed is not None and (closed - began).days <= 2 * threshold:
                silence.churned = closed
            elif silence.length > 2 * threshold:
                silence.churned = began + timedelta(days=threshold)
            if silence.churned is not None:
                silence.has_open_complaint = any(
                    event.kind == "complaint"
                    and event.customer_id == customer
                    and 0 <= (silence.churned - event.on).days <= rules.complaint_days
                    and not any(
                        other.kind == "complaint_resolved"
                        and other.customer_id == customer
                        and other.settles in (None, event.number)
                        and (other.on, other.number) >= (event.on, event.number)
                        and other.on <= silence.churned
                        for other in events
                    )
                    for event in events
                )
            found.append(silence)
    return found


def _threshold(own: list[int], peers: list[list[int]], everybody: list[list[int]], rules: Rules) -> tuple[int, str]:
    if len(own) >= rules.own_gaps:
        return clamped(percentile(own), rules), "own_gaps"
    if own:
        pool = [gap for gaps in peers for gap in gaps]
        if len(pool) < rules.min_gaps:
            pool = [gap for gaps in everybody for gap in gaps]
        mean = Fraction(sum(pool), len(pool))
        return (
            clamped(rules.multiple * (sum(own) + rules.prior * mean) / (len(own) + rules.prior), rules),
            "pooled_gaps",
        )
    first = [gaps[0] for gaps in peers if gaps]
    if len(first) < rules.min_gaps:
        first = [gaps[0] for gaps in everybody if gaps]
    return clamped(percentile(first) if first else Fraction(rules.cap), rules), "first_repeat"


def _ending(within: list[Event], rules: Rules) -> tuple[date | None, str, str]:
    closures = [event for event in within if event.kind.startswith("account_closed")]
    interviews = [event for event in within if event.kind == "exit_interview"]
    evidence = sorted(interviews, key=lambda event: (event.on, event.number), reverse=True)
    evidence += sorted(closures, key=lambda event: (event.on, event.number), reverse=True)
    causes = [event.cause for event in evidence if event.cause in rules.causes]
    stated = [event.initiator for event in evidence if event.initiator in ("customer", "company", "external")]
    implied = [rules.causes[cause] for cause in causes if cause is not None]
    sides = ["company" if e.kind.endswith("by_company") else "customer" for e in evidence if e in closures]
    initiator = next((who for who in (*stated, *implied, *sides) if who is not None), "unknown")
    return min((event.on for event in closures), default=None), initiator, next(iter(causes), None) or "unknown"


def customer_states(found: Sequence[Silence], data_end: date) -> list[Row]:
    """Rows of churn.customer_states."""
    return [
        {
            "customer_id": silence.customer_id,
            "state": silence.state_on(data_end),
            "threshold_basis": silence.basis,
            "threshold_days": silence.threshold,
            "recency_days": silence.length,
            "gap_count": len(silence.gaps),
            "earlier_churn_count": sum(
                other.customer_id == silence.customer_id and other.churned is not None and other is not silence
                for other in found
            ),
            "last_order_on": silence.began,
            "closed_on": silence.closed,
            "churned_on": silence.churned,
        }
        for silence in found
        if silence.ended is None
    ]


def churn_events(found: Sequence[Silence]) -> list[Row]:
    """Rows of churn.churn_events."""
    return [
        {
            "customer_id": silence.customer_id,
            "churn_kind": "closure" if silence.churned == silence.closed else "lapse",
            "initiator": silence.initiator,
            "cause": silence.cause,
            "threshold_days": silence.threshold,
            "last_order_on": silence.began,
            "churned_on": silence.churned,
            "reactivated_on": silence.ended,
            "is_voluntary": None if silence.initiator == "unknown" else silence.initiator == "customer",
            "has_open_complaint": silence.has_open_complaint,
        }
        for silence in found
        if silence.churned is not None
    ]


def reactivations(found: Sequence[Silence], purchases: Sequence[Purchase]) -> list[Row]:
    """Rows of churn.reactivations."""
    rows = []
    for silence in found:
        if silence.churned is not None and silence.ended is not None:
            that_day = [
                p.cents for p in purchases if (p.customer_id, p.purchased_on) == (silence.customer_id, silence.ended)
            ]
            later = [s.churned for s in found if s.customer_id == silence.customer_id and s.began >= silence.ended]
            rows.append(
                {
                    "customer_id": silence.customer_id,
                    "initiator": silence.initiator,
                    "cause": silence.cause,
                    "order_count": len(that_day),
                    "net_amount": amount(sum(that_day)),
                    "silence_days": silence.length,
                    "away_days": (silence.ended - silence.churned).days,
                    "reactivated_on": silence.ended,
                    "churned_on": silence.churned,
                    "churned_again_on": min((day for day in later if day is not None), default=None),
                }
            )
    return rows


def month_states(found: Sequence[Silence], data_end: date) -> dict[tuple[str, date], str]:
    """State at the end of each month that is over, by customer and first day of the month."""
    states = {}
    for silence in found:
        day = silence.began
        until = silence.ended or data_end + ONE_DAY
        while day < until:
            if (day + ONE_DAY).day == 1:
                states[silence.customer_id, period_start("month", day)] = silence.state_on(day)
            day += ONE_DAY
    return states


def customer_state_months(found: Sequence[Silence], data_end: date) -> list[Row]:
    """Rows of churn.customer_state_months."""
    rows: list[Row] = []
    states = month_states(found, data_end)
    last = max((month for _, month in states), default=None)
    for (customer, month), state in sorted(states.items()):
        before = rows[-1] if rows and rows[-1]["customer_id"] == customer else None
        if before is not None and before["state"] == state:
            before |= {"to_month": month, "month_count": before["month_count"] + 1, "is_current": month == last}
        else:
            rows.append(
                {"customer_id": customer, "state": state, "month_count": 1, "from_month": month, "to_month": month,
                 "is_current": month == last}
            )  # fmt: skip
    return rows


def churn_monthly(found: Sequence[Silence], purchases: Sequence[Purchase], data_end: date, labels: Labels) -> list[Row]:
    """Rows of churn.churn_monthly: who was there is counted customer by customer on the eve of each month."""
    begin = min(purchase.purchased_on for purchase in purchases)
    states = month_states(found, data_end)
    by_customer: dict[str, list[Silence]] = {}
    for silence in found:
        by_customer.setdefault(silence.customer_id, []).append(silence)
    rows: list[Row] = []
    for (name, value), customers in segments_of(by_customer, labels).items():
        run: int | None = 0
        for month in periods_between("month", begin, data_end):
            after = shift("month", month, 1)
            is_complete = after <= data_end + ONE_DAY
            base = {customer for customer in customers if is_there(by_customer[customer], month)}
            counts: Counter[str] = Counter()
            parts: dict[tuple[str, str], Counter[str]] = {}
            for customer in customers:
                arrived = [by_customer[customer][0].began]
                counts["new"] += month <= arrived[0] < after
                for silence in by_customer[customer]:
                    due = silence.began + timedelta(days=silence.threshold)
                    is_old = arrived[-1] < month
                    if silence.churned is not None:
                        if month <= silence.churned < after:
                            kind = "churned" if is_old else "churned_new"
                            counts[kind] += 1
                            parts.setdefault((silence.initiator, silence.cause), Counter())[kind] += 1
                        if silence.ended is not None:
                            counts["reactivated"] += month <= silence.ended < after
                            arrived.append(silence.ended)
                    elif silence.ended is None and silence.length > silence.threshold and month <= due < after:
                        counts["pending" if is_old else "pending_new"] += 1
            gain, loss = counts["new"] + counts["reactivated"], counts["churned"] + counts["churned_new"]
            if gain >= loss + counts["pending"] + counts["pending_new"]:
                run = 0
            elif gain >= loss:
                run = None
            elif run is not None:
                run += 1
            row: Row = {"month": month, "segment_name": name, "segment_value": value, "base_count": len(base),
                        "is_complete": is_complete}  # fmt: skip
            ended = Counter(states.get((customer, month)) for customer in customers)
            rows.append(
                row
                | {
                    "initiator": "all",
                    "cause": "all",
                    **{f"{kind}_count": counts[kind] for kind in
                       ("churned", "churned_new", "pending", "new", "reactivated")},
                    "churn_rate": ratio(counts["churned"], len(base)),
                    "possible_churn_rate": ratio(counts["churned"] + counts["pending"], len(base)),
                    "net_loss_month_count": run if is_complete else None,
                    **{f"{state}_count": ended[state] if is_complete else None
                       for state in ("active", "at_risk", "lapsed", "closed")},
                }
            )  # fmt: skip
            rows += [
                row
                | {
                    "initiator": initiator,
                    "cause": cause,
                    "churned_count": part["churned"],
                    "churned_new_count": part["churned_new"],
                    "churn_rate": ratio(part["churned"], len(base)),
                    "possible_churn_rate": None,
                    "pending_count": None,
                    "new_count": None,
                    "net_loss_month_count": None,
                    "active_count": None,
                }
                for (initiator, cause), part in parts.items()
            ]
    return rows


def is_there(known: Sequence[Silence], day: date) -> bool:
    """Whether the customer had bought before the day and not churned before it since."""
    is_there = False
    for silence in known:
        if silence.began < day:
            is_there = silence.churned is None or silence.churned >= day
    return is_there


def rules(variables: Mapping[str, Any], causes: Mapping[str, str]) -> Rules:
    """From the vars of dbt_project.yml."""
    return Rules(
        own_gaps=variables["churn_own_gaps"],
        min_gaps=variables["churn_segment_min_gaps"],
        multiple=Fraction(str(variables["churn_gap_multiple"])),
        prior=variables["churn_prior_gaps"],
        floor=variables["churn_floor_days"],
        cap=variables["churn_cap_days"],
        complaint_days=variables["churn_complaint_days"],
        causes=causes,
    )
