"""Who will be lost: models of the risk, learnt from past dates, judged on later ones, and the best one chosen.

Strictly out of time: a model as of a date knows samples of earlier dates only, and of these the ones of which it was
known by then what had become of them. It is learnt from all such dates but the latest, and calibrated on that one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import duckdb
import numpy as np
from scipy.special import logit

from orchestration.lib.forecast import quality, risk, scoring
from orchestration.lib.forecast.fitting import Fit
from orchestration.lib.forecast.histories import Floats, Histories, Integers
from orchestration.lib.forecast.purchase_fits import dates
from orchestration.lib.forecast.risk import FEWEST, Line, RiskModel, Samples
from orchestration.lib.forecast.scoring import FittedModel
from orchestration.lib.forecast.tables import RISK_TABLES, Clock, replaced
from orchestration.lib.forecast.trees import feature_matrix
from orchestration.lib.progress import counted

BOOSTED_TREES, P_ALIVE, RECENCY = risk.FAMILY, "p_alive", "recency"
MODELS = (BOOSTED_TREES, P_ALIVE, RECENCY)
SILENCE = "silence_ratio"
"""The feature that the simple models go by."""
LEAST_KNOWN = 0.5
"""Share of a date's customers of whom it must be known what became of them, for the date to be learnt from and chosen
by. Of those with short thresholds it is known first, and they are not like the others: on CDNOW, of three months ago it
is known of 867 customers, none of whom had bought only once, as six in ten of all had."""
BATCH = 100_000
"""Customers who are scored at a time."""
EXPLAINED = 100_000
"""Customers, those with the highest risks, of whom reasons are given: a minute's work."""
_CERTAIN = 1e-3
"""P(alive) is taken to be at least so far from 0 and 1: BG/NBD says 1 of everybody without a repeat."""
_REASONS = 3

OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Customers:
    """Customers, each as of a date, one array element (or row) each."""

    place: Integers
    """By which the warehouse knows who it is."""
    names: tuple[str, ...]
    """Of the features."""
    features: Floats
    """Customers × features; NaN where unknown."""
    histories: Histories
    lost: Floats
    """1 where there was no purchase within the threshold, else 0; NaN where that is not known yet."""

    def feature(self, name: str) -> Floats:
        return self.features[:, self.names.index(name)]

    @property
    def samples(self) -> Samples:
        return Samples(self.names, self.features, self.lost)


class Scorer(Protocol):
    """What a model of risk can do."""

    def risk(self, customers: Customers) -> Floats:
        """Probability of no purchase within the threshold, 0–1, by customer."""

    def reasons(self, features: Floats) -> Integers:
        """Customers × 3 from customers × features: places from 1 of those that raise the risk most, 0 where there are
        fewer."""


@dataclass(frozen=True)
class Trees:
    """Boosted trees on all features."""

    model: RiskModel

    def risk(self, customers: Customers) -> Floats:
        return self.model.risk(customers.features)

    def reasons(self, features: Floats) -> Integers:
        return self.model.reasons(features, _REASONS)


@dataclass(frozen=True)
class Recency:
    """A line in the logarithm of the silence by the customer's own threshold."""

    line: Line
    reason: int

    @classmethod
    def learnt(cls, customers: Customers) -> Recency:
        return cls(Line.through(_log_silence(customers), customers.lost), _reason(customers))

    def risk(self, customers: Customers) -> Floats:
        return self.line(_log_silence(customers))

    def reasons(self, features: Floats) -> Integers:
        return _only(self.reason, len(features))


@dataclass(frozen=True)
class PAlive:
    """Lines in the log-odds of 1 − P(alive), one for customers with a repeat and one for those without.

    Who has bought once is alive for certain by BG/NBD, and is lost more often than anybody else.
    """

    fit: Fit
    with_repeat: Line
    without: Line
    reason: int

    @classmethod
    def learnt(cls, then: Fit, customers: Customers, now: Fit) -> PAlive:
        """From customers of a past date and the fit as of it, for the fit as of a later one."""
        score, again = _log_odds_left(then, customers), customers.histories.repeats > 0
        with_repeat, without = (Line.through(score[group], customers.lost[group]) for group in (again, ~again))
        return cls(now, with_repeat, without, _reason(customers))

    def risk(self, customers: Customers) -> Floats:
        score = _log_odds_left(self.fit, customers)
        return np.where(customers.histories.repeats > 0, self.with_repeat(score), self.without(score))

    def reasons(self, features: Floats) -> Integers:
        return _only(self.reason, len(features))


