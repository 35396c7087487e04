"""BG/NBD: buys at a rate λ ~ Gamma(r, α) per week until, after each purchase with probability p ~ Beta(a, b), gone.

Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24(2).
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, polygamma

from orchestration.lib.forecast.fitting import Fit, dot, maximise, running
from orchestration.lib.forecast.histories import DAYS_PER_WEEK, Floats, Histories
from orchestration.lib.forecast.purchases import Nodes

FAMILY = "bg_nbd"
NAMES = ("r", "alpha", "a", "b")
STARTS = ((1.0, 10.0, 1.0, 2.0), (0.3, 5.0, 0.3, 3.0), (2.0, 2.0, 0.1, 5.0))
_DIGITS = 27.0
"""exp(−27) is 2e-12, the part of a sum that may be left out."""
_DEVIATIONS = 7.3
"""Of a normal distribution, for the same."""


def fit(histories: Histories) -> Fit:
    """Parameters by maximum likelihood; α in weeks.

    Raises:
        FitRefused: see `fitting.maximise`.
    """
    coarse = histories.coarsened()
    approach = Likelihood(coarse) if coarse else None
    return maximise(FAMILY, NAMES, Likelihood(histories), histories.customer_count, STARTS, approach)


class Likelihood:
    """The log-likelihood of all customers and its gradient, as a function of (r, α, a, b).

    Everything that depends on x alone is a running sum over 0 … x − 1, which is exact where differences of logarithms
    of the gamma and beta functions lose all digits (a and b far above x, or the reverse).
    """

    def __init__(self, histories: Histories) -> None:
        repeats, count = histories.repeats, histories.count
        self._customers = histories.customer_count
        self._largest = int(repeats.max(initial=0))
        self._by_repeats = np.bincount(repeats, count, minlength=self._largest + 1)
        days = int(histories.tenure_days.max(initial=0)) + 1
        self._weeks = np.arange(days) / DAYS_PER_WEEK
        self._by_tenure = np.bincount(histories.tenure_days, count, minlength=days)
        self._repeats_by_tenure = np.bincount(histories.tenure_days, count * repeats, minlength=days)
        # Without a repeat nobody can have left, and nothing depends on the row itself. Sorted, sums by x are of slices.
        order = np.argsort(repeats, kind="stable")
        order = order[np.searchsorted(repeats, 1, sorter=order) :]
        self._repeats, self._count = repeats[order], count[order]
        self._span, self._tenure = histories.span_days[order], histories.tenure_days[order]
        self._distinct, self._slices = np.unique(self._repeats, return_index=True)
        self._lengths = np.diff(np.append(self._slices, len(order)))

    def __call__(self, parameters: Floats) -> tuple[float, Floats]:
        r, alpha, a, b = parameters
        step = np.arange(self._largest)
        log_weeks, inverse = np.log(alpha + self._weeks), 1 / (alpha + self._weeks)
        # Posterior odds of having left after the last purchase.
        log_ratio = log_weeks.take(self._tenure) - log_weeks.take(self._span)
        log_odds = (
            np.repeat(np.log(a) - np.log(b + self._distinct - 1), self._lengths) + (r + self._repeats) * log_ratio
        )
        small = np.exp(-np.abs(log_odds))
        left = self._count * np.where(log_odds > 0, 1.0, small) / (1 + small)
        left_by_repeats = np.add.reduceat(left, self._slices) if len(left) else left

        by_tenure = r * self._by_tenure + self._repeats_by_tenure
        value = (
            dot(self._by_repeats, running(np.log(r + step) - np.log1p(a / (b + step))))
            + self._customers * r * np.log(alpha)
            - dot(by_tenure, log_weeks)
            + dot(self._count, np.maximum(log_odds, 0) + np.log1p(small))
        )
        of_r = (
            dot(self._by_repeats, running(1 / (r + step)))
            + self._customers * np.log(alpha)
            - dot(self._by_tenure, log_weeks)
            + dot(left, log_ratio)
        )
        of_alpha = (
            self._customers * r / alpha
            - dot(by_tenure, inverse)
            - dot(left * (r + self._repeats), inverse.take(self._span) - inverse.take(self._tenure))
        )
        of_a = left_by_repeats.sum() / a - dot(self._by_repeats, running(1 / (a + b + step)))
        of_b = dot(self._by_repeats, running(a / ((b + step) * (a + b + step)))) - dot(
            left_by_repeats, 1 / (b + self._distinct - 1)
        )
        return value, np.array([of_r, of_alpha, of_a, of_b])


def probability_alive(fit: Fit, histories: Histories) -> Floats:
    """P(alive) at the end of each history, shape of `histories`."""
    r, alpha, a, b = (fit[name] for name in NAMES)
    repeats = np.maximum(histories.repeats, 1)
    log_ratio = np.log((alpha + histories.tenure) / (alpha + histories.span))
    log_odds_left = np.log(a) - np.log(b + repeats - 1) + (r + repeats) * log_ratio
    return np.where(histories.repeats > 0, expit(-log_odds_left), 1.0)


def nodes(fit: Fit, largest_repeats: int, longest_weeks: float) -> Nodes:
    """Quadrature over the drop-out probability p ~ Beta(a, b + x), for every x and horizon up to the largest.

    The trapezoidal rule in z = ln(p ÷ (1 − p)), which converges exponentially: 1e-10 at the step taken here. x enters
    by (1 − p)^x, so that one set of nodes serves all. Beyond the bounds the integrand is e^(a z) or e^(−b z) times a
    constant; the first and the last node stand for these tails too.
    """
    a, b = fit["a"], fit["b"]
    # For large x the density is that of the logarithm of a gamma variable with shape a, whose variance is ψ'(a); its
    # transform falls off as exp(−π² ÷ step), or as a normal one's.
    step = min(0.33, 0.6 * float(np.sqrt(polygamma(1, a))))
    # Where p times this is small, nothing but p^a depends on p.
    scale = 1 + largest_repeats + (fit["r"] + largest_repeats) * longest_weeks / fit["alpha"]
    lowest = max(
        -(_DIGITS + np.log(scale)) / min(1 + a, 2),
        np.log(a / (b + largest_repeats)) - _DIGITS / a - _DEVIATIONS * np.sqrt(1 / a + 1 / b),
    )
    highest = min(_DIGITS, np.log(a / b) + _DIGITS / b + _DEVIATIONS * np.sqrt(1 / a + 1 / b))
    logit = lowest + step * np.arange(1 + np.ceil((highest - lowest) / step))
    log_p, log_survival = -np.logaddexp(0.0, -logit), -np.logaddexp(0.0, logit)
    log_weight = a * log_p + b * log_survival
    log_weight[[0, -1]] -= np.log(-np.expm1(-step * np.array([a, b])))
    return Nodes(value=np.exp(log_p), weight=np.exp(log_weight - log_weight.max()), log_survival=log_survival)


def expected_purchases(fit: Fit, histories: Histories, weeks: float) -> Floats:
    """Expected purchases in the weeks after each history, E[Y(t) | x, t_x, T], shape of `histories`.

    P(alive) times the mean over p of what somebody alive buys in t weeks,
    (1 − ((α + T) ÷ (α + T + p t))^(r + x)) ÷ p. The paper's hypergeometric function is this mean; here nothing cancels.
    """
    alive = probability_alive(fit, histories)
    pairs, place = np.unique(np.stack((histories.repeats, histories.tenure_days)), axis=1, return_inverse=True)
    repeats, tenure = pairs[0].astype(float), pairs[1] / DAYS_PER_WEEK
    over = nodes(fit, int(repeats.max(initial=0)), weeks)
    expected = np.empty(len(repeats))
    for rows in np.array_split(np.arange(len(repeats)), 1 + len(repeats) * len(over.value) // 10**7):
        x, time = repeats[rows, None], fit["alpha"] + tenure[rows, None]
        weight = over.weight * np.exp(x * over.log_survival)
        bought = -np.expm1(-(fit["r"] + x) * np.log1p(over.value * weeks / time)) / over.value
        expected[rows] = (weight * bought).sum(axis=1) / weight.sum(axis=1)
    return np.asarray(alive * expected[place.ravel()])
