"""From fitted models to the tables from which SQL scores (dbt_project/macros/forecast)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np

from orchestration.lib.forecast import bg_nbd, gamma_gamma, pareto_nbd
from orchestration.lib.forecast.fitting import Fit
from orchestration.lib.forecast.histories import DAYS_PER_WEEK, Integers

PURCHASE_MODELS = {model.FAMILY: model for model in (bg_nbd, pareto_nbd)}
PARAMETERS = tuple(dict.fromkeys((*bg_nbd.NAMES, *pareto_nbd.NAMES, *gamma_gamma.NAMES)))

TENURE_CLASSES = (0, 90, 365)
"""Days. The macro tenure_class has them too; short histories need more nodes than long ones."""

PARAMETER_TABLE = f"""(
    as_of_on date, model_id varchar, model_family varchar, {", ".join(f"{name} double" for name in PARAMETERS)},
    log_likelihood double, customer_count bigint, is_default boolean, refusal varchar
)"""
NODE_TABLE = """(
    as_of_on date, model_id varchar, repeat_count bigint, from_tenure_days bigint, value double,
    weight double
)"""


@dataclass(frozen=True)
class FittedModel:
    """A model as of a date: its fit, or why there is none. One model of a family is called by the family's name."""

    as_of_on: date
    family: str
    fit: Fit | None
    refusal: str | None = None


def defaults(models: Sequence[FittedModel]) -> dict[date, str]:
    """As-of date → family of the purchase model under which the histories are likeliest. All have four parameters, so
    that this is the choice by Akaike's criterion, too."""
    fitted = [(model.as_of_on, model.family, model.fit) for model in models if model.family in PURCHASE_MODELS]
    likelihoods = [(day, fit.log_likelihood, family) for day, family, fit in fitted if fit is not None]
    return {day: family for day, _, family in sorted(likelihoods)}


def write(
    connection: duckdb.DuckDBPyConnection,
    models: Sequence[FittedModel],
    *,
    repeats: Integers,
    longest_days: float,
    schema: str = "forecast",
) -> None:
    """Replaces `model_parameters` (one row per model and date, a refused one without parameters) and `model_nodes` (its
    quadrature, for these numbers of repeats and horizons up to so many days) in the schema, in one transaction."""
    chosen = defaults(models)
    rows = [
        [model.as_of_on, model.family, model.family]
        + [None if model.fit is None else model.fit.parameters.get(name) for name in PARAMETERS]
        + [model.fit and model.fit.log_likelihood, model.fit and model.fit.customer_count]
        + [chosen.get(model.as_of_on) == model.family, model.refusal]
        for model in models
    ]
    pairs = [column.ravel() for column in np.meshgrid(np.unique(repeats), TENURE_CLASSES)]
    connection.execute("begin")
    try:
        connection.execute(f"create schema if not exists {schema}")
        connection.execute(f"create or replace table {schema}.model_parameters {PARAMETER_TABLE}")
        for row in rows:
            places = ", ".join("?" for _ in row)
            connection.execute(f"insert into {schema}.model_parameters values ({places})", row)
        connection.execute(f"create or replace table {schema}.model_nodes {NODE_TABLE}")
        for model in models:
            if model.fit is not None and model.family in PURCHASE_MODELS:
                nodes = PURCHASE_MODELS[model.family].nodes(model.fit, *pairs, longest_days / DAYS_PER_WEEK)
                connection.register("nodes", vars(nodes))
                connection.execute(
                    f"""insert into {schema}.model_nodes
                    select ?, ?, repeats, from_tenure_days, value, weight from nodes""",
                    [model.as_of_on, model.family],
                )
                connection.unregister("nodes")
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise
