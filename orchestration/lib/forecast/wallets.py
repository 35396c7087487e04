"""What customers of whom nobody knows it spend in a category: a high quantile, learnt from others, tried and chosen.

Where a panel knows the wallets of enough customers, these are learnt from what our books say of them (basis
`observed`); else what our own customers spend with us is, for the best of those who are alike are taken to spend all of
it with us (basis `own_spend`). [Perlich, Rosset, Lawrence & Zadrozny 2007]

Strictly out of time and of sample: what is tried on a period was learnt from earlier ones, and from none of the
customers on whom it is tried, for it is meant for those whose wallets were never known.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import TYPE_CHECKING, Protocol

import duckdb
import numpy as np
from numpy.typing import NDArray

from orchestration.lib.forecast import quality
from orchestration.lib.forecast.histories import Floats, Integers
from orchestration.lib.forecast.tables import WALLET_TABLES, Clock, replaced
from orchestration.lib.forecast.trees import SETTINGS, feature_matrix
from orchestration.lib.progress import counted

if TYPE_CHECKING:
    import lightgbm

TREES, SEGMENTS = "wallet_trees", "wallet_segment_quantile"
MODELS = (TREES, SEGMENTS)
CATEGORICAL = ("category", "acquisition_channel", "customer_segment")
FOLDS = 4
"""Parts of the customers, of which each in turn is kept from the trees."""
MOST = 30_000
"""Wallets from which is learnt, and on which is tried: more make it dearer, and a quantile no surer to two digits."""
BATCH = 100_000
"""Wallets that are modelled at a time."""
LEAST_IN_SEGMENT = 50
"""Wallets below which a segment has no quantile of its own: five lie above one of 0.9."""
_TREES = 100

OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Rules:
    """What is asked for: the vars wallet_quantile, wallet_least_customers, forecast_backtest_count and panel_period."""

    quantile: float
    """0–1; 0 where nothing is to be modelled."""
    least_customers: int
    trial_count: int
    panel_period: str = ""

    @classmethod
    def of(cls, variables: Mapping[str, object]) -> Rules:
        """From the vars of dbt by name."""
        quantile, least, trials, panel = (
            variables[name]
            for name in ("wallet_quantile", "wallet_least_customers", "forecast_backtest_count", "panel_period")
        )
        return cls(float(str(quantile)), int(str(least)), int(str(trials)), str(panel))


@dataclass(frozen=True)
class Period:
    """A period of int_wallet_periods."""

    starts_on: date
    ends_on: date
    basis: str
    is_current: bool


@dataclass(frozen=True)
class Wallets:
    """Wallets, each of a customer and category in a period, one array element (or row) each."""

    place: Integers
    """By which the warehouse knows which it is."""
    customer: Integers
    """A number for each, by a hash."""
    features: Floats
    """Wallets × features; NaN where unknown."""
    names: tuple[str, ...]
    """Of the features, those of `CATEGORICAL` being numbers of their values from 1, 0 where unknown."""
    amount: Floats
    """In the reporting currency, at least 0; NaN where it is not known."""

    def where(self, chosen: NDArray[np.bool_]) -> Wallets:
        """Those that are chosen."""
        parts = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "names"}
        return Wallets(names=self.names, **{name: part[chosen] for name, part in parts.items()})

    def feature(self, name: str) -> Floats:
        return self.features[:, self.names.index(name)]

    @property
    def fold(self) -> Integers:
        """Part of the customers, 0 … `FOLDS` − 1, always the same of one customer."""
        return self.customer % FOLDS

    @property
    def customer_count(self) -> int:
        return len(np.unique(self.customer))


class Model(Protocol):
    """What models a wallet."""

    def amounts(self, wallets: Wallets) -> Floats:
        """The quantile of each, in the reporting currency."""


@dataclass(frozen=True)
class QuantileTrees:
    """Boosted trees in log(1 + wallet): the mean of those that each lack a part of the customers, raised by a shift.

    Quantiles stay quantiles where amounts are replaced by their logarithms, in which customers differ less.
    """

    boosters: tuple[lightgbm.Booster, ...]
    shift: float

    @classmethod
    def learnt(cls, wallets: Wallets, quantile: float) -> QuantileTrees:
        """From wallets of at least two folds."""
        logs, boosters, residuals = np.log1p(wallets.amount), [], []
        for fold in np.unique(wallets.fold):
            unseen = wallets.fold == fold
            booster = _grown(wallets.where(~unseen), logs[~unseen], quantile)
            boosters.append(booster)
            residuals.append(logs[unseen] - np.asarray(booster.predict(wallets.features[unseen])))
        return cls(tuple(boosters), conformal_shift(np.concatenate(residuals), quantile))

    def amounts(self, wallets: Wallets) -> Floats:
        logs = np.mean([np.asarray(booster.predict(wallets.features)) for booster in self.boosters], axis=0)
        return np.asarray(np.expm1(np.maximum(logs + self.shift, 0)))


@dataclass(frozen=True)
class SegmentQuantile:
    """The quantile of those in the same category and customer segment; where they are few, of the category, or all."""

    cells: Mapping[tuple[float, ...], float]
    """By category and segment, by category alone, and of all."""

    @classmethod
    def learnt(cls, wallets: Wallets, quantile: float) -> SegmentQuantile:
        category, segment = wallets.feature("category"), wallets.feature("customer_segment")
        cells: dict[tuple[float, ...], float] = {}
        for columns in ((), (category,), (category, segment)):
            keys, cell = np.unique(np.array(columns).reshape(len(columns), len(category)), axis=1, return_inverse=True)
            in_order = np.argsort(cell, kind="stable")
            parts = np.split(wallets.amount[in_order], np.cumsum(np.bincount(cell))[:-1])
            for key, amounts in zip(keys.T.tolist(), parts, strict=True):
                if len(amounts) >= LEAST_IN_SEGMENT or not columns:
                    cells[tuple(key)] = float(np.quantile(amounts, quantile))
        return cls(cells)

    def amounts(self, wallets: Wallets) -> Floats:
        category, segment = wallets.feature("category").tolist(), wallets.feature("customer_segment").tolist()
        return np.array(
            [
                self.cells.get((c, s), self.cells.get((c,), self.cells[()]))
                for c, s in zip(category, segment, strict=True)
            ]
        )


LEARNERS: Mapping[str, Callable[[Wallets, float], Model]] = {
    TREES: QuantileTrees.learnt,
    SEGMENTS: SegmentQuantile.learnt,
}


@dataclass(frozen=True)
class LearntModel:
    """A model of wallets for a period, or why there is none."""

    period: Period
    model_id: str
    learnt_from_count: int | None = None
    refusal: str | None = None


@dataclass(frozen=True)
class Measures:
    """How good a model's wallets were in a period, on customers from whom it was not learnt."""

    period: Period
    model_id: str
    pinball_loss: float
    """Mean, in the reporting currency."""
    coverage: float
    """Share of wallets at or below the modelled one, 0–1."""
    wallet_count: int


