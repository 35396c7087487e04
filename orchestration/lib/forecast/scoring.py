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
from orchestration.lib.forecast.tables import PURCHASE_TABLES, replaced

PURCHASE_MODELS = {model.FAMILY: model for model in (bg_nbd, pareto_nbd)}
PARAMETERS = tuple(dict.fromkeys((*bg_nbd.NAMES, *pareto_nbd.NAMES, *gamma_gamma.NAMES)))

TENURE_CLASSES = (0, 90, 365)
"""Days. The macro tenure_class has them too; short histories need more nodes than long ones."""


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
) -> None:
    """Replaces `forecast.model_parameters` (one row per model and date, a refused one without parameters) and
    `forecast.model_nodes` (its quadrature, for these numbers of repeats and horizons up to so many days)."""
    pairs = [column.ravel() for column in np.meshgrid(np.unique(repeats), TENURE_CLASSES)]
    names = ("as_of_on", "model_id", "model_family", *PARAMETERS, "log_likelihood", "customer_count", "is_default")
    values = ", ".join("?" for _ in (*names, "refusal"))
    chosen = defaults(models)
    with replaced(connection, PURCHASE_TABLES):
        for model in models:
            fit = model.fit
            connection.execute(
                f"insert into forecast.model_parameters ({', '.join(names)}, refusal) values ({values})",
                [
                    *(model.as_of_on, model.family, model.family),
                    *(fit and fit.parameters.get(name) for name in PARAMETERS),
                    *(fit and fit.log_likelihood, fit and fit.customer_count),
                    *(chosen.get(model.as_of_on) == model.family, model.refusal),
                ],
            )
            if fit is not None and model.family in PURCHASE_MODELS:
                nodes = PURCHASE_MODELS[model.family].nodes(fit, *pairs, longest_days / DAYS_PER_WEEK)
                connection.register("nodes", vars(nodes))
                connection.execute(
                    """insert into forecast.model_nodes
                    select ?, ?, repeats, from_tenure_days, value, weight from nodes""",
                    [model.as_of_on, model.family],
                )
                connection.unregister("nodes")


def read(connection: duckdb.DuckDBPyConnection) -> list[FittedModel]:
    """The models of purchases as they were written; of a fit, its standard errors are not."""
    rows = connection.execute(
        f"""select as_of_on, model_id, refusal, log_likelihood, customer_count, {", ".join(PARAMETERS)}
        from forecast.model_parameters where model_id in ({", ".join("?" for _ in PURCHASE_MODELS)}) order by all""",
        list(PURCHASE_MODELS),
    ).fetchall()
    return [
        FittedModel(
            as_of_on,
            family,
            None if refusal else Fit(family, _parameters(family, parameters), log_likelihood, {}, customer_count),
            refusal,
        )
        for as_of_on, family, refusal, log_likelihood, customer_count, *parameters in rows
    ]


def _parameters(family: str, values: Sequence[float]) -> dict[str, float]:
    return {
        name: value for name, value in zip(PARAMETERS, values, strict=True) if name in PURCHASE_MODELS[family].NAMES
    }
