"""What the made-up world is like: its size, its calendar, and the words that its files use."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from orchestration.lib.errors import UserError

Layout = Literal["mixed", "csv", "parquet"]
Floats = NDArray[np.float64]

DEFAULT_MONTHS = 36
# Drop-outs and orders are known for a year beyond the data, so that forecasts can be compared with what came.
FUTURE_DAYS = 365
FORECAST_DAYS = (30, 90, 180, 365)

# Pareto/NBD, per day. With 36 months: 10 orders a customer, half of the customers buy once.
PURCHASE_SHAPE, PURCHASE_MEAN = 0.28, 0.037
DROPOUT_SHAPE, DROPOUT_SCALE = 0.4, 40.0
# Gamma–Gamma: an order is Gamma(4, ν), ν of a customer Gamma(3.5, 28): 44.80 EUR on average.
SPEND_SHAPE, SPEND_Q, SPEND_GAMMA = 4, 3.5, 28.0

# Acquisition channel: share of customers, factor on the purchase rate, factor on the drop-out rate.
ACQUISITION_CHANNELS: dict[str, tuple[float, float, float]] = {
    "store": (0.34, 1.00, 0.8),
    "search": (0.26, 0.90, 1.1),
    "social": (0.18, 0.80, 1.3),
    "referral": (0.12, 1.30, 0.7),
    "marketplace": (0.10, 1.10, 1.4),
}
# Cause of a drop-out: initiator, weight. The taxonomy of metrics.md, "Churn".
CHURN_CAUSES: dict[str, tuple[str, float]] = {
    "death": ("external", 0.02),
    "moved": ("external", 0.10),
    "taste_changed": ("customer", 0.17),
    "friends_advice": ("customer", 0.06),
    "better_elsewhere": ("customer", 0.22),
    "dissatisfied": ("customer", 0.14),
    "staff_indifference": ("customer", 0.12),
    "repositioning": ("company", 0.03),
    "business_terminated": ("company", 0.015),
    "business_shrunk": ("company", 0.02),
    "bundling": ("company", 0.015),
    "minimum_order_raised": ("company", 0.03),
    "delivery_terms": ("company", 0.02),
    "delivery_radius": ("company", 0.015),
    "payment_terms": ("company", 0.015),
    "complaint_unresolved": ("company", 0.01),
}
CATEGORIES = ("bakery", "coffee", "dairy", "garden", "household", "pets", "toys", "wine")
# Shares of a customer's spend in the first, second and third of the three categories that they buy.
FAVOURITE_SHARES = (0.60, 0.25, 0.15)
OWN_BRAND = "Linden"
RIVAL_BRANDS = ("Birke", "Eiche", "Kiefer", "Ulme")
SEGMENTS = ("household", "family", "student", "business")
STATUSES = ("completed", "cancelled", "test")
ORDER_CHANNELS = ("store", "web", "app")
# Foreign currencies with their rate to EUR, as in the seed exchange_rates.
CURRENCIES: dict[str, str] = {"EUR": "1", "DEM": "0.51129188", "FRF": "0.15244902"}
# Tier by net spend, in EUR, of the twelve calendar months before.
TIERS: dict[str, int] = {"bronze": 0, "silver": 200, "gold": 600, "platinum": 1500}
# A campaign every three months: from the 5th of its month, for three weeks.
CAMPAIGN_EVERY_MONTHS, CAMPAIGN_FIRST_DAY, CAMPAIGN_LAST_DAY = 3, 5, 25


def checked_layout(name: str) -> Layout:
    """A layout by its name.

    Raises:
        UserError: there is none of that name.
    """
    layouts: tuple[Layout, ...] = get_args(Layout)
    if name not in layouts:
        raise UserError(f"There is no format '{name}'.", f"Known: {', '.join(layouts)}.")
    return layouts[layouts.index(name)]


@dataclass(frozen=True)
class World:
    """What decides a world: the same values give the same bytes.

    Attributes:
        customers: number of people who ever buy, guests included.
        months: length of the history, from `start`.
        seed: any integer.
        dirt: 0 (clean files) to 1 (all defects at their usual share).
        layout: CSV for some tables and Parquet for others, or one of these for all.
    """

    customers: int
    months: int = DEFAULT_MONTHS
    seed: int = 1
    dirt: float = 1.0
    layout: Layout = "mixed"
    start: date = date(2022, 1, 1)

    def month_start(self, index: int) -> date:
        months = self.start.year * 12 + self.start.month - 1 + index
        return date(months // 12, months % 12 + 1, 1)

    @property
    def end(self) -> date:
        """Last day of the history."""
        return self.month_start(self.months) - timedelta(days=1)

    @property
    def days(self) -> int:
        return (self.end - self.start).days + 1

    @property
    def owner_count(self) -> int:
        return max(10, self.customers // 500)

    @property
    def end_sql(self) -> str:
        """First instant after the history."""
        return f"timestamp '{self.month_start(self.months)}'"

    @cached_property
    def clock(self) -> Clock:
        return Clock(self)

    def salt(self, purpose: str) -> int:
        """A number of 64 bits that is another one for every seed and purpose."""
        return int.from_bytes(hashlib.blake2b(f"{self.seed}:{purpose}".encode(), digest_size=8).digest(), "big")

    def uniform(self, key: str, purpose: str) -> str:
        """SQL: a number in (0, 1) that depends on seed, purpose and key (a BIGINT) alone, not on threads or order."""
        # Doubles throughout: the literal 0.5 made decimals of 128 bits, and a million orders took 35 s instead of 7.
        bits = f"hash(xor(hash({key}), {self.salt(purpose)}::ubigint)) >> 11"
        return f"((cast({bits} as double) + 0.5e0) * 1.1102230246251565e-16)"

    def erlang(self, key: str, purpose: str, shape: int) -> str:
        """SQL: a Gamma number with a whole shape and the scale 1."""
        return "-ln(" + " * ".join(self.uniform(key, f"{purpose} {part}") for part in range(shape)) + ")"


class Clock:
    """Business time to calendar time.

    In business time purchases come at a constant rate; a calendar day holds more of it in December and on Saturdays.
    So the seasons change when people buy, and not how often or whether they come back.
    """

    SLOTS_PER_DAY = 8
    OPENS_AT, OPEN_SECONDS = 7 * 3600, 15 * 3600

    def __init__(self, world: World) -> None:
        dates = np.datetime64(world.start) + np.arange(world.days + FUTURE_DAYS + 1)
        weekday = (dates.astype("datetime64[D]").astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
        day_of_year = (dates - dates.astype("datetime64[Y]")).astype(np.int64)
        month_day = (dates - dates.astype("datetime64[M]")).astype(np.int64) + 1
        month = dates.astype("datetime64[M]").astype(np.int64) % 12 + 1
        weights = np.array([0.90, 0.85, 0.90, 1.00, 1.20, 1.35, 0.80])[weekday]
        weights = weights * (1 + 0.2 * np.cos(2 * np.pi * (day_of_year - 345) / 365.25))
        self.weights: Floats = weights * np.where((month == 11) & (month_day >= 20), 1.4, 1.0)
        self.day_starts: Floats = np.concatenate([[0.0], np.cumsum(self.weights)])
        self.start = np.datetime64(world.start, "s")
        self.days = world.days

    def at_day(self, day: int) -> float:
        """Business time at the beginning of a day, counted from the start."""
        return float(self.day_starts[day])

    @property
    def end(self) -> float:
        return self.at_day(self.days)

    def timestamps(self, business_time: Floats) -> NDArray[np.datetime64]:
        """Calendar timestamps, in whole seconds and opening hours; NaT where not finite or beyond the known future."""
        known = np.isfinite(business_time) & (business_time < self.day_starts[-1])
        days = np.interp(np.where(known, business_time, 0.0), self.day_starts, np.arange(len(self.day_starts)))
        seconds = np.floor(days) * 86400 + self.OPENS_AT + np.floor((days % 1) * self.OPEN_SECONDS)
        found = self.start + seconds.astype("timedelta64[s]")
        return np.where(known, found, np.datetime64("NaT", "s")).astype("datetime64[us]")

    def slots(self) -> dict[str, NDArray[np.float64] | NDArray[np.int64]]:
        """The same for SQL: by slot (an eighth of a day of business time) the one or two days that it touches.

        Columns: slot, day, starts (of the day), weight, next_starts, next_weight.
        """
        slots = np.arange(int(self.day_starts[-2] * self.SLOTS_PER_DAY))
        day = np.searchsorted(self.day_starts, slots / self.SLOTS_PER_DAY, side="right") - 1
        following = np.minimum(day + 1, len(self.weights) - 1)
        return {
            "slot": slots,
            "day": day,
            "starts": self.day_starts[day],
            "weight": self.weights[day],
            "next_starts": self.day_starts[following],
            "next_weight": self.weights[following],
        }
