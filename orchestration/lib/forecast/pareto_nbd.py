"""Pareto/NBD: buys at a rate λ ~ Gamma(r, α) per week until gone after an exponential time with μ ~ Gamma(s, β).

Schmittlein, Morrison & Colombo (1987), Counting Your Customers, Management Science 33(1). It stands beside BG/NBD for
comparison.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy.special import expit

from orchestration.lib.forecast.fitting import Fit, dot, maximise, running
from orchestration.lib.forecast.histories import MANY, Floats, Histories, Integers
from orchestration.lib.forecast.purchases import Nodes

FAMILY = "pareto_nbd"
NAMES = ("r", "alpha", "s", "beta")
STARTS = ((1.0, 10.0, 1.0, 10.0), (0.5, 5.0, 0.5, 20.0))
NODE_COUNT = 48
_NEGLIGIBLE = 40.0


def fit(histories: Histories) -> Fit:
    """Parameters by maximum likelihood; α and β in weeks.

    A history costs `NODE_COUNT` times what it costs BG/NBD: of many, an even sample of `MANY` customers is taken; the
    log-likelihood is that of all at the sample's maximum.

    Raises:
        FitRefused: see `fitting.maximise`.
    """
    if len(histories.count) <= MANY:
        return maximise(FAMILY, NAMES, Likelihood(histories), histories.customer_count, STARTS)
    found = maximise(FAMILY, NAMES, Likelihood(histories.sampled(MANY)), histories.customer_count, STARTS)
    wider = np.sqrt(histories.customer_count / MANY)
    parameters = np.array([found[name] for name in NAMES])
    return replace(
        found,
        log_likelihood=sum(Likelihood(part)(parameters)[0] for part in histories.parts(MANY)),
        standard_errors={name: error * wider for name, error in found.standard_errors.items()},
    )


class Likelihood:
    """The log-likelihood of all customers and its gradient, as a function of (r, α, s, β).

    A customer's likelihood is a sum over when they left: still there at T, or gone at a time τ between t_x and T. The
    integral over τ, which the literature writes as hypergeometric functions, is taken by quadrature with the same nodes
    for value and gradient; the gradient is the mean over τ of that of the integrand.
    """

    def __init__(self, histories: Histories) -> None:
        self._repeats, self._count = histories.repeats.astype(float), histories.count
        self._span, self._tenure = histories.span, histories.tenure
        largest = int(histories.repeats.max(initial=0))
        self._largest = largest
        self._by_repeats = np.bincount(histories.repeats, self._count, minlength=largest + 1)

    def __call__(self, parameters: Floats) -> tuple[float, Floats]:
        r, alpha, s, beta = parameters
        x, count, customers = self._repeats, self._count, self._count.sum()
        log_odds, gone_at, share = leaving(x, self._span, self._tenure, parameters)
        left = expit(log_odds)
        purchases = r + x
        alive_alpha, alive_beta = alpha + self._tenure, beta + self._tenure
        gone_alpha, gone_beta = alpha + gone_at, beta + gone_at

        def mean(of_gone: Floats, of_alive: Floats) -> float:
            """Sum over customers of the mean over when they left."""
            of_gone = np.broadcast_to(of_gone, share.shape)
            return dot(count, left * np.einsum("ij,ij->i", share, of_gone) + (1 - left) * of_alive)

        step = np.arange(self._largest)
        value = (
            dot(self._by_repeats, running(np.log(r + step)))
            + customers * (r * np.log(alpha) + s * np.log(beta))
            - dot(count, purchases * np.log(alive_alpha) + s * np.log(alive_beta))
            + dot(count, np.logaddexp(0.0, log_odds))
        )
        of_r = (
            dot(self._by_repeats, running(1 / (r + step)))
            + customers * np.log(alpha)
            - mean(np.log(gone_alpha), np.log(alive_alpha))
        )
        of_alpha = customers * r / alpha - mean(purchases[:, None] / gone_alpha, purchases / alive_alpha)
        of_s = customers * np.log(beta) - mean(np.log(gone_beta) - 1 / s, np.log(alive_beta))
        of_beta = customers * s / beta - mean((s + 1) / gone_beta, s / alive_beta)
        return value, np.array([of_r, of_alpha, of_s, of_beta])


def leaving(repeats: Floats, span: Floats, tenure: Floats, parameters: Floats) -> tuple[Floats, Floats, Floats]:
    """When customers left, given their histories (weeks; arrays of n).

    Returns:
        ln of P(left) ÷ P(alive), −∞ where T = t_x (n); the quadrature's times of leaving τ (n × nodes); the share of
        each τ among them (n × nodes, rows sum to 1).

    Quadrature is in ln(m + τ), m being the smaller of α and β, in which the integrand is smooth for all parameters; it
    ends where (α + τ)^−(r + x) has fallen to e^−40 of its value at t_x.
    """
    r, alpha, s, beta = parameters
    node, weight = _legendre()
    base = min(alpha, beta)
    purchases = (r + repeats)[:, None]
    begin, end = span[:, None], tenure[:, None]
    until = np.minimum(end, begin + (alpha + begin) * np.expm1(_NEGLIGIBLE / np.maximum(purchases, _NEGLIGIBLE / 700)))
    length = np.log((base + until) / (base + begin))
    time = (base + begin) * np.exp(length * node) - base
    density = (
        weight
        * (base + time)
        * np.exp(
            -purchases * np.log((alpha + time) / (alpha + begin)) - (s + 1) * np.log((beta + time) / (beta + begin))
        )
    )
    total = density.sum(axis=1)
    with np.errstate(divide="ignore"):
        log_odds = (
            np.log(s * length[:, 0] * total / (beta + span))
            + (r + repeats) * np.log((alpha + tenure) / (alpha + span))
            + s * np.log((beta + tenure) / (beta + span))
        )
    return np.asarray(log_odds), np.asarray(time), np.asarray(density / total[:, None])


def probability_alive(fit: Fit, histories: Histories) -> Floats:
    """P(alive) at the end of each history, shape of `histories`."""
    parameters = np.array([fit[name] for name in NAMES])
    return np.asarray(expit(-leaving(histories.repeats.astype(float), histories.span, histories.tenure, parameters)[0]))


def nodes(fit: Fit, repeats: Integers, tenure_days: Integers, longest_weeks: float) -> Nodes:
    """Gauss–Legendre on (0, 1), for each pair of x and T."""
    value, weight = _legendre()
    return Nodes(
        repeats=np.repeat(repeats, len(value)),
        from_tenure_days=np.repeat(tenure_days, len(value)),
        value=np.tile(value, len(repeats)),
        weight=np.tile(weight, len(repeats)),
    )


def expected_purchases(fit: Fit, histories: Histories, weeks: float) -> Floats:
    """Expected purchases in the weeks after each history, E[Y(t) | x, t_x, T], shape of `histories`."""
    s = fit["s"]
    beyond = np.log1p(weeks / (fit["beta"] + histories.tenure))
    # Weeks that somebody alive stays for, of the weeks asked for; s = 1 is a removable gap.
    stays = beyond if abs(s - 1) < 1e-9 else -np.expm1((1 - s) * beyond) / (s - 1)
    weekly = (fit["r"] + histories.repeats) / (fit["alpha"] + histories.tenure)
    return np.asarray(probability_alive(fit, histories) * weekly * (fit["beta"] + histories.tenure) * stays)


def _legendre() -> tuple[Floats, Floats]:
    node, weight = leggauss(NODE_COUNT)
    return (1 + node) / 2, weight / 2
