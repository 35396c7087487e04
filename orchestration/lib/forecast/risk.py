"""Supervised risk of churn: boosted trees on what was known before a date, calibrated on samples of a later one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from orchestration.lib.forecast.fitting import FitRefused
from orchestration.lib.forecast.histories import Floats, Integers
from orchestration.lib.forecast.trees import SETTINGS

if TYPE_CHECKING:
    import lightgbm

FAMILY = "boosted_trees"
FEWEST = 100
"""Customers of either kind below which nothing is learnt."""
_MOST_TREES, _PATIENCE = 500, 30


@dataclass(frozen=True)
class Samples:
    """Customers as of a date, and what became of them."""

    names: tuple[str, ...]
    """Of the features."""
    features: Floats
    """Customers × features; NaN where unknown."""
    churned: Floats
    """1 or 0 by customer."""


@dataclass(frozen=True)
class Line:
    """A probability whose log-odds are a straight line in a score: Platt's calibration."""

    slope: float
    intercept: float

    @classmethod
    def through(cls, score: Floats, came: Floats) -> Line:
        """The logistic regression of what came (1 or 0) on the score, by Newton's method.

        Platt (1999), with his smoothed targets, so that perfect forecasts do not run to infinity.
        """
        true, false = came.sum(), len(came) - came.sum()
        target = np.where(came > 0, (true + 1) / (true + 2), 1 / (false + 2))
        design: NDArray[np.float64] = np.stack((score, np.ones_like(score)))
        line = np.array([1.0, 0.0])
        for _ in range(50):
            forecast = expit(line @ design)
            gradient = design @ (forecast - target)
            hessian = (design * (forecast * (1 - forecast))) @ design.T + 1e-9 * np.eye(2)
            step = np.linalg.solve(hessian, gradient)
            line = line - step / max(1.0, float(np.abs(step).max()))
            if np.abs(step).max() < 1e-10:
                break
        return cls(float(line[0]), float(line[1]))

    def __call__(self, score: Floats) -> Floats:
        """Probabilities, 0–1, shape of the score."""
        return np.asarray(expit(self.intercept + self.slope * score))


@dataclass(frozen=True)
class RiskModel:
    """Trees, and the line that calibrates their log-odds."""

    booster: lightgbm.Booster
    names: tuple[str, ...]
    line: Line

    def risk(self, features: Floats) -> Floats:
        """Probability of churn by customer, 0–1; `features` as in `Samples`."""
        return self.line(np.asarray(self.booster.predict(features, raw_score=True)))

    def reasons(self, features: Floats, most: int = 3) -> Integers:
        """Features that raise each customer's risk most, by SHAP values: customers × `most`, the strongest first.

        Numbers from 1 of places in `names`, 0 where fewer features raise it. A hundred times the cost of the risk.
        """
        contributions = np.asarray(self.booster.predict(features, pred_contrib=True))[:, :-1] * np.sign(self.line.slope)
        order = np.argsort(-contributions, axis=1, kind="stable")[:, :most]
        return np.where(np.take_along_axis(contributions, order, axis=1) > 0, order + 1, 0)

    def importance(self) -> dict[str, float]:
        """Share of each feature in what the splits of the trees gain, the greatest first."""
        gain = self.booster.feature_importance("gain")
        order = np.argsort(-gain, kind="stable")
        return {self.names[place]: float(gain[place] / gain.sum()) for place in order if gain[place] > 0}


def fit(learning: Samples, later: Samples) -> RiskModel:
    """Trees learnt from the first samples; where to stop, and the calibration, from samples of a later date.

    Raises:
        FitRefused: fewer than `FEWEST` customers who churned or who stayed, in either of them, or a feature missing.
    """
    import lightgbm

    if learning.names != later.names:
        raise FitRefused("The samples of the two dates do not have the same features.", "Compute them by one query.")
    for samples, what in ((learning, "to learn from"), (later, "to calibrate on")):
        churned = int(samples.churned.sum())
        stayed = len(samples.churned) - churned
        if min(churned, stayed) < FEWEST:
            raise FitRefused(
                f"The model {FAMILY} has {churned} customers who churned and {stayed} who stayed {what}; it needs "
                f"{FEWEST} of each.",
                "Give it a longer history; until then P(alive) is the better forecast.",
            )
    names = list(learning.names)
    data = lightgbm.Dataset(learning.features, learning.churned, feature_name=names)
    booster = lightgbm.train(
        {**SETTINGS, "objective": "binary"},
        data,
        num_boost_round=_MOST_TREES,
        valid_sets=[lightgbm.Dataset(later.features, later.churned, feature_name=names, reference=data)],
        callbacks=[lightgbm.early_stopping(_PATIENCE, verbose=False)],
    )
    log_odds = np.asarray(booster.predict(later.features, raw_score=True))
    return RiskModel(booster, learning.names, Line.through(log_odds, later.churned))
