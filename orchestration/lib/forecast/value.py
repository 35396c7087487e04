"""What customers will be worth: expected purchases of each month ahead, discounted, times spend and margin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from orchestration.lib.forecast.histories import DAYS_PER_WEEK, Floats, Histories

DAYS_PER_MONTH = 365 / 12


def discounted_purchases(
    expected: Callable[[Histories, float], Floats], histories: Histories, months: int, annual_discount_rate: float
) -> Floats:
    """Purchases expected in so many months (of 365 ÷ 12 days), each month's discounted from its end.

    The result has the shape of `histories`.

    Args:
        expected: a model's `expected_purchases` with its fit bound.
        histories: customers as of now.
        months: how far ahead.
        annual_discount_rate: 0.1 makes what comes in a year's time worth 1 ÷ 1.1 of its amount.
    """
    total = np.zeros(len(histories.count))
    before = np.zeros(len(histories.count))
    for month in range(1, months + 1):
        until = expected(histories, month * DAYS_PER_MONTH / DAYS_PER_WEEK)
        total += (until - before) / (1 + annual_discount_rate) ** (month / 12)
        before = until
    return total