@dataclass(frozen=True)
class LearntModel:
    """A model of risk as of a date, or why there is none."""

    as_of_on: date
    model_id: str
    scorer: Scorer | None = None
    learnt_from_count: int | None = None
    calibrated_on: date | None = None
    refusal: str | None = None


@dataclass(frozen=True)
class Measures:
    """How good a model's risks were as of a past date; NaN where nobody, or everybody, was lost."""

    as_of_on: date
    model_id: str
    customer_count: int
    auc: float
    brier: float
    lift: float


@dataclass(frozen=True)
class Choice:
    """The model that scores at the current date, and why it is that one."""

    model_id: str | None
    why: str


@dataclass(frozen=True)
class LearntRisk:
    """What came of it: every model of every date, how good they were, and which one scores."""

    models: list[LearntModel]
    measures: list[Measures]
    choice: Choice
    importance: dict[str, float]
    """Share of each feature in what the current trees gain by their splits, the greatest first."""
    seconds: dict[str, float]
    """By table."""


def learn_risk(connection: duckdb.DuckDBPyConnection, on_step: OnStep | None = None) -> LearntRisk:
    """Learns, judges and chooses the models of risk, scores all customers of the current date, and writes the tables.

    Reasons are given of customers whose risk is above the mean, of at most `EXPLAINED` of them: by SHAP values, which
    cost a hundred times what the risk costs. Nothing is learnt where no model of purchases was asked for.

    Args:
        connection: to the warehouse, with the fits of the models of purchases.
        on_step: for progress.
    """
    say = on_step or (lambda _: None)
    clock = Clock(RISK_TABLES)
    models: list[LearntModel] = []
    measures: list[Measures] = []
    now: dict[str, LearntModel] = {}
    mostly_known: list[date] = []
    with replaced(connection, RISK_TABLES):
        with clock.timed("risk_models"):
            _gather(connection)
            purchases = scoring.read(connection)
        for when in dates(connection) if purchases else []:
            with clock.timed("risk_models"):
                learnt = learn(connection, when.as_of_on, purchases)
            made = [model for model in learnt if model.scorer]
            if when.is_current:
                now = {model.model_id: model for model in made}
                mostly_known = _usable_dates(connection, when.as_of_on)
            else:
                with clock.timed("risk_quality"):
                    measures += _judged(connection, when.as_of_on, learnt)
            models += learnt
            say(f"as of {when.as_of_on}: {', '.join(model.model_id for model in made) or learnt[0].refusal}")
        choice = choose([found for found in measures if found.as_of_on in mostly_known], now)
        for model in models:
            connection.execute(
                "insert into forecast.risk_models values (?, ?, ?, ?, ?, ?)",
                [
                    *(model.as_of_on, model.model_id, model is now.get(choice.model_id or "")),
                    *(model.learnt_from_count, model.calibrated_on, model.refusal),
                ],
            )
        if choice.model_id is not None:
            with clock.timed("risk_scores"):
                _score(connection, now[choice.model_id], say)
        connection.execute("drop table risk_customers")
    trees = now[BOOSTED_TREES].scorer if BOOSTED_TREES in now else None
    importance = trees.model.importance() if isinstance(trees, Trees) else {}
    return LearntRisk(models, measures, choice, importance, clock.seconds)


def learn(connection: duckdb.DuckDBPyConnection, as_of_on: date, purchases: Sequence[FittedModel]) -> list[LearntModel]:
    """All models as of a date. One that is refused has the reason and nothing else.

    P(alive) is that of the default model of purchases as of the date.
    """
    usable = _usable_dates(connection, as_of_on)
    wanted = (
        f"of which it was known by then what had become of {LEAST_KNOWN:.0%} of the customers, {FEWEST} of them lost "
        f"and {FEWEST} not"
    )
    if not usable:
        return [LearntModel(as_of_on, name, refusal=f"There is no earlier date {wanted}.") for name in MODELS]
    *earlier, calibrated_on = usable
    known = f"label_known_on <= date '{as_of_on}'"
    later = _read(connection, f"as_of_on = date '{calibrated_on}' and {known}")

    def made(name: str, scorer: Scorer, learnt_from: Customers) -> LearntModel:
        return LearntModel(as_of_on, name, scorer, len(learnt_from.place), calibrated_on)

    if earlier:
        learning = _read(connection, f"as_of_on < date '{calibrated_on}' and {known}")
        trees = made(BOOSTED_TREES, Trees(risk.fit(learning.samples, later.samples)), learning)
    else:
        trees = LearntModel(as_of_on, BOOSTED_TREES, refusal=f"There is only one earlier date {wanted}; it takes two.")
    family = scoring.defaults(purchases).get(as_of_on)
    fits = {model.as_of_on: model.fit for model in purchases if model.family == family}
    then, now = fits.get(calibrated_on), fits.get(as_of_on)
    if then is None or now is None:
        lacking = (
            f"No model of purchases has a fit as of {as_of_on}."
            if now is None
            else f"The model {family} has no fit as of {calibrated_on}."
        )
        p_alive = LearntModel(as_of_on, P_ALIVE, refusal=lacking)
    else:
        p_alive = made(P_ALIVE, PAlive.learnt(then, later, now), later)
    return [trees, p_alive, made(RECENCY, Recency.learnt(later), later)]