@dataclass(frozen=True)
class Choice:
    """The model whose wallets are shown, and why it is that one."""

    model_id: str | None
    why: str


@dataclass(frozen=True)
class LearntWallets:
    """What came of it; `seconds` by table."""

    models: list[LearntModel]
    measures: list[Measures]
    choice: Choice
    seconds: dict[str, float]


def model_wallets(connection: duckdb.DuckDBPyConnection, rules: Rules, on_step: OnStep | None = None) -> LearntWallets:
    """Tries the models on the latest periods, chooses one, models the current wallets by it, and writes the tables.

    Args:
        connection: to the warehouse.
        rules: what is asked for.
        on_step: for progress.
    """
    say = on_step or (lambda _: None)
    clock = Clock(WALLET_TABLES)
    models: list[LearntModel] = []
    measures: list[Measures] = []
    choice = Choice(None, "nothing is to be modelled")
    with replaced(connection, WALLET_TABLES):
        with clock.timed("wallet_models"):
            _gather(connection)
            tried_count = 1 if rules.panel_period else rules.trial_count
            periods = _periods(connection)[:tried_count] if rules.quantile else []
        for period in periods:
            with clock.timed("wallet_quality"):
                learnt, found = _tried(connection, period, rules)
                measures += found
            models += learnt
            say(f"{period.starts_on} to {period.ends_on}: {learnt[0].refusal or 'tried'}")
        if periods:
            current = [model for model in models if model.period.is_current]
            choice = choose(measures, current)
            if choice.model_id is not None:
                with clock.timed("wallet_models"):
                    learning = _learnt_from(connection, periods[0])
                    model = LEARNERS[choice.model_id](learning, rules.quantile)
                with clock.timed("wallet_scores"):
                    _score(connection, periods[0], model, say)
        for entry in models:
            connection.execute(
                "insert into forecast.wallet_models values (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    *(entry.period.starts_on, entry.period.ends_on, entry.period.is_current),
                    *(entry.model_id, entry.period.basis),
                    entry.period.is_current and entry.model_id == choice.model_id,
                    *(entry.learnt_from_count, entry.refusal),
                ],
            )
        connection.execute("drop table wallets")
    return LearntWallets(models, measures, choice, clock.seconds)


