"""Wallets that nobody observed: quantiles, their correction, and which model is tried, chosen or refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import duckdb
import numpy as np
import pytest
from scipy.stats import norm

from orchestration.lib.forecast import quality, wallets
from orchestration.lib.forecast.tables import WALLET_TABLES
from orchestration.lib.forecast.wallets import (
    FOLDS,
    MODELS,
    SEGMENTS,
    TREES,
    LearntModel,
    LearntWallets,
    Measures,
    Period,
    QuantileTrees,
    Rules,
    SegmentQuantile,
    Wallets,
    choose,
    conformal_shift,
    model_wallets,
)

QUARTERS = [date(2023, month, 1) for month in (1, 4, 7, 10)]
ENDS = [date(2023, 3, 31), date(2023, 6, 30), date(2023, 9, 30), date(2023, 12, 31)]
RULES = Rules(quantile=0.9, least_customers=100, trial_count=2)


def test_the_pinball_loss_weighs_what_lies_beyond_by_the_quantile() -> None:
    """20 beyond at 0.9 and 20 short at 0.1 in the mean of two; of a half, half the absolute error."""
    forecast, came = np.array([100.0, 100.0]), np.array([120.0, 80.0])
    assert quality.pinball(forecast, came, 0.9) == pytest.approx((0.9 * 20 + 0.1 * 20) / 2)
    assert quality.pinball(forecast, came, 0.5) == pytest.approx(10)
    assert quality.pinball(came, came, 0.9) == 0


def test_the_quantile_has_the_least_pinball_loss() -> None:
    came = np.random.default_rng(1).gamma(2, size=10_000)
    losses = {q: quality.pinball(np.full_like(came, np.quantile(came, q)), came, 0.9) for q in (0.8, 0.88, 0.9, 0.92)}
    assert min(losses, key=losses.__getitem__) == 0.9


@pytest.mark.parametrize(
    ("residuals", "quantile", "shift"),
    [
        ([3, 1, 2, 5, 4, 9, 7, 8, 6], 0.9, 9),  # 10 × 0.9: the ninth of nine
        ([3, 1, 2, 5, 4, 9, 7, 8, 6], 0.5, 5),
        ([3, 1, 2], 0.9, 3),  # the fourth of three there is not
        ([-2.5], 0.1, -2.5),
    ],
)
def test_the_conformal_shift_by_hand(residuals: list[float], quantile: float, shift: float) -> None:
    assert conformal_shift(np.array(residuals, dtype=float), quantile) == shift


def test_a_shift_of_few_residuals_covers_one_more_as_often_as_wanted() -> None:
    """Over draws of 39 residuals the shift covers 36 ÷ 40 of what comes next, not 0.9 of what it was taken from."""
    draws = np.random.default_rng(2).normal(size=(4000, 39))
    covered = [norm.cdf(conformal_shift(residuals, 0.9)) for residuals in draws]
    assert np.mean(covered) == pytest.approx(0.9, abs=0.004)


def a_panel(customers: int, seed: int) -> Wallets:
    """One wallet each: lognormal, of those who spend much with us more widely spread; three categories."""
    random = np.random.default_rng(seed)
    own, category = random.gamma(1, 50, customers), random.integers(1, 4, customers).astype(float)
    amount = own * np.exp(random.normal(size=customers) * np.where(own > 50, 0.8, 0.2)) * category
    features = np.stack((category, np.ones(customers), np.zeros(customers), own), axis=1)
    names = ("category", "acquisition_channel", "customer_segment", "period_category_spend")
    return Wallets(np.arange(customers), np.arange(customers) + customers * seed, features, names, amount)


def test_the_trees_cover_what_is_wanted_of_customers_whom_they_do_not_know() -> None:
    known, others = a_panel(4000, seed=1), a_panel(20_000, seed=2)
    trees, segments = QuantileTrees.learnt(known, 0.9), SegmentQuantile.learnt(known, 0.9)
    modelled = trees.amounts(others)
    assert np.mean(others.amount <= modelled) == pytest.approx(0.9, abs=0.015)
    large = others.feature("period_category_spend") > 100
    assert np.mean((others.amount <= modelled)[large]) == pytest.approx(0.9, abs=0.03)
    losses = [quality.pinball(model.amounts(others), others.amount, 0.9) for model in (trees, segments)]
    assert losses[0] < 0.8 * losses[1]


def test_the_shift_makes_right_what_the_trees_have_wrong() -> None:
    """Trees that were grown for the median, the shift taken from customers whom they do not know."""
    known, calibrating, others = a_panel(2000, seed=1), a_panel(2000, seed=2), a_panel(20_000, seed=3)
    median = wallets._grown(known, np.log1p(known.amount), 0.5)
    residuals = np.log1p(calibrating.amount) - np.asarray(median.predict(calibrating.features))
    for shift, covered in ((0.0, 0.5), (conformal_shift(residuals, 0.9), 0.9)):
        modelled = QuantileTrees((median,), shift).amounts(others)
        assert np.mean(others.amount <= modelled) == pytest.approx(covered, abs=0.02)


def test_few_of_a_segment_take_the_quantile_of_their_category_and_few_of_a_category_that_of_all() -> None:
    category = np.repeat([1.0, 1.0, 2.0], [60, 40, 30])
    segment = np.repeat([1.0, 2.0, 1.0], [60, 40, 30])
    amount = np.repeat([10.0, 30.0, 90.0], [60, 40, 30])
    names = ("category", "customer_segment")
    number = np.arange(len(amount))
    model = SegmentQuantile.learnt(Wallets(number, number, np.stack((category, segment), axis=1), names, amount), 0.9)
    asked = np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 9.0], [2.0, 1.0], [7.0, 1.0]])
    few = np.arange(len(asked))
    assert model.amounts(Wallets(few, few, asked, names, np.full(5, np.nan))).tolist() == [10, 30, 30, 90, 90]


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """400 customers of whom half keep a panel in four quarters, and the others are known in none."""
    with duckdb.connect() as connection:
        connection.execute("create schema intermediate")
        connection.execute(
            """create table intermediate.int_wallet_periods (period_start_on date, period_end_on date, basis varchar,
                period_number bigint, is_current boolean)"""
        )
        for number, (start, end) in enumerate(zip(QUARTERS, ENDS, strict=True)):
            connection.execute(
                "insert into intermediate.int_wallet_periods values (?, ?, 'observed', ?, ?)",
                [start, end, 3 - number, number == 3],
            )
        connection.execute(
            """create table intermediate.int_wallet_features as
            select period_end_on, 'c' || who as customer_id, category, is_current,
                case when who < 200 then cast(own * (50 + hash(who, category, period_number) % 100) as bigint) end
                    as wallet_minor,
                cast(null as varchar) as acquisition_channel, ['a', 'b'][1 + who % 2] as customer_segment,
                cast(own as double) as period_category_spend
            from intermediate.int_wallet_periods, range(400) as people (who),
                (values ('tea'), ('hats')) as categories (category),
                lateral (select 1 + hash(who, category) % 300 as own)
            where is_current or who < 200"""
        )
        yield connection


def contents(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[object, ...]]]:
    return {name: connection.execute(f"from forecast.{name} order by all").fetchall() for name in WALLET_TABLES}


def refusals(learnt: LearntWallets) -> set[str | None]:
    return {model.refusal for model in learnt.models}


def test_what_is_known_of_the_panel_is_applied_to_all(warehouse: duckdb.DuckDBPyConnection) -> None:
    learnt = model_wallets(warehouse, RULES)
    assert learnt.choice.model_id == TREES, learnt.choice.why
    assert {(found.period.ends_on, found.model_id, found.wallet_count) for found in learnt.measures} == {
        (end, model, 400) for end in ENDS[2:] for model in MODELS
    }
    assert {model.learnt_from_count for model in learnt.models} == {200}
    tables = contents(warehouse)
    assert len(tables["wallet_scores"]) == 800
    assert {row[:2] for row in tables["wallet_scores"]} == {(QUARTERS[3], ENDS[3])}
    assert [row[3] for row in tables["wallet_models"] if row[5]] == [TREES]
    measures = {row[2] for row in tables["wallet_quality"]}
    assert measures == {"wallet_pinball_loss", "wallet_coverage", "wallet_coverage_calibration"}
    for _, _, measure, _, forecast, _, count in tables["wallet_quality"]:
        assert (forecast is None) == (measure == "wallet_pinball_loss")
        assert forecast in (None, 0.9)
        assert count


def test_a_trial_knows_neither_its_customers_nor_its_period_nor_later_ones(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    """Wallets of one fold that become a hundred times as large change nothing in what is said of that fold; those of
    the period and the one after it nothing in what is said of any."""

    def said(of_fold: int) -> list[tuple[object, ...]]:
        wallets._gather(warehouse)
        period = wallets._periods(warehouse)[1]
        learning, trying = (
            wallets._learnt_from(warehouse, period),
            wallets._known(warehouse, f"period_end_on = date '{period.ends_on}'"),
        )
        forecast = wallets._forecast(QuantileTrees.learnt, learning, trying, 0.9)
        return list(zip(trying.place[trying.fold == of_fold], forecast[trying.fold == of_fold], strict=True))

    before = said(1)
    assert len(before) > 50
    grown = """update intermediate.int_wallet_features set wallet_minor = 100 * wallet_minor where {}"""
    fold = f"cast(md5_number_lower('wallet ' || customer_id) >> 1 as bigint) % {FOLDS} = 1"
    warehouse.execute(grown.format(fold))
    assert said(1) == before
    warehouse.execute(grown.format(f"period_end_on >= date '{ENDS[2]}'"))
    assert said(1) == before
    warehouse.execute(grown.format(f"not {fold}"))
    assert said(1) != before


def test_the_same_rows_give_the_same_tables_however_they_are_read(
    warehouse: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_wallets(warehouse, RULES)
    first = contents(warehouse)
    table = "intermediate.int_wallet_features"
    warehouse.execute(f"create or replace table {table} as from {table} order by hash(customer_id, category)")
    monkeypatch.setattr(wallets, "BATCH", 130)
    model_wallets(warehouse, RULES)
    assert contents(warehouse) == first


def test_of_many_wallets_a_part_of_the_customers_is_learnt_from(
    warehouse: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wallets, "MOST", 500)
    learnt = model_wallets(warehouse, Rules(quantile=0.9, least_customers=10, trial_count=2))
    counts = {model.period.ends_on: model.learnt_from_count or 0 for model in learnt.models}
    # Of 400 wallets in each of three earlier quarters a third of the customers, of two a half.
    assert counts[ENDS[3]] == pytest.approx(200 / 3, abs=20)
    assert counts[ENDS[2]] == pytest.approx(200 / 2, abs=20)


def test_too_few_customers_are_refused_and_fail_nothing(warehouse: duckdb.DuckDBPyConnection) -> None:
    learnt = model_wallets(warehouse, Rules(quantile=0.9, least_customers=201, trial_count=2))
    assert refusals(learnt) == {
        f"In the periods before {start} there are 200 customers whose wallets a panel knows; it takes 201."
        for start in QUARTERS[2:]
    }
    assert learnt.choice.model_id is None
    tables = contents(warehouse)
    assert len(tables["wallet_models"]) == 4
    assert not any(row[5] for row in tables["wallet_models"])
    assert tables["wallet_scores"] == tables["wallet_quality"] == []


def test_a_panels_lines_and_a_quantile_of_nothing_model_nothing(warehouse: duckdb.DuckDBPyConnection) -> None:
    learnt = model_wallets(warehouse, Rules(quantile=0.9, least_customers=1, trial_count=2, panel_period="month"))
    assert {"panel's" in (refusal or "") for refusal in refusals(learnt)} == {True}
    assert contents(warehouse)["wallet_scores"] == []
    model_wallets(warehouse, Rules(quantile=0, least_customers=1, trial_count=2))
    assert contents(warehouse) == {name: [] for name in WALLET_TABLES}


def test_without_periods_there_are_no_models(warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute("delete from intermediate.int_wallet_periods; delete from intermediate.int_wallet_features")
    assert model_wallets(warehouse, RULES).models == []


def test_untried_the_segments_model(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Nobody of the panel is observed in the latest quarter."""
    warehouse.execute("update intermediate.int_wallet_features set wallet_minor = null where is_current")
    learnt = model_wallets(warehouse, Rules(quantile=0.9, least_customers=100, trial_count=1))
    assert (learnt.measures, learnt.choice.model_id) == ([], SEGMENTS)
    assert len(contents(warehouse)["wallet_scores"]) == 800


