"""Which models are fitted as of which dates, what is refused, and what a fit expects."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pytest
from lifetimes import BetaGeoFitter, ParetoNBDFitter

from orchestration.lib.errors import UserError
from orchestration.lib.forecast import purchase_fits, scoring
from orchestration.lib.forecast.fitting import Fit, FitRefused
from orchestration.lib.forecast.histories import Histories
from orchestration.lib.forecast.purchase_fits import RepeatsByTenure, expected_repeats
from tests.support.forecasts import TABLES, TODAY, dates, write_histories
from tests.unit.test_forecast import bg_nbd_histories

FAMILIES = ["bg_nbd", "pareto_nbd"]


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(TABLES)
        yield connection


def usual() -> Histories:
    """Of customers who differ as the models suppose."""
    return bg_nbd_histories(3000)


def of(repeats: list[int]) -> Histories:
    """So many repeats each, in as many weeks."""
    x = np.array(repeats)
    return Histories(x, 7 * x, 7 * x + 70, np.ones(len(x)))


def outcomes(models: list[scoring.FittedModel]) -> list[tuple[str, str, bool]]:
    return [(str(model.as_of_on), model.family, model.fit is not None) for model in models]


def test_all_models_are_fitted_as_of_all_dates_and_read_back(warehouse: duckdb.DuckDBPyConnection) -> None:
    for as_of_on in dates(2):
        write_histories(warehouse, as_of_on, usual())
    said: list[tuple[int, int]] = []
    models = purchase_fits.fit(warehouse, FAMILIES, 100, lambda done, total, _: said.append((done, total)))
    assert outcomes(models) == [
        (str(as_of_on), family, True) for as_of_on in dates(2) for family in (*FAMILIES, "gamma_gamma")
    ]
    assert said == [(number, 6) for number in range(1, 7)]

    purchase_fits.write(warehouse, models, clv_months=36)
    read = {(model.as_of_on, model.family): model.fit for model in scoring.read(warehouse)}
    for model in models:
        if model.family != "gamma_gamma":
            found = read.pop((model.as_of_on, model.family))
            assert model.fit and found
            assert found.parameters == model.fit.parameters
            assert found.log_likelihood == model.fit.log_likelihood
    assert not read
    first = tables(warehouse)
    purchase_fits.write(warehouse, purchase_fits.fit(warehouse, FAMILIES, 100), clv_months=36)
    assert tables(warehouse) == first


def tables(connection: duckdb.DuckDBPyConnection) -> list[list[tuple[object, ...]]]:
    return [
        connection.execute(f"select * from forecast.{name} order by all").fetchall()
        for name in ("model_parameters", "model_nodes")
    ]


def test_too_few_who_came_back_is_no_failure(warehouse: duckdb.DuckDBPyConnection) -> None:
    write_histories(warehouse, TODAY, of([1] * 40 + [0] * 10))
    models = purchase_fits.fit(warehouse, FAMILIES, 100)
    assert {model.refusal for model in models} == {
        "Too few customers had come back: 40, and the variable forecast_min_repeaters asks for 100."
    }
    purchase_fits.write(warehouse, models, clv_months=36)
    assert warehouse.sql("select count(*) from forecast.model_nodes").fetchone() == (0,)


def test_without_models_nothing_is_fitted(warehouse: duckdb.DuckDBPyConnection) -> None:
    write_histories(warehouse, TODAY, usual())
    assert purchase_fits.fit(warehouse, [], 100) == []


def test_a_model_that_is_not_known(warehouse: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(UserError, match=r"no model of purchases bgnbd\.\n.* forecast_models .*bg_nbd, pareto_nbd"):
        purchase_fits.fit(warehouse, ["bgnbd"], 100)


def alike(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Everybody buys as often as everybody: there is no spread of rates to be found."""
    warehouse.execute(
        "update intermediate.int_forecast_histories set repeat_count = 10, span_days = 90, tenure_days = 100"
    )


def test_where_no_model_of_purchases_has_a_fit_today_the_reason_is_raised(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    write_histories(warehouse, TODAY, usual())
    alike(warehouse)
    with pytest.raises(FitRefused, match=r"bg_nbd has no maximum .* pareto_nbd has no maximum") as refused:
        purchase_fits.fit(warehouse, FAMILIES, 100)
    assert "forecast_models" in refused.value.remedy


def test_where_spend_has_no_fit_today_the_reason_is_raised(warehouse: duckdb.DuckDBPyConnection) -> None:
    write_histories(warehouse, TODAY, usual())
    warehouse.execute("update intermediate.int_forecast_histories set repeat_minor = 999 * repeat_count")
    with pytest.raises(FitRefused, match="gamma_gamma has no maximum"):
        purchase_fits.fit(warehouse, FAMILIES, 100)


def test_a_refusal_of_the_past_is_on_record(warehouse: duckdb.DuckDBPyConnection) -> None:
    before = dates(2)[1]
    write_histories(warehouse, before, usual())
    alike(warehouse)
    write_histories(warehouse, TODAY, usual())
    models = purchase_fits.fit(warehouse, FAMILIES, 100)
    refused = [model for model in models if model.as_of_on == before and model.family == "bg_nbd"]
    assert [(model.fit, "has no maximum" in (model.refusal or "")) for model in refused] == [(None, True)]
    assert all(model.fit for model in models if model.as_of_on == TODAY)


@pytest.mark.parametrize(
    ("fitter", "fit"),
    [
        (BetaGeoFitter(), Fit("bg_nbd", {"r": 0.24, "alpha": 4.4, "a": 0.8, "b": 2.4}, 0.0, {}, 1)),
        (ParetoNBDFitter(), Fit("pareto_nbd", {"r": 0.55, "alpha": 10.6, "s": 0.6, "beta": 11.7}, 0.0, {}, 1)),
    ],
)
def test_expected_repeats_equal_those_of_lifetimes(fitter: BetaGeoFitter | ParetoNBDFitter, fit: Fit) -> None:
    fitter.params_ = {"r": 0, "alpha": 0, "a": 0, "b": 0, "s": 0, "beta": 0} | dict(fit.parameters)
    weeks = np.array([0.5, 4, 39, 300])
    theirs = [fitter.expected_number_of_purchases_up_to_time(week) for week in weeks]
    assert expected_repeats(fit, weeks) == pytest.approx(theirs, rel=1e-8)


def test_repeats_by_tenure_are_means_of_a_week(warehouse: duckdb.DuckDBPyConnection) -> None:
    write_histories(warehouse, TODAY, of([0, 2, 4]))
    warehouse.execute("update intermediate.int_forecast_histories set tenure_days = 70 + repeat_count")
    found = RepeatsByTenure.read(warehouse)
    assert (list(found.weeks), list(found.repeats)) == ([72 / 7], [2.0])
