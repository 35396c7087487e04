"""The models' likelihoods, quadrature and refusals, on histories made up for the purpose."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import betaln

from orchestration.lib.forecast import bg_nbd, gamma_gamma, pareto_nbd
from orchestration.lib.forecast.fitting import Fit, FitRefused, Likelihood, maximise
from orchestration.lib.forecast.histories import Floats, Histories, SpendHistories
from orchestration.lib.forecast.value import discounted_purchases

POSITIVE = st.floats(0.05, 20)


def fit_of(family: str, **parameters: float) -> Fit:
    return Fit(family, parameters, 0.0, {}, 1)


def one(repeats: int, span_days: int, tenure_days: int) -> Histories:
    return Histories(np.array([repeats]), np.array([span_days]), np.array([tenure_days]), np.array([1.0]))


def some_histories(count: int = 300) -> Histories:
    random = np.random.default_rng(7)
    repeats = random.poisson(random.gamma(0.5, 6, count))
    tenure = random.integers(1, 500, count) + repeats
    span = np.where(repeats > 0, np.minimum(repeats + (tenure * random.random(count)).astype(int), tenure), 0)
    return Histories(repeats, span, tenure, random.integers(1, 4, count).astype(float))


def some_spends(count: int = 200) -> SpendHistories:
    random = np.random.default_rng(8)
    return SpendHistories(random.integers(1, 9, count), random.gamma(2, 15, count) + 0.01, np.ones(count))


HISTORY = st.tuples(st.integers(0, 400), st.integers(0, 900), st.integers(0, 900)).map(
    lambda drawn: one(drawn[0], drawn[0] + drawn[1] if drawn[0] else 0, sum(drawn))
)


@pytest.mark.parametrize(
    ("likelihood", "at"),
    [
        (bg_nbd.Likelihood(some_histories()), (0.4, 5.0, 0.8, 3.0)),
        (bg_nbd.Likelihood(some_histories()), (2.0, 0.5, 20.0, 4000.0)),
        (pareto_nbd.Likelihood(some_histories()), (0.5, 9.0, 0.6, 14.0)),
        (pareto_nbd.Likelihood(some_histories()), (3.0, 50.0, 2.0, 0.4)),
        (gamma_gamma.Likelihood(some_spends()), (5.0, 4.0, 17.0)),
    ],
)
def test_gradients_are_those_of_the_likelihood(likelihood: Likelihood, at: tuple[float, ...]) -> None:
    parameters = np.array(at)
    value, gradient = likelihood(parameters)
    steps = np.diag(1e-5 * parameters)
    differences = [(likelihood(parameters + s)[0] - likelihood(parameters - s)[0]) / (2 * s.sum()) for s in steps]
    assert gradient == pytest.approx(differences, rel=1e-5, abs=abs(value) * 1e-7)


@settings(max_examples=60, deadline=None)
@given(history=HISTORY, r=POSITIVE, alpha=POSITIVE, a=POSITIVE, b=POSITIVE, weeks=st.sampled_from([4.3, 52.1]))
def test_bg_nbd_equals_its_definition(
    history: Histories, r: float, alpha: float, a: float, b: float, weeks: float
) -> None:
    """The mean over the drop-out probability, by adaptive quadrature between its quantiles."""
    x, tenure = int(history.repeats[0]), float(history.tenure[0])

    def density(logit: float) -> Any:
        log_p, log_q = -np.logaddexp(0, -logit), -np.logaddexp(0, logit)
        return np.exp(a * log_p + (b + x) * log_q - betaln(a, b + x))

    def purchases(logit: float) -> Any:
        p = np.exp(-np.logaddexp(0, -logit))
        return density(logit) * -np.expm1(-(r + x) * np.log1p(p * weeks / (alpha + tenure))) / p

    centre = np.log(a / (b + x))
    edges = [max(centre - 45 / a - 9, -700), centre - 3, centre, centre + 3, min(centre + 45 / (b + x) + 9, 700)]
    mean = sum(quad(purchases, low, high, epsabs=0, limit=400)[0] for low, high in pairwise(edges))
    fit = fit_of("bg_nbd", r=r, alpha=alpha, a=a, b=b)
    alive = bg_nbd.probability_alive(fit, history)[0]
    assert 0 <= alive <= 1
    assert bg_nbd.expected_purchases(fit, history, weeks)[0] == pytest.approx(alive * mean, rel=1e-8, abs=1e-14)


@settings(max_examples=60, deadline=None)
@given(history=HISTORY, r=POSITIVE, alpha=POSITIVE, s=POSITIVE, beta=POSITIVE)
def test_pareto_nbd_equals_its_definition(history: Histories, r: float, alpha: float, s: float, beta: float) -> None:
    x, span, tenure = int(history.repeats[0]), float(history.span[0]), float(history.tenure[0])

    def log_gone(time: float) -> float:
        return float(np.log(s) - (r + x) * np.log(alpha + time) - (s + 1) * np.log(beta + time))

    log_alive = -(r + x) * np.log(alpha + tenure) - s * np.log(beta + tenure)
    top = max(log_gone(span), log_alive)
    # The integrand falls off steeply behind t_x.
    edges = span + (tenure - span) * np.array([0, 1e-4, 1e-3, 1e-2, 0.1, 0.4, 1])
    gone = sum(
        quad(lambda time: np.exp(log_gone(time) - top), low, high, epsabs=0, limit=200)[0]
        for low, high in pairwise(edges)
    )
    alive = np.exp(log_alive - top) / (np.exp(log_alive - top) + gone)
    fit = fit_of("pareto_nbd", r=r, alpha=alpha, s=s, beta=beta)
    assert pareto_nbd.probability_alive(fit, history)[0] == pytest.approx(alive, rel=1e-8, abs=1e-12)


def test_pareto_nbd_at_its_removable_gap() -> None:
    """s = 1 divides by zero in the formula; the figures next to it show that nothing happens there."""
    history = one(3, 100, 200)
    near, at, after = (
        pareto_nbd.expected_purchases(fit_of("pareto_nbd", r=0.5, alpha=8, s=s, beta=11), history, 20)[0]
        for s in (1 - 1e-7, 1.0, 1 + 1e-7)
    )
    assert at == pytest.approx((near + after) / 2, rel=1e-7)


def test_what_is_discounted_is_less_and_at_no_interest_the_same() -> None:
    fit = fit_of("bg_nbd", r=0.25, alpha=4.4, a=0.8, b=2.4)
    histories = some_histories()

    def expected(of: Histories, weeks: float) -> Floats:
        return bg_nbd.expected_purchases(fit, of, weeks)

    plain = expected(histories, 365 / 7)
    assert discounted_purchases(expected, histories, 12, 0.0) == pytest.approx(plain, rel=1e-12)
    discounted = discounted_purchases(expected, histories, 12, 0.1)
    assert np.all((plain / 1.1 <= discounted) & (discounted <= plain))


def bg_nbd_histories(count: int) -> Histories:
    """Of customers with r = 0.6, α = 4, a = 0.7, b = 2."""
    random = np.random.default_rng(11)
    rate, dropout = random.gamma(0.6, 1 / 4, count), random.beta(0.7, 2.0, count)
    tenure_days = random.integers(200, 700, count)
    repeats, span, time = np.zeros(count, int), np.zeros(count), np.zeros(count)
    alive = np.ones(count, bool)
    while alive.any():
        time = time + random.exponential(1 / rate)
        buys = alive & (time * 7 < tenure_days)
        repeats, span = repeats + buys, np.where(buys, time, span)
        alive = buys & (random.random(count) > dropout)
    return Histories(repeats, np.round(span * 7).astype(int), tenure_days, np.ones(count))


def test_fits_find_the_parameters_that_made_the_histories() -> None:
    found = bg_nbd.fit(bg_nbd_histories(20_000))
    for name, value in zip(bg_nbd.NAMES, (0.6, 4.0, 0.7, 2.0), strict=True):
        assert abs(found[name] - value) < 4 * found.standard_errors[name]


def test_a_coarse_approach_comes_to_the_same_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    histories = bg_nbd_histories(4000)
    fine = bg_nbd.fit(histories)
    monkeypatch.setattr(bg_nbd, "MANY", 1)
    assert bg_nbd.fit(histories).parameters == pytest.approx(dict(fine.parameters), rel=1e-6)


def test_pareto_nbd_of_many_histories_is_fitted_on_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    histories = bg_nbd_histories(4000)
    fine = pareto_nbd.fit(histories)
    monkeypatch.setattr(pareto_nbd, "MANY", 1000)
    sample = pareto_nbd.fit(histories)
    assert sample.customer_count == 4000
    for name in pareto_nbd.NAMES:
        assert sample.standard_errors[name] == pytest.approx(2 * fine.standard_errors[name], rel=0.5)
        assert abs(sample[name] - fine[name]) < 2 * sample.standard_errors[name]
    exact, _ = pareto_nbd.Likelihood(histories)(np.array([sample[name] for name in pareto_nbd.NAMES]))
    assert sample.log_likelihood == pytest.approx(exact, rel=1e-12)
    assert sample.log_likelihood <= fine.log_likelihood


@pytest.mark.parametrize(
    ("fit", "histories", "why"),
    [
        # Nobody ever comes back.
        (bg_nbd.fit, one(0, 0, 100), "runs to|flat"),
        # All alike: no spread in rates to be found.
        (bg_nbd.fit, one(10, 90, 100), "runs to|flat"),
        (pareto_nbd.fit, one(10, 90, 100), "runs to|flat"),
        (bg_nbd.fit, Histories(*(np.array([], int) for _ in range(3)), np.array([])), "no customer"),
        (gamma_gamma.fit, SpendHistories(np.array([], int), np.array([]), np.array([])), "no customer"),
        (gamma_gamma.fit, SpendHistories(np.array([2, 3]), np.array([9.99, 9.99]), np.ones(2)), "runs to|flat"),
    ],
)
def test_what_has_no_maximum_is_refused(fit: Callable[[Any], Fit], histories: Any, why: str) -> None:
    with pytest.raises(FitRefused, match=f"has no maximum .*({why})") as refused:
        fit(histories)
    assert refused.value.remedy


def test_a_flat_likelihood_is_refused() -> None:
    """Two parameters of which only the product counts."""

    def likelihood(at: Floats) -> tuple[float, Floats]:
        off = np.log(at[0] * at[1])
        return float(-(off**2)), np.array([-2 * off / at[0], -2 * off / at[1]])

    with pytest.raises(FitRefused, match=r"flat around one = .*, two = "):
        maximise("product", ("one", "two"), likelihood, 1, [(2.0, 3.0)])
