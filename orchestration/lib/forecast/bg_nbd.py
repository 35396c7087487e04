"""BG/NBD: buys at a rate λ ~ Gamma(r, α) per week until, after each purchase with probability p ~ Beta(a, b), gone.

Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way, Marketing Science 24(2).
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.special import expit

from orchestration.lib.forecast.fitting import Fit, dot, maximise, running
from orchestration.lib.forecast.histories import DAYS_PER_WEEK, MANY, Floats, Histories, Integers
from orchestration.lib.forecast.purchases import Nodes

FAMILY = "bg_nbd"
NAMES = ("r", "alpha", "a", "b")
STARTS = ((1.0, 10.0, 1.0, 2.0), (0.3, 5.0, 0.3, 3.0), (2.0, 2.0, 0.1, 5.0))
_MOST_NODES = 300


def fit(histories: Histories) -> Fit:
    """Parameters by maximum likelihood; α in weeks.

    Raises:
        FitRefused: see `fitting.maximise`.
    """
    approach = Likelihood(histories.coarsened(days=14)) if len(histories.count) > MANY else None
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


def nodes(fit: Fit, repeats: Integers, tenure_days: Integers, longest_weeks: float) -> Nodes:
    """Quadrature over the drop-out probability p ~ Beta(a, b + x), for pairs of x and the least T that it must serve.

    Gauss's rule for that density, with as many nodes as it takes: their number grows until it no longer changes what
    somebody with the least T (the hardest case; T is at least x days) is expected to buy within the longest horizon by
    more than 1e-8. It converges by a constant factor, so that the last rule is right to about 1e-10.
    """
    pairs = zip(repeats.tolist(), tenure_days.tolist(), strict=True)
    rules = [_rule(fit, x, max(x, days) / DAYS_PER_WEEK, longest_weeks) for x, days in pairs]
    lengths = [len(value) for value, _ in rules]
    return Nodes(
        repeats=np.repeat(repeats, lengths),
        from_tenure_days=np.repeat(tenure_days, lengths),
        value=np.concatenate([value for value, _ in rules]),
        weight=np.concatenate([weight for _, weight in rules]),
    )


def expected_purchases(fit: Fit, histories: Histories, weeks: float) -> Floats:
    """Expected purchases in the weeks after each history, E[Y(t) | x, t_x, T], shape of `histories`.

    P(alive) times the mean over p of what somebody alive buys in t weeks,
    (1 − ((α + T) ÷ (α + T + p t))^(r + x)) ÷ p. The paper's hypergeometric function is this mean; here nothing cancels.
    """
    expected = np.empty(len(histories.repeats))
    for x in np.unique(histories.repeats):
        rows = histories.repeats == x
        tenure = histories.tenure[rows]
        value, weight = _rule(fit, int(x), float(tenure.min()), weeks)
        expected[rows] = _bought(fit, int(x), tenure, weeks, value) @ weight
    return np.asarray(probability_alive(fit, histories) * expected)


def _bought(fit: Fit, x: int, tenure: Floats, weeks: float, p: Floats) -> Floats:
    """What somebody alive buys in so many weeks, by tenure (rows) and drop-out probability (columns)."""
    return np.asarray(-np.expm1(-(fit["r"] + x) * np.log1p(p * weeks / (fit["alpha"] + tenure[:, None]))) / p)


def _rule(fit: Fit, x: int, tenure: float, weeks: float) -> tuple[Floats, Floats]:
    before, count = np.inf, 8
    while True:
        value, weight = _gauss_beta(fit["a"], fit["b"] + x, count)
        mean = float(_bought(fit, x, np.array([tenure]), weeks, value)[0] @ weight)
        if abs(mean - before) <= 1e-8 * mean or count > _MOST_NODES:
            return value, weight
        before, count = mean, count * 4 // 3


def _gauss_beta(a: float, b: float, count: int) -> tuple[Floats, Floats]:
    """Nodes and weights (of sum 1) of Gauss's rule for Beta(a, b), by Golub & Welsch from the recurrence of the Jacobi
    polynomials on (0, 1)."""
    n = np.arange(1.0, count)
    total = a + b
    diagonal = np.empty(count)
    diagonal[0] = a / total
    diagonal[1:] = (2 * n * (n + total - 1) + a * (total - 2)) / ((2 * n + total - 2) * (2 * n + total))
    beside = n * (n + a - 1) * (n + b - 1) * (n + total - 2)
    beside[0] = a * b if count > 1 else 0.0
    scale = (2 * n + total - 2) ** 2 * (2 * n + total - 1) * (2 * n + total - 3)
    scale[0] = total**2 * (total + 1)
    value, vector = eigh_tridiagonal(diagonal, np.sqrt(beside / scale))
    return np.asarray(value), np.asarray(vector[0] ** 2)