def conformal_shift(residuals: Floats, quantile: float) -> float:
    """What forecasts have to be raised by so that another residual lies at or below it with at least this probability.

    The smallest of n residuals that (n + 1) × quantile of them do not exceed, or the largest.
    [Romano, Patterson & Candès 2019]

    Args:
        residuals: what came − its forecast, of wallets from which the forecast was not learnt; at least one.
        quantile: 0–1.
    """
    place = int(np.ceil((len(residuals) + 1) * quantile))
    return float(np.sort(residuals)[min(max(place, 1), len(residuals)) - 1])


def choose(measures: Collection[Measures], current: Collection[LearntModel]) -> Choice:
    """The model of the current period: the trees only if, where both were tried, their mean pinball loss is lower."""
    refusals = [model.refusal for model in current if model.refusal]
    if refusals:
        return Choice(None, refusals[0])
    losses = {name: [found.pinball_loss for found in measures if found.model_id == name] for name in MODELS}
    if not losses[TREES]:
        return Choice(SEGMENTS, f"{TREES} could be tried on no period")
    trees, segments = (float(np.mean(losses[name])) for name in MODELS)
    why = (
        f"over {counted(len(losses[TREES]), 'period')} {TREES} have a mean pinball loss of {trees:.4g}, "
        f"{SEGMENTS} of {segments:.4g}"
    )
    return Choice(TREES if trees < segments else SEGMENTS, why)


def _gather(connection: duckdb.DuckDBPyConnection) -> None:
    """All wallets of all periods with what is known of them, in an order that does not change.

    Folds are by a hash of their own: that of the sample would leave some of them empty.
    """
    codes = "\n".join(
        f"""left join (
            select {name}, row_number() over (order by {name}) as code
            from (select distinct {name} from intermediate.int_wallet_features where {name} is not null)
        ) as {name}_codes on features.{name} = {name}_codes.{name}"""
        for name in CATEGORICAL
    )
    coded = ", ".join(f"cast(coalesce({name}_codes.code, 0) as double) as {name}" for name in CATEGORICAL)
    connection.execute(f"""
        create or replace temp table wallets as
        select
            row_number() over (order by features.period_end_on, features.customer_id, features.category) as place,
            features.customer_id,
            features.category as category_name,
            cast(md5_number_lower('wallet ' || features.customer_id) >> 1 as bigint) as customer,
            features.wallet_minor / 100 as amount,
            features.* exclude (customer_id, wallet_minor, {", ".join(CATEGORICAL)}),
            {coded}
        from intermediate.int_wallet_features as features
        {codes}
    """)


def _periods(connection: duckdb.DuckDBPyConnection) -> list[Period]:
    """The latest first."""
    rows = connection.execute(
        """select period_start_on, period_end_on, basis, is_current from intermediate.int_wallet_periods
        order by period_number"""
    ).fetchall()
    return [Period(*row) for row in rows]


def _read(connection: duckdb.DuckDBPyConnection, condition: str) -> Wallets:
    columns = connection.execute(
        f"""select * exclude (period_end_on, customer_id, category_name, is_current) from wallets
        where {condition} order by place"""
    ).fetchnumpy()
    place, customer = (np.asarray(columns.pop(name)) for name in ("place", "customer"))
    amount = np.maximum(np.ma.filled(columns.pop("amount"), np.nan), 0)
    names = tuple(columns)
    return Wallets(place, customer, feature_matrix(columns, names), names, amount)


