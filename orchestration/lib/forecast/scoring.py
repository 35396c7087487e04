"""From fitted models to the tables from which SQL scores (dbt_project/macros/forecast)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

from orchestration.lib.forecast import bg_nbd, gamma_gamma, pareto_nbd
from orchestration.lib.forecast.fitting import Fit

PURCHASE_MODELS = {model.FAMILY: model for model in (bg_nbd, pareto_nbd)}
PARAMETERS = tuple(dict.fromkeys((*bg_nbd.NAMES, *pareto_nbd.NAMES, *gamma_gamma.NAMES)))

PARAMETER_TABLE = f"""(
    as_of_on date, model_id varchar, model_family varchar, {", ".join(f"{name} double" for name in PARAMETERS)},
    log_likelihood double, customer_count bigint, refusal varchar
)"""
NODE_TABLE = "(as_of_on date, model_id varchar, node integer, value double, weight double, log_survival double)"


@dataclass(frozen=True)
class FittedModel:
    """A model as of a date: its fit, or why there is none. One model of a family is called by the family's name."""

    as_of_on: date
    family: str
    fit: Fit | None
    refusal: str | None = None


def write(
    connection: duckdb.DuckDBPyConnection,
    models: Sequence[FittedModel],
    *,
    largest_repeats: int,
    longest_days: float,
    schema: str = "forecast",
) -> None:
    """Replaces `model_parameters` (one row per model and date, a refused one without parameters) and `model_nodes` (its
    quadrature, good for so many repeats and days ahead) in the schema, in one transaction."""
    parameters, nodes = [], []
    for model in models:
        fit = model.fit
        values = [None if fit is None else fit.parameters.get(name) for name in PARAMETERS]
        parameters.append(
            [model.as_of_on, model.family, model.family, *values, fit and fit.log_likelihood,
             fit and fit.customer_count, model.refusal]
        )  # fmt: skip
        if fit is not None and model.family in PURCHASE_MODELS:
            over = PURCHASE_MODELS[model.family].nodes(fit, largest_repeats, longest_days / 7)
            rows = zip(over.value.tolist(), over.weight.tolist(), over.log_survival.tolist(), strict=True)
            nodes += [[model.as_of_on, model.family, number, *row] for number, row in enumerate(rows)]
    connection.execute("begin")
    try:
        connection.execute(f"create schema if not exists {schema}")
        for table, definition, found in (
            ("model_parameters", PARAMETER_TABLE, parameters),
            ("model_nodes", NODE_TABLE, nodes),
        ):
            connection.execute(f"create or replace table {schema}.{table} {definition}")
            if found:
                places = ", ".join("?" for _ in found[0])
                connection.executemany(f"insert into {schema}.{table} values ({places})", found)
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise
