"""Gamma–Gamma: an order is Gamma(p, ν) with ν ~ Gamma(q, v) of the customer, whatever the number of orders.

Fader & Hardie (2013), The Gamma-Gamma Model of Monetary Value. Here an order is a purchase day after the first.
"""

from __future__ import annotations

import numpy as np
from scipy.special import digamma, gammaln

from orchestration.lib.forecast.fitting import Fit, dot, maximise, refused
from orchestration.lib.forecast.histories import Floats, SpendHistories

FAMILY = "gamma_gamma"
NAMES = ("p", "q", "v")


def fit(histories: SpendHistories) -> Fit:
    """Parameters by maximum likelihood; v in units of the reporting currency.

    Raises:
        FitRefused: see `fitting.maximise`; also where the mean spend of all customers would be infinite (q ≤ 1).
    """
    typical = float(np.median(histories.mean_spend)) if len(histories.count) else 1.0
    # v is a scale: in units of the typical spend it is near 1 in every currency.
    scaled = SpendHistories(histories.repeats, histories.mean_spend / typical, histories.count)
    found = maximise(FAMILY, NAMES, Likelihood(scaled), histories.customer_count, ((5.0, 3.0, 1.0), (1.0, 2.0, 2.0)))
    if found["q"] <= 1:
        raise refused(FAMILY, f"the mean spend over all customers would be infinite (q = {found['q']:.4g}, at most 1)")
    return Fit(
        family=found.family,
        parameters={**found.parameters, "v": found["v"] * typical},
        log_likelihood=found.log_likelihood - histories.customer_count * float(np.log(typical)),
        standard_errors={**found.standard_errors, "v": found.standard_errors["v"] * typical},
        customer_count=found.customer_count,
    )


class Likelihood:
    """The log-likelihood of the mean spends and its gradient, as a function of (p, q, v)."""

    def __init__(self, histories: SpendHistories) -> None:
        self._repeats, self._count = histories.repeats.astype(float), histories.count
        self._spend = self._repeats * histories.mean_spend
        self._customers = histories.customer_count
        self._log_mean = np.log(histories.mean_spend)
        # Gamma functions of x once per distinct x.
        self._distinct, self._place = np.unique(self._repeats, return_inverse=True)
        self._by_repeats = np.bincount(self._place, histories.count)

    def __call__(self, parameters: Floats) -> tuple[float, Floats]:
        p, q, v = parameters
        x, count = self._repeats, self._count
        shape = p * self._distinct
        log_total = np.log(v + self._spend)
        weight = count * (p * x + q)
        value = (
            dot(self._by_repeats, gammaln(shape + q) - gammaln(shape) + shape * np.log(self._distinct))
            + self._customers * (q * np.log(v) - gammaln(q))
            + dot(count, (p * x - 1) * self._log_mean)
            - dot(weight, log_total)
        )
        of_shape = digamma(shape + q)
        of_p = dot(self._by_repeats, self._distinct * (of_shape - digamma(shape) + np.log(self._distinct))) + dot(
            count * x, self._log_mean - log_total
        )
        of_q = dot(self._by_repeats, of_shape) + self._customers * (np.log(v) - digamma(q)) - dot(count, log_total)
        of_v = self._customers * q / v - (weight / (v + self._spend)).sum()
        return float(value), np.array([of_p, of_q, of_v])


def expected_spend(fit: Fit, histories: SpendHistories) -> Floats:
    """Expected mean spend of a purchase day, E[M | x, m], in units of the reporting currency, shape of `histories`."""
    p, q, v = (fit[name] for name in NAMES)
    x = histories.repeats
    return np.asarray(p * (v + x * histories.mean_spend) / (p * x + q - 1))