def _known(connection: duckdb.DuckDBPyConnection, condition: str) -> Wallets:
    """Wallets that are known; of more than `MOST` those of a part of the customers, always the same."""
    condition = f"amount is not null and {condition}"
    row = connection.execute(f"select count(*) from wallets where {condition}").fetchone()
    step = -(-(row[0] if row else 0) // MOST) or 1
    return _read(connection, f"{condition} and customer // {FOLDS} % {step} = 0")


def _learnt_from(connection: duckdb.DuckDBPyConnection, period: Period) -> Wallets:
    """Of periods that were over before this one began."""
    return _known(connection, f"period_end_on < date '{period.starts_on}'")


def _tried(
    connection: duckdb.DuckDBPyConnection, period: Period, rules: Rules
) -> tuple[list[LearntModel], list[Measures]]:
    """Learns both models for a period and writes how good they were in it; a refusal is of both."""
    refusal = None
    if rules.panel_period:
        refusal = "The order lines are a panel's (var panel_period): what customers spend is observed, not modelled."
    else:
        learning = _learnt_from(connection, period)
        if learning.customer_count < rules.least_customers:
            whose = "whose wallets a panel knows" if period.basis == "observed" else "who had bought from us"
            refusal = (
                f"In the periods before {period.starts_on} there are {learning.customer_count} customers {whose}; it "
                f"takes {rules.least_customers}."
            )
    if refusal:
        return [LearntModel(period, name, refusal=refusal) for name in MODELS], []
    models = [LearntModel(period, name, learning.customer_count) for name in MODELS]
    trying = _known(connection, f"period_end_on = date '{period.ends_on}'")
    if not len(trying.place):
        return models, []
    return models, [
        _judged(connection, period, name, _forecast(LEARNERS[name], learning, trying, rules.quantile), trying, rules)
        for name in MODELS
    ]


def _forecast(
    learner: Callable[[Wallets, float], Model], learning: Wallets, trying: Wallets, quantile: float
) -> Floats:
    """What each wallet is modelled to be by a model that knows none of its customer's."""
    forecast = np.empty(len(trying.place))
    for fold in np.unique(trying.fold):
        model = learner(learning.where(learning.fold != fold), quantile)
        forecast[trying.fold == fold] = model.amounts(trying.where(trying.fold == fold))
    return forecast


def _judged(
    connection: duckdb.DuckDBPyConnection,
    period: Period,
    model_id: str,
    forecast: Floats,
    trying: Wallets,
    rules: Rules,
) -> Measures:
    covered, everybody = (trying.amount <= forecast).astype(float), np.ones(len(forecast))
    loss, coverage = quality.pinball(forecast, trying.amount, rules.quantile), float(covered.mean())
    bins = quality.calibration(forecast, covered, everybody)
    rows = [
        ("wallet_pinball_loss", "all", None, loss, len(forecast)),
        ("wallet_coverage", "all", rules.quantile, coverage, len(forecast)),
        *(
            ("wallet_coverage_calibration", f"{number:02}", rules.quantile, found.actual, found.count)
            for number, found in enumerate(bins, start=1)
        ),
    ]
    connection.executemany(
        "insert into forecast.wallet_quality values (?, ?, ?, ?, ?, ?, ?)",
        [(period.ends_on, model_id, *row) for row in rows],
    )
    return Measures(period, model_id, loss, coverage, len(forecast))


def _score(connection: duckdb.DuckDBPyConnection, period: Period, model: Model, on_step: OnStep) -> None:
    """Writes the wallets of all customers of a period, in batches."""
    current = f"period_end_on = date '{period.ends_on}'"
    row = connection.execute(f"select min(place), max(place) + 1 from wallets where {current}").fetchone()
    first, end = row if row and row[0] is not None else (0, 0)
    for start in range(first, end, BATCH):
        wallets = _read(connection, f"place >= {start} and place < {min(start + BATCH, end)}")
        connection.register("modelled", {"place": wallets.place, "amount": model.amounts(wallets)})
        connection.execute(
            """insert into forecast.wallet_scores
            select $starts_on, $ends_on, wallets.customer_id, wallets.category_name,
                cast(round(modelled.amount * 100) as bigint)
            from modelled inner join wallets on modelled.place = wallets.place
            order by wallets.place""",
            {"starts_on": period.starts_on, "ends_on": period.ends_on},
        )
        connection.unregister("modelled")
        on_step(f"{min(start + BATCH, end) - first:,} of {end - first:,} wallets modelled")


def _grown(wallets: Wallets, logs: Floats, quantile: float) -> lightgbm.Booster:
    import lightgbm

    data = lightgbm.Dataset(
        wallets.features, logs, feature_name=list(wallets.names), categorical_feature=list(CATEGORICAL)
    )
    # Of so few rows two threads wait for each other longer than they work, on a busy machine many times.
    parameters = {**SETTINGS, "objective": "quantile", "alpha": quantile, "num_threads": 1}
    return lightgbm.train(parameters, data, num_boost_round=_TREES)