def choose(measures: Collection[Measures], available: Collection[str]) -> Choice:
    """The model that scores at the current date, of those that there are.

    P(alive) or, where there is none, recency; the trees only if on the dates on which both were judged they have the
    higher mean AUC and the lower mean Brier score.
    """
    simple = next((name for name in (P_ALIVE, RECENCY) if name in available), None)
    if simple is None:
        return Choice(None, "no model could be learnt")
    if BOOSTED_TREES not in available:
        return Choice(simple, f"{BOOSTED_TREES} could not be learnt")
    judged = {(found.model_id, found.as_of_on): found for found in measures if not np.isnan(found.auc)}
    on = sorted(when for name, when in judged if name == BOOSTED_TREES and (simple, when) in judged)
    if not on:
        return Choice(simple, f"{BOOSTED_TREES} and {simple} were judged on no past date of which most is known")
    auc, brier, auc_of_simple, brier_of_simple = (
        float(np.mean([getattr(judged[name, when], measure) for when in on]))
        for name in (BOOSTED_TREES, simple)
        for measure in ("auc", "brier")
    )
    why = (
        f"over {counted(len(on), 'date')} {BOOSTED_TREES} have a mean AUC of {auc:.4f} and a mean Brier score of "
        f"{brier:.4f}, {simple} of {auc_of_simple:.4f} and {brier_of_simple:.4f}"
    )
    return Choice(BOOSTED_TREES if auc > auc_of_simple and brier < brier_of_simple else simple, why)


def _gather(connection: duckdb.DuckDBPyConnection) -> None:
    """All customers of all dates with what is known of them, in an order that does not change."""
    connection.execute("""
        create or replace temp table risk_customers as
        select
            row_number() over (order by features.as_of_on, features.customer_id) as place,
            outcomes.label_known_on,
            cast(outcomes.is_lost as double) as lost,
            cast(histories.repeat_count as bigint) as x,
            cast(histories.span_days as bigint) as t_x,
            cast(histories.tenure_days as bigint) as t,
            features.*
        from intermediate.int_forecast_features as features
        inner join intermediate.int_forecast_histories as histories
            on features.as_of_on = histories.as_of_on and features.customer_id = histories.customer_id
        left join intermediate.int_forecast_outcomes as outcomes
            on features.as_of_on = outcomes.as_of_on and features.customer_id = outcomes.customer_id
        order by place
    """)


def _read(connection: duckdb.DuckDBPyConnection, condition: str) -> Customers:
    columns = connection.execute(
        f"""select * exclude (as_of_on, customer_id, label_known_on) from risk_customers
        where {condition} order by place"""
    ).fetchnumpy()
    place, x, t_x, t = (np.asarray(columns.pop(name)) for name in ("place", "x", "t_x", "t"))
    lost = np.ma.filled(columns.pop("lost"), np.nan)
    names = tuple(columns)
    histories = Histories(x, t_x, t, np.ones(len(place)))
    return Customers(place, names, feature_matrix(columns, names), histories, lost)


def _usable_dates(connection: duckdb.DuckDBPyConnection, as_of_on: date) -> list[date]:
    """Earlier dates, the latest at the end, of which enough of either kind was known by then."""
    rows = connection.execute(
        """select as_of_on from risk_customers where as_of_on < $as_of_on
        group by as_of_on
        having
            count(*) filter (label_known_on <= $as_of_on) >= $least_known * count(*)
            and sum(lost) filter (label_known_on <= $as_of_on) >= $fewest
            and sum(1 - lost) filter (label_known_on <= $as_of_on) >= $fewest
        order by as_of_on""",
        {"as_of_on": as_of_on, "least_known": LEAST_KNOWN, "fewest": FEWEST},
    ).fetchall()
    return [row[0] for row in rows]