@pytest.mark.parametrize(
    ("trees", "segments", "chosen"),
    [([10, 30], [15, 26], TREES), ([10, 30], [15, 25], SEGMENTS), ([10, 30], [15, 20], SEGMENTS), ([], [], SEGMENTS)],
)
def test_the_trees_are_chosen_only_if_their_mean_loss_is_lower(
    trees: list[float], segments: list[float], chosen: str
) -> None:
    period = Period(QUARTERS[0], ENDS[0], "observed", True)
    measures = [
        Measures(period, name, loss, 0.9, 100) for name, losses in ((TREES, trees), (SEGMENTS, segments))
        for loss in losses
    ]  # fmt: skip
    assert choose(measures, [LearntModel(period, name, 100) for name in MODELS]).model_id == chosen
    assert choose(measures, [LearntModel(period, name, refusal="too few") for name in MODELS]).model_id is None


def test_the_vars_are_read_by_their_names() -> None:
    variables = {"wallet_quantile": 0.8, "wallet_least_customers": 50, "forecast_backtest_count": 3, "panel_period": ""}
    assert Rules.of(variables) == Rules(0.8, 50, 3)
    assert Rules.of({**variables, "wallet_quantile": 0, "panel_period": "year"}) == Rules(0, 50, 3, "year")
