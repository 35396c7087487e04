"""Fits of the models of purchases and of spend, as of now and of each past date on which they are tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np

from orchestration.lib.errors import UserError
from orchestration.lib.forecast import gamma_gamma, scoring
from orchestration.lib.forecast.fitting import Fit, FitRefused
from orchestration.lib.forecast.histories import DAYS_PER_WEEK, Floats, Histories, SpendHistories
from orchestration.lib.forecast.scoring import FittedModel
from orchestration.lib.forecast.value import DAYS_PER_MONTH

FAMILIES = tuple(scoring.PURCHASE_MODELS)
LONGEST_HORIZON_DAYS = 365
"""The macro forecast_horizon_days has it too."""

_WAY_OUT = "Or go without forecasts: give the variable forecast_models, under vars of the mapping, an empty list."

OnFit = Callable[[int, int, FittedModel], None]
"""Called after each fit with (fits done, fits in all, what came of it)."""


@dataclass(frozen=True)
class Date:
    """A date as of which models are fitted: the watermark, or one of the past."""

    as_of_on: date
    is_current: bool

    @property
    def histories(self) -> str:
        """The histories as of the date, as a relation of one customer a row."""
        return (
            "(select *, 1 as customer_count from intermediate.int_forecast_histories "
            f"where as_of_on = date '{self.as_of_on}') as histories"
        )


def dates(connection: duckdb.DuckDBPyConnection) -> list[Date]:
    """From the current date to the past."""
    rows = connection.execute(
        "select as_of_on, is_current from intermediate.int_forecast_dates order by as_of_on desc"
    ).fetchall()
    return [Date(*row) for row in rows]


def fit(
    connection: duckdb.DuckDBPyConnection,
    families: Sequence[str],
    fewest_repeaters: int,
    on_fit: OnFit | None = None,
) -> list[FittedModel]:
    """Fits the models of purchases and, where there are any, Gamma–Gamma, as of every date.

    Args:
        connection: to the warehouse.
        families: models of purchases. None, and nothing is fitted.
        fewest_repeaters: with fewer customers who came back by a date, nothing is fitted as of it.
        on_fit: for progress.

    Raises:
        UserError: there is no model of such a name.
        FitRefused: by all models of purchases, or by Gamma–Gamma, as of the current date.
    """
    if unknown := [family for family in families if family not in FAMILIES]:
        raise UserError(
            f"There is no model of purchases {', '.join(unknown)}.",
            f"The variable forecast_models names some of: {', '.join(FAMILIES)}.",
        )
    as_of, wanted = dates(connection), [*families, gamma_gamma.FAMILY] if families else []
    found: list[FittedModel] = []
    for when in as_of:
        too_few = _too_few(connection, when, fewest_repeaters)
        refused: dict[str, FitRefused] = {}
        for family in wanted:
            fitted, refusal = None, too_few
            if too_few is None:
                try:
                    fitted = _fit(connection, when, family)
                except FitRefused as error:
                    refused[family], refusal = error, error.what
            found.append(FittedModel(when.as_of_on, family, fitted, refusal))
            if on_fit is not None:
                on_fit(len(found), len(as_of) * len(wanted), found[-1])
        if when.is_current:
            for needed in (families, [gamma_gamma.FAMILY]):
                _insist([refused[family] for family in needed if family in refused], len(needed))
    return found


def write(connection: duckdb.DuckDBPyConnection, models: Sequence[FittedModel], clv_months: int) -> None:
    """Replaces the tables of parameters and nodes, for all customers and forecasts up to so many months ahead."""
    found = connection.execute(
        "select distinct cast(repeat_count as bigint) as repeats from intermediate.int_forecast_histories order by all"
    ).fetchnumpy()
    scoring.write(
        connection,
        models,
        repeats=np.asarray(found["repeats"]),
        longest_days=max(LONGEST_HORIZON_DAYS, clv_months * DAYS_PER_MONTH),
    )


@dataclass(frozen=True)
class RepeatsByTenure:
    """How often customers had come back by the current date, one array element per week of tenure."""

    weeks: Floats
    """Mean tenure of the customers of the week."""
    repeats: Floats
    """Their mean number of repeats."""

    @classmethod
    def read(cls, connection: duckdb.DuckDBPyConnection) -> RepeatsByTenure:
        columns = connection.execute(
            f"""select avg(tenure_days) / {DAYS_PER_WEEK} as weeks, avg(repeat_count) as repeats
            from intermediate.int_forecast_histories where is_current
            group by tenure_days // {int(DAYS_PER_WEEK)} order by weeks"""
        ).fetchnumpy()
        return cls(**{name: np.asarray(column) for name, column in columns.items()})


def expected_repeats(fit: Fit, weeks: Floats) -> Floats:
    """E[X(T)]: repeats that a customer is expected to make within so many weeks of the first purchase."""
    none = np.zeros(1, int)
    start = Histories(none, none, none, np.ones(1))
    expected = scoring.PURCHASE_MODELS[fit.family].expected_purchases
    return np.array([expected(fit, start, week)[0] for week in weeks])


def _insist(refused: Sequence[FitRefused], count: int) -> None:
    """Raises FitRefused where all of so many models are refused: there is nothing to score by."""
    if refused and len(refused) == count:
        what = " ".join(error.what for error in refused)
        raise FitRefused(what, f"{refused[0].remedy} {_WAY_OUT}")


def _too_few(connection: duckdb.DuckDBPyConnection, when: Date, fewest: int) -> str | None:
    row = connection.execute(f"select count(*) from {when.histories} where repeat_count > 0").fetchone()
    repeaters = row[0] if row else 0
    if repeaters >= fewest:
        return None
    return f"Too few customers had come back: {repeaters}, and the variable forecast_min_repeaters asks for {fewest}."


def _fit(connection: duckdb.DuckDBPyConnection, when: Date, family: str) -> Fit:
    if family == gamma_gamma.FAMILY:
        return gamma_gamma.fit(SpendHistories.read(connection, when.histories))
    found: Fit = scoring.PURCHASE_MODELS[family].fit(Histories.read(connection, when.histories))
    return found