def _log_silence(customers: Customers) -> Floats:
    return np.asarray(np.log((customers.feature("silence_days") + 1) / customers.feature("threshold_days")))


def _log_odds_left(fit: Fit, customers: Customers) -> Floats:
    alive = scoring.PURCHASE_MODELS[fit.family].probability_alive(fit, customers.histories)
    return np.asarray(-logit(np.clip(alive, _CERTAIN, 1 - _CERTAIN)))


def _reason(customers: Customers) -> int:
    return customers.names.index(SILENCE) + 1


def _only(reason: int, count: int) -> Integers:
    return np.tile([reason, *[0] * (_REASONS - 1)], (count, 1))


def _judged(connection: duckdb.DuckDBPyConnection, as_of_on: date, models: Collection[LearntModel]) -> list[Measures]:
    """Writes the risks of a past date's customers, and how good they were."""
    customers = _read(connection, f"as_of_on = date '{as_of_on}' and lost is not null")
    lost, everybody = customers.lost, np.ones(len(customers.lost))
    found = []
    for model in models:
        if model.scorer is None or not len(lost):
            continue
        forecast = model.scorer.risk(customers)
        _insert_scores(connection, model.model_id, customers, forecast, np.zeros((len(lost), _REASONS), int))
        auc, brier, lift = (of(forecast, lost, everybody) for of in (quality.auc, quality.brier, quality.lift))
        found.append(Measures(as_of_on, model.model_id, len(lost), auc, brier, lift))
        rows = [
            ("churners", "all", forecast.sum(), lost.sum(), len(lost)),
            ("auc", "all", None, _known(auc), len(lost)),
            ("brier", "all", None, brier, len(lost)),
            ("lift_top_decile", "all", None, _known(lift), len(lost)),
            *(
                ("churn_calibration", f"{number:02}", bin_.forecast, bin_.actual, bin_.count)
                for number, bin_ in enumerate(quality.calibration(forecast, lost, everybody), start=1)
            ),
        ]
        connection.executemany(
            "insert into forecast.risk_quality values (?, ?, ?, ?, ?, ?, ?)",
            [(as_of_on, model.model_id, *row) for row in rows],
        )
    return found


def _known(figure: float) -> float | None:
    return None if np.isnan(figure) else figure


def _score(connection: duckdb.DuckDBPyConnection, model: LearntModel, on_step: OnStep) -> None:
    """Writes the risks of all customers of a date, in batches, and why the highest of those above the mean are so."""
    assert model.scorer is not None
    as_of = f"as_of_on = date '{model.as_of_on}'"
    row = connection.execute(f"select min(place), max(place) + 1 from risk_customers where {as_of}").fetchone()
    first, end = row if row and row[0] is not None else (0, 0)
    batches = [f"place >= {start} and place < {min(start + BATCH, end)}" for start in range(first, end, BATCH)]
    risks = [model.scorer.risk(_read(connection, batch)) for batch in batches]
    high = _high(np.concatenate(risks)) if risks else 0.0
    for number, (batch, forecast) in enumerate(zip(batches, risks, strict=True), start=1):
        customers = _read(connection, batch)
        above = forecast > high
        reasons = np.zeros((len(forecast), _REASONS), int)
        if above.any():
            reasons[above] = model.scorer.reasons(customers.features[above])
        _insert_scores(connection, model.model_id, customers, forecast, reasons)
        on_step(f"{model.model_id}: {min(number * BATCH, end - first):,} of {end - first:,} customers scored")


def _high(risks: Floats) -> float:
    """The risk above which reasons are given: the mean, or one above which there are fewer than `EXPLAINED`."""
    mean = float(risks.mean())
    return mean if len(risks) < EXPLAINED else max(mean, float(np.partition(risks, -EXPLAINED)[-EXPLAINED]))


def _insert_scores(
    connection: duckdb.DuckDBPyConnection, model_id: str, customers: Customers, forecast: Floats, reasons: Integers
) -> None:
    """Reasons are places from 1 among the features; 0 is none."""
    columns = {f"reason_{number}": np.ascontiguousarray(column) for number, column in enumerate(reasons.T, start=1)}
    connection.register("scored", {"place": customers.place, "risk": forecast, **columns})
    named = ", ".join(f"list_extract($names, scored.{column})" for column in columns)
    connection.execute(
        f"""insert into forecast.risk_scores
        select customers.as_of_on, customers.customer_id, $model_id, scored.risk, {named}
        from scored inner join risk_customers as customers on scored.place = customers.place
        order by customers.place""",
        {"names": list(customers.names), "model_id": model_id},
    )
    connection.unregister("scored")
