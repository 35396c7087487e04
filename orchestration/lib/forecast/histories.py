"""What a forecast has to know of customers: the sufficient statistics of their purchase days, and of their spend.

Customers with the same statistics are one row with a count, so that a fit costs what histories differ, not what
customers there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DAYS_PER_WEEK = 7.0
MANY = 50_000
"""Distinct histories from which on a fit is approached on coarser ones."""


@dataclass(frozen=True)
class Histories:
    """Distinct purchase histories, one array element each. Models count time in weeks, SQL in days."""

    repeats: Integers
    """x: purchase days after the first."""
    span_days: Integers
    """t_x: days from the first to the last purchase day; 0 where x = 0."""
    tenure_days: Integers
    """T: days from the first purchase day to the day through which it is known."""
    count: Floats
    """Customers with this history."""

    @property
    def customer_count(self) -> float:
        return float(self.count.sum())

    @property
    def span(self) -> Floats:
        """t_x in weeks."""
        return self.span_days / DAYS_PER_WEEK

    @property
    def tenure(self) -> Floats:
        """T in weeks."""
        return self.tenure_days / DAYS_PER_WEEK

    @classmethod
    def read(cls, connection: duckdb.DuckDBPyConnection, relation: str) -> Histories:
        """From a table or subquery with repeat_count, span_days, tenure_days and customer_count, collapsed or not."""
        return cls(**_columns(connection, f"""
            select
                cast(repeat_count as bigint) as repeats,
                cast(span_days as bigint) as span_days,
                cast(tenure_days as bigint) as tenure_days,
                cast(sum(customer_count) as double) as count
            from {relation}
            group by all
            order by all
        """))  # fmt: skip

    def coarsened(self, days: int) -> Histories:
        """The same with span and tenure in steps of so many days, each in the middle of its step: fewer rows."""
        steps = int(self.tenure_days.max(initial=0)) // days + 1
        key = (self.repeats * steps + self.span_days // days) * steps + self.tenure_days // days
        key, place = np.unique(key, return_inverse=True)
        repeats, tenure = key // steps**2, key % steps * days + days // 2
        span = np.where(repeats > 0, np.minimum(key // steps % steps * days + days // 2, tenure), 0)
        return Histories(repeats, span, tenure, np.bincount(place, self.count).astype(float))

    def sampled(self, customers: int) -> Histories:
        """So many customers, evenly out of all in the order of their histories, standing for all; always the same."""
        place = np.lexsort((self.tenure_days, self.span_days, self.repeats))
        step = self.customer_count / customers
        chosen = np.searchsorted(np.cumsum(self.count[place]), (np.arange(customers) + 0.5) * step)
        rows, count = np.unique(place[chosen], return_counts=True)
        return Histories(self.repeats[rows], self.span_days[rows], self.tenure_days[rows], (count * step).astype(float))

    def parts(self, rows: int) -> Iterator[Histories]:
        """All of them, so many rows at a time."""
        for start in range(0, len(self.count), rows):
            yield Histories(*(column[start : start + rows] for column in vars(self).values()))


@dataclass(frozen=True)
class SpendHistories:
    """Distinct pairs of purchases and spend, of customers with x ≥ 1 who spent anything."""

    repeats: Integers
    """x: purchase days after the first."""
    mean_spend: Floats
    """Mean net amount of these x days, in units of the reporting currency, > 0."""
    count: Floats
    """Customers with this pair."""

    @property
    def customer_count(self) -> float:
        return float(self.count.sum())

    @classmethod
    def read(cls, connection: duckdb.DuckDBPyConnection, relation: str) -> SpendHistories:
        """From a table or subquery with repeat_count, repeat_minor (net amount of the repeats in minor units) and
        customer_count; rows without a repeat or spend are left out."""
        return cls(**_columns(connection, f"""
            select
                cast(repeat_count as bigint) as repeats,
                repeat_minor / (100.0 * repeat_count) as mean_spend,
                cast(sum(customer_count) as double) as count
            from {relation}
            where repeat_count > 0 and repeat_minor > 0
            group by repeat_count, repeat_minor
            order by repeat_count, repeat_minor
        """))  # fmt: skip


def _columns(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, Any]:
    return {name: np.asarray(column) for name, column in connection.execute(query).fetchnumpy().items()}
