"""How good a forecast was.

Of yes or no, every measure takes forecasts (0–1), what came (0 or 1) and how many customers, one array element per
customer or per group of equal ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestration.lib.forecast.histories import Floats


@dataclass(frozen=True)
class Bin:
    """Customers with forecasts next to each other."""

    count: float
    forecast: float
    """Mean forecast, 0–1."""
    actual: float
    """Share of whom it came true, 0–1."""


def auc(forecast: Floats, came: Floats, count: Floats) -> float:
    """Probability that somebody of whom it came true had a higher forecast than somebody of whom it did not.

    Ties count half. NaN where there is nobody of one kind.
    """
    _, place = np.unique(forecast, return_inverse=True)
    true, false = np.bincount(place, count * came), np.bincount(place, count * (1 - came))
    below = np.cumsum(false) - false
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.divide((true * (below + false / 2)).sum(), true.sum() * false.sum()))


def brier(forecast: Floats, came: Floats, count: Floats) -> float:
    """Mean squared difference of forecast and what came, 0 the best."""
    return float((count * (forecast - came) ** 2).sum() / count.sum())


def lift(forecast: Floats, came: Floats, count: Floats, share: float = 0.1) -> float:
    """How many times as often it came true among the share with the highest forecasts as among all.

    Of ties at the boundary a part counts. NaN where it never came true.
    """
    order = np.argsort(-forecast, kind="stable")
    distinct, place = np.unique(-forecast[order], return_inverse=True)
    customers = np.bincount(place, count[order], minlength=len(distinct))
    true = np.bincount(place, (count * came)[order], minlength=len(distinct))
    wanted = share * customers.sum()
    taken = np.clip(wanted - (np.cumsum(customers) - customers), 0, customers)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.divide((true * taken / customers).sum() / wanted, true.sum() / customers.sum()))


def calibration(forecast: Floats, came: Floats, count: Floats, bins: int = 10) -> list[Bin]:
    """Bins of about equally many customers by forecast, from the lowest; equal forecasts share a bin."""
    distinct, place = np.unique(forecast, return_inverse=True)
    customers = np.bincount(place, count)
    true = np.bincount(place, count * came)
    middle = (np.cumsum(customers) - customers / 2) / customers.sum()
    number = np.minimum((middle * bins).astype(int), bins - 1)
    found = []
    for which in np.unique(number):
        inside = number == which
        total = customers[inside].sum()
        found.append(
            Bin(float(total), float((customers * distinct)[inside].sum() / total), float(true[inside].sum() / total))
        )
    return found


def pinball(forecast: Floats, came: Floats, quantile: float) -> float:
    """Mean loss of forecasts of a quantile (0–1), in the unit of what came: least where they are that quantile.

    What came beyond the forecast counts `quantile` for each unit, what it fell short of it 1 − `quantile`.
    [Koenker & Bassett 1978]
    """
    beyond = came - forecast
    return float(np.maximum(quantile * beyond, (quantile - 1) * beyond).mean())
