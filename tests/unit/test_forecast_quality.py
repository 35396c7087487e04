"""Measures of forecasts against their definitions, one customer at a time; the supervised model on made-up people."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.lib.forecast import risk
from orchestration.lib.forecast.fitting import FitRefused
from orchestration.lib.forecast.histories import Floats
from orchestration.lib.forecast.quality import auc, brier, calibration, lift
from orchestration.lib.forecast.risk import Samples

CUSTOMERS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.booleans(), st.integers(1, 3)),
    min_size=1,
    max_size=30,
)


def arrays(customers: list[tuple[float, bool, int]]) -> tuple[Floats, Floats, Floats]:
    forecast, came, count = (np.array(column, dtype=float) for column in zip(*customers, strict=True))
    return forecast, came, count


def one_by_one(customers: list[tuple[float, bool, int]]) -> list[tuple[float, bool]]:
    return [(forecast, came) for forecast, came, count in customers for _ in range(count)]


@given(CUSTOMERS)
def test_measures_are_what_they_are_defined_to_be(customers: list[tuple[float, bool, int]]) -> None:
    single = one_by_one(customers)
    true = [forecast for forecast, came in single if came]
    false = [forecast for forecast, came in single if not came]
    found = auc(*arrays(customers))
    if true and false:
        pairs = [1 if t > f else 0.5 if t == f else 0 for t in true for f in false]
        assert found == pytest.approx(sum(pairs) / len(pairs))
    else:
        assert np.isnan(found)
    assert brier(*arrays(customers)) == pytest.approx(np.mean([(forecast - came) ** 2 for forecast, came in single]))


@given(CUSTOMERS, st.integers(1, 10))
def test_calibration_holds_everybody_once_and_in_order(customers: list[tuple[float, bool, int]], bins: int) -> None:
    single = one_by_one(customers)
    found = calibration(*arrays(customers), bins=bins)
    assert len(found) <= bins
    assert sum(b.count for b in found) == len(single)
    assert sum(b.count * b.forecast for b in found) == pytest.approx(sum(forecast for forecast, _ in single))
    assert sum(b.count * b.actual for b in found) == pytest.approx(sum(came for _, came in single))
    assert [b.forecast for b in found] == sorted(b.forecast for b in found)


def test_lift_of_the_top_decile() -> None:
    """Of 20 customers two are the top decile; four came true, both of the two among them: 1 against 0.2."""
    forecast = np.linspace(1, 0, 20)
    came = np.array([1, 1, 0, 1, 0, 0, 0, 1] + [0] * 12, dtype=float)
    assert lift(forecast, came, np.ones(20)) == pytest.approx(5)
    # Equal forecasts tell nothing apart.
    assert lift(np.full(20, 0.3), came, np.ones(20)) == pytest.approx(1)


def made_up(seed: int, count: int = 20_000) -> Samples:
    """Churn follows from the first feature and, against intuition, from a missing second one."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(count, 3))
    features[random.random(count) < 0.3, 1] = np.nan
    log_odds = 1.5 * features[:, 0] + 2.0 * np.isnan(features[:, 1]) - 1.5
    churned = (random.random(count) < 1 / (1 + np.exp(-log_odds))).astype(float)
    return Samples(("recency_ratio", "open_rate", "noise"), features, churned)


def test_risk_is_learnt_calibrated_and_explained() -> None:
    model = risk.fit(made_up(1), made_up(2))
    test = made_up(3)
    forecast = model.risk(test.features)
    everybody = np.ones(len(forecast))
    assert auc(forecast, test.churned, everybody) > 0.8
    for bin_ in calibration(forecast, test.churned, everybody):
        assert bin_.forecast == pytest.approx(bin_.actual, abs=0.03)
    late, unknown = np.array([3.0, 0.0, 0.0]), np.array([-3.0, np.nan, 0.0])
    reasons = model.reasons(np.stack((late, unknown)))
    assert [model.names[first - 1] for first in reasons[:, 0]] == ["recency_ratio", "open_rate"]
    assert list(model.importance())[:2] == ["recency_ratio", "open_rate"]
    again = risk.fit(made_up(1), made_up(2))
    assert np.array_equal(again.risk(test.features), forecast)


def test_too_few_of_a_kind_are_refused() -> None:
    few = made_up(1, 120)
    with pytest.raises(FitRefused, match="customers who churned") as refused:
        risk.fit(few, made_up(2))
    assert "P(alive)" in refused.value.remedy
