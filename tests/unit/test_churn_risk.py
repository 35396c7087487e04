"""Risk is learnt strictly out of time, judged, chosen by a rule, and always the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import duckdb
import numpy as np
import pytest

from orchestration.lib.forecast import churn_risk, scoring
from orchestration.lib.forecast.churn_risk import BOOSTED_TREES, MODELS, P_ALIVE, RECENCY, Measures, choose, learn_risk
from orchestration.lib.forecast.fitting import Fit
from orchestration.lib.forecast.scoring import FittedModel
from orchestration.lib.forecast.tables import RISK_TABLES
from tests.support.forecasts import TABLES, TODAY, dates, write_histories, write_outcomes
from tests.unit.test_forecast import bg_nbd_histories

FIT = Fit("bg_nbd", {"r": 0.6, "alpha": 4.0, "a": 0.7, "b": 2.0}, -1.0, {}, 1)
PAST = dates(5)[1:]


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """Today and four dates before it, with the model of purchases that the histories are of."""
    with duckdb.connect() as connection:
        connection.execute(TABLES)
        for as_of_on in dates(5):
            write_histories(connection, as_of_on, bg_nbd_histories(1500))
            write_outcomes(connection, as_of_on)
        fitted(connection, dates(5))
        yield connection


def fitted(connection: duckdb.DuckDBPyConnection, as_of: Sequence[date]) -> None:
    models = [
        FittedModel(as_of_on, "bg_nbd", FIT) if as_of_on in as_of else FittedModel(as_of_on, "bg_nbd", None, "flat")
        for as_of_on in dates(5)
    ]
    scoring.write(connection, models, repeats=np.array([0]), longest_days=365)


def contents(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[object, ...]]]:
    return {name: connection.execute(f"select * from forecast.{name} order by all").fetchall() for name in RISK_TABLES}


def learnt(connection: duckdb.DuckDBPyConnection) -> dict[tuple[date, str], date | None]:
    """When each model was calibrated; None where it was refused."""
    rows = connection.execute("select as_of_on, model_id, calibrated_on from forecast.risk_models").fetchall()
    return {(as_of_on, model): calibrated_on for as_of_on, model, calibrated_on in rows}


def test_models_are_calibrated_on_the_latest_earlier_date_and_learnt_from_those_before(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    found = learn_risk(warehouse)
    calibrated = learnt(warehouse)
    for as_of_on, before in zip(dates(5)[:3], dates(5)[1:4], strict=True):
        assert [calibrated[as_of_on, model] for model in MODELS] == [before] * 3
    assert [calibrated[PAST[2], model] for model in MODELS] == [None, PAST[3], PAST[3]]
    assert [calibrated[PAST[3], model] for model in MODELS] == [None, None, None]
    refusals = {(model.as_of_on, model.model_id): model.refusal for model in found.models if model.refusal}
    assert "only one earlier date" in (refusals[PAST[2], BOOSTED_TREES] or "")
    assert {refusals[PAST[3], model] for model in MODELS} == {refusals[PAST[3], RECENCY]}

    judged = {(measures.as_of_on, measures.model_id) for measures in found.measures}
    assert judged == {(when, model) for when in PAST[:2] for model in MODELS} | {(PAST[2], P_ALIVE), (PAST[2], RECENCY)}
    for measures in found.measures:
        if measures.model_id == RECENCY:
            assert measures.auc > 0.7, "lost is who was silent for long, and that is what it goes by"
    scores = warehouse.execute(
        "select as_of_on, model_id, count(*) from forecast.risk_scores group by all order by all"
    ).fetchall()
    assert {(when, model) for when, model, _ in scores} == judged | {(TODAY, found.choice.model_id)}
    assert {count for _, _, count in scores} == {1500}
    chosen = warehouse.execute("select as_of_on, model_id from forecast.risk_models where is_chosen").fetchall()
    assert chosen == [(TODAY, found.choice.model_id)]


def test_what_is_known_only_later_is_not_used(warehouse: duckdb.DuckDBPyConnection) -> None:
    """What became of a third of each date's customers is known a day after the next date: whatever it is, the risks of
    that date are the same."""

    def risks() -> list[tuple[object, ...]]:
        learn_risk(warehouse)
        found = [row for row in contents(warehouse)["risk_scores"] if row[0] == PAST[2]]
        assert len(found) == 2 * 1500
        return found

    third = "where hash(customer_id) % 3 = 0"
    as_they_were = risks()
    warehouse.execute(f"update intermediate.int_forecast_outcomes set label_known_on = as_of_on + 91 {third}")
    without = risks()
    assert without != as_they_were
    warehouse.execute(f"update intermediate.int_forecast_outcomes set is_lost = not is_lost {third}")
    assert risks() == without


def test_a_date_of_which_little_is_known_is_not_learnt_from(warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute(
        "update intermediate.int_forecast_outcomes set label_known_on = ?, is_lost = null "
        "where as_of_on = ? and hash(customer_id) % 10 < 6",
        [date(2025, 2, 1), PAST[0]],
    )
    learn_risk(warehouse)
    assert learnt(warehouse)[TODAY, RECENCY] == PAST[1]


def test_the_same_rows_give_the_same_tables_however_they_are_read(
    warehouse: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn_risk(warehouse)
    first = contents(warehouse)
    for name in ("histories", "features", "outcomes"):
        table = f"intermediate.int_forecast_{name}"
        warehouse.execute(f"create or replace table {table} as from {table} order by hash(customer_id)")
    monkeypatch.setattr(churn_risk, "BATCH", 400)
    learn_risk(warehouse)
    assert contents(warehouse) == first


def test_reasons_are_of_those_above_the_mean_today(warehouse: duckdb.DuckDBPyConnection) -> None:
    found = learn_risk(warehouse)
    wrong = warehouse.execute(
        """select * from forecast.risk_scores
        where as_of_on < $today and reason_1 is not null
            or as_of_on = $today and (reason_1 is not null) <> (
                churn_risk_rate > (select avg(churn_risk_rate) from forecast.risk_scores where as_of_on = $today)
            )""",
        {"today": TODAY},
    ).fetchall()
    assert wrong == []
    assert set(found.importance) <= {"silence_days", "threshold_days", "silence_ratio", "tenure_days", "luck"}
    reasons = warehouse.execute("select distinct reason_1 from forecast.risk_scores where as_of_on = ?", [TODAY])
    assert {"silence_days", "silence_ratio"} & {reason for (reason,) in reasons.fetchall()}


def test_without_a_fit_of_purchases_there_is_no_p_alive(warehouse: duckdb.DuckDBPyConnection) -> None:
    fitted(warehouse, [TODAY, *PAST[1:]])
    found = learn_risk(warehouse)
    refusals = {m.as_of_on: m.refusal for m in found.models if m.model_id == P_ALIVE}
    assert refusals[TODAY] == f"The model bg_nbd has no fit as of {PAST[0]}."
    assert refusals[PAST[0]] == f"No model of purchases has a fit as of {PAST[0]}."
    assert found.choice.model_id in (RECENCY, BOOSTED_TREES)


def test_too_few_customers_publish_nothing_and_fail_nothing(warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute("delete from intermediate.int_forecast_features where hash(customer_id) % 30 > 0")
    found = learn_risk(warehouse)
    assert found.choice.model_id is None
    assert all(model.refusal for model in found.models)
    assert contents(warehouse)["risk_scores"] == []


def test_where_no_model_of_purchases_was_asked_for_nothing_is_learnt(warehouse: duckdb.DuckDBPyConnection) -> None:
    scoring.write(warehouse, [], repeats=np.array([0]), longest_days=365)
    assert learn_risk(warehouse).models == []
    assert all(rows == [] for rows in contents(warehouse).values())


def test_a_failure_leaves_the_tables_as_they_were(
    warehouse: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn_risk(warehouse)
    before = contents(warehouse)
    warehouse.execute("update intermediate.int_forecast_features set silence_ratio = -silence_ratio")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(churn_risk, "_score", interrupted)
    with pytest.raises(KeyboardInterrupt):
        learn_risk(warehouse)
    assert contents(warehouse) == before
    monkeypatch.undo()
    learn_risk(warehouse)
    assert contents(warehouse) != before


def measured(model: str, *auc_and_brier: tuple[float, float]) -> list[Measures]:
    return [Measures(when, model, 1, *figures, 1.0) for when, figures in zip(PAST, auc_and_brier, strict=False)]


@pytest.mark.parametrize(
    ("trees", "simple", "available", "chosen"),
    [
        ([(0.8, 0.1)], [(0.7, 0.2)], MODELS, BOOSTED_TREES),
        ([(0.8, 0.2)], [(0.7, 0.1)], MODELS, P_ALIVE),
        ([(0.7, 0.1)], [(0.8, 0.2)], MODELS, P_ALIVE),
        ([(0.7, 0.1)], [(0.7, 0.1)], MODELS, P_ALIVE),
        # Means: worse on one date, better by more on the other.
        ([(0.6, 0.2), (0.9, 0.1)], [(0.7, 0.2), (0.7, 0.2)], MODELS, BOOSTED_TREES),
        # Dates on which only one was judged say nothing about the other.
        ([(0.8, 0.1)], [(0.7, 0.2), (0.99, 0.01)], MODELS, BOOSTED_TREES),
        ([(float("nan"), 0.1)], [(float("nan"), 0.2)], MODELS, P_ALIVE),
        ([], [(0.7, 0.2)], MODELS, P_ALIVE),
        ([(0.8, 0.1)], [(0.7, 0.2)], (P_ALIVE, RECENCY), P_ALIVE),
        ([(0.8, 0.1)], [(0.7, 0.2)], (RECENCY,), RECENCY),
        ([], [], (), None),
    ],
)
def test_the_choice(
    trees: list[tuple[float, float]],
    simple: list[tuple[float, float]],
    available: Sequence[str],
    chosen: str | None,
) -> None:
    found = choose([*measured(BOOSTED_TREES, *trees), *measured(P_ALIVE, *simple)], available)
    assert found.model_id == chosen
    assert found.why


def test_reasons_are_of_the_highest_risks_above_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    risks = np.array([0.9, 0.1, 0.8, 0.1, 0.7, 0.1])
    assert churn_risk._high(risks) == pytest.approx(0.45)
    monkeypatch.setattr(churn_risk, "EXPLAINED", 3)
    assert [risk for risk in risks if risk > churn_risk._high(risks)] == [0.9, 0.8]
