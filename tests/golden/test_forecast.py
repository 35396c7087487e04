"""The fitted models against the figures of the literature and against lifetimes, an independent implementation."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pytest
from lifetimes import BetaGeoFitter, GammaGammaFitter

from orchestration.lib.forecast import bg_nbd, gamma_gamma, pareto_nbd
from orchestration.lib.forecast.fitting import Fit, FitRefused
from orchestration.lib.forecast.histories import Histories, SpendHistories
from tests.support.histories import cdnow_sample, histories_of_orders

EXAMPLE = Histories(np.array([2]), np.array([213]), np.array([272]), np.array([1.0]))
"""x = 2, t_x = 30.43, T = 38.86 weeks."""


@pytest.fixture(scope="module")
def sample() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        cdnow_sample(connection)
        yield connection


@pytest.fixture(scope="module")
def sample_fit(sample: duckdb.DuckDBPyConnection) -> Fit:
    return bg_nbd.fit(Histories.read(sample, "histories"))


def test_bg_nbd_of_the_sample(sample_fit: Fit) -> None:
    """Fader, Hardie & Lee (2005), table 2."""
    assert sample_fit.customer_count == 2357
    assert [round(sample_fit[name], 4) for name in bg_nbd.NAMES] == pytest.approx([0.2426, 4.4136, 0.7929, 2.4259])
    assert sample_fit.log_likelihood == pytest.approx(-9582.43, abs=0.005)
    assert bg_nbd.probability_alive(sample_fit, EXAMPLE)[0] == pytest.approx(0.7266, abs=5e-5)
    assert bg_nbd.expected_purchases(sample_fit, EXAMPLE, 39)[0] == pytest.approx(1.226, abs=5e-4)


def test_pareto_nbd_of_the_sample(sample: duckdb.DuckDBPyConnection) -> None:
    """Fader, Hardie & Lee (2005), table 2."""
    found = pareto_nbd.fit(Histories.read(sample, "histories"))
    assert [round(found[name], 3) for name in pareto_nbd.NAMES] == pytest.approx([0.553, 10.578, 0.606, 11.669])
    assert found.log_likelihood == pytest.approx(-9594.98, abs=0.01)


def test_gamma_gamma_of_the_sample(sample: duckdb.DuckDBPyConnection) -> None:
    """Fader & Hardie (2013)."""
    found = gamma_gamma.fit(SpendHistories.read(sample, "histories"))
    assert found.customer_count == 946
    assert [round(found[name], 2) for name in gamma_gamma.NAMES] == pytest.approx([6.25, 3.74, 15.44])


def test_forecast_of_the_sample_against_what_came(sample: duckdb.DuckDBPyConnection, sample_fit: Fit) -> None:
    """39 weeks on: the paper's figure 5."""
    histories = Histories.read(sample, "histories")
    expected = bg_nbd.expected_purchases(sample_fit, histories, 39) @ histories.count
    actual = sample.execute(
        "select count(distinct (customer_id, business_date)) from cdnow_sample where business_date > '1997-09-30'"
    ).fetchone()
    assert expected == pytest.approx(1653.4, abs=0.05)
    assert actual == (1882,)


@pytest.fixture(params=["cdnow", "complete_journey"])
def marts(request: pytest.FixtureRequest) -> tuple[duckdb.DuckDBPyConnection, str]:
    until = {"cdnow": "1998-06-30", "complete_journey": "2017-12-31"}[request.param]
    connection: duckdb.DuckDBPyConnection = request.getfixturevalue(request.param)
    return connection, histories_of_orders(connection, until)


@pytest.mark.integration
def test_fits_equal_those_of_lifetimes(marts: tuple[duckdb.DuckDBPyConnection, str]) -> None:
    """To four digits. lifetimes takes 1e-6 as converged; asked for more, it gives up on Complete Journey."""
    connection, relation = marts
    found = bg_nbd.fit(Histories.read(connection, relation))
    x, span, tenure, spend = connection.execute(
        f"""select repeat_count, span_days / 7, tenure_days / 7, repeat_minor / 100 / greatest(repeat_count, 1)
        from {relation}"""
    ).fetchnumpy().values()  # fmt: skip
    theirs = BetaGeoFitter()
    theirs.fit(x, span, tenure, tol=1e-6)
    assert [found[name] for name in bg_nbd.NAMES] == pytest.approx(list(theirs.params_), rel=2e-4)

    spends = gamma_gamma.fit(SpendHistories.read(connection, relation))
    again = (x > 0) & (spend > 0)
    theirs = GammaGammaFitter()
    theirs.fit(x[again], spend[again], tol=1e-6)
    assert [spends[name] for name in gamma_gamma.NAMES] == pytest.approx(list(theirs.params_), rel=2e-4)


@pytest.mark.integration
def test_pareto_nbd_has_no_maximum_on_complete_journey(complete_journey: duckdb.DuckDBPyConnection) -> None:
    """Households of one year who hardly leave: the drop-out rate's parameters run away together."""
    relation = histories_of_orders(complete_journey, "2017-12-31")
    with pytest.raises(FitRefused, match=r"pareto_nbd has no maximum .*(runs to|flat|converge)"):
        pareto_nbd.fit(Histories.read(complete_journey, relation))
