"""What SQL does not compute: models fitted and risks learnt between the two phases of dbt."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from orchestration.defs.context import RUN, run_of
from orchestration.lib.forecast.tables import PANEL_TABLES, PURCHASE_TABLES, RISK_TABLES, WALLET_TABLES
from orchestration.lib.progress import counted
from orchestration.lib.running import TenureRun, markdown_table

if TYPE_CHECKING:
    from orchestration.lib.forecast.churn_risk import LearntModel, Measures
    from orchestration.lib.forecast.scoring import FittedModel
    from orchestration.lib.forecast.wallets import Measures as WalletMeasures

_PARAMETERS = "parameters ± standard errors"
_DATES, _HISTORIES, _FEATURES, _OUTCOMES = (
    dg.AssetKey(["intermediate", f"int_forecast_{name}"]) for name in ("dates", "histories", "features", "outcomes")
)
_WALLET_PERIODS, _WALLET_FEATURES = (
    dg.AssetKey(["intermediate", f"int_wallet_{name}"]) for name in ("periods", "features")
)
_BRAND_PANELS = dg.AssetKey(["intermediate", "int_brand_panels_summed"])

Work = Callable[[TenureRun], list[dg.MaterializeResult[None]]]
"""Fits, writes its tables, and says what became of them."""


def build_forecast_assets(specs: Sequence[dg.AssetSpec]) -> list[dg.AssetsDefinition]:
    """Four steps: the models of purchases and spend, then those of churn risk; of the brands of a panel; of wallets.

    Args:
        specs: the tables of dbt's source `forecast` as it describes them.
    """
    by_table = {spec.key.path[-1]: spec for spec in specs}
    purchases = by_table["model_parameters"].key

    def step(name: str, tables: Mapping[str, str], deps: Sequence[dg.AssetKey], work: Work) -> dg.AssetsDefinition:
        """The tables that one piece of work writes, after what it reads."""

        @dg.multi_asset(
            name=name,
            specs=[by_table[table].replace_attributes(deps=deps) for table in tables],
            required_resource_keys={RUN},
        )
        def fitted(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
            run = run_of(context)
            with run.step("fit"):
                results = work(run)
            yield from results

        return fitted

    return [
        step("fit_purchases", PURCHASE_TABLES, [_DATES, _HISTORIES], fit_purchases),
        step("learn_risk", RISK_TABLES, [_DATES, _HISTORIES, _FEATURES, _OUTCOMES, purchases], learn_risk),
        step("fit_brand_panels", PANEL_TABLES, [_BRAND_PANELS], fit_brand_panels),
        step("model_wallets", WALLET_TABLES, [_WALLET_PERIODS, _WALLET_FEATURES], model_wallets),
    ]


def fit_purchases(run: TenureRun) -> list[dg.MaterializeResult[None]]:
    """Fit the models of purchases and spend as of all dates, and write them for SQL to score by.

    Raises FitRefused where there is no fit to score by; the tables are then as they were.
    """
    import duckdb

    from orchestration.lib.forecast import plots, purchase_fits, tables

    run.progress.stage("Fit models of purchases and spend")
    variables = run.variables()

    def on_fit(done: int, total: int, model: "FittedModel") -> None:
        run.progress.tick(done, total, model.family)
        outcome = f"refused: {model.refusal}" if model.fit is None else counted(model.fit.customer_count, "customer")
        run.progress.line(f"{done}/{total} {model.family} as of {model.as_of_on}  {outcome}")

    with duckdb.connect(str(run.settings.warehouse_path)) as connection:
        started = time.perf_counter()
        models = purchase_fits.fit(
            connection, variables["forecast_models"], variables["forecast_min_repeaters"], on_fit
        )
        fitted = time.perf_counter()
        purchase_fits.write(connection, models, variables["clv_months"])
        seconds = {"model_parameters": fitted - started, "model_nodes": time.perf_counter() - fitted}
        rows = tables.row_counts(connection, PURCHASE_TABLES)
        actual = purchase_fits.RepeatsByTenure.read(connection)
    page = run.settings.fits_dir / "purchases.html"
    plots.write_repeats_page(page, actual, [model for model in models if model.as_of_on == models[0].as_of_on])
    _record(run, rows, seconds)
    fits = {
        "fits": dg.MetadataValue.md(markdown_table([_fit_row(model) for model in models])),
        "mean repeats by tenure": dg.MetadataValue.url(page.as_uri()),
    }
    return _results(rows, {"model_parameters": fits})


def learn_risk(run: TenureRun) -> list[dg.MaterializeResult[None]]:
    """Learn, judge and choose the models of churn risk, and score the customers of the current date."""
    import duckdb

    from orchestration.lib.forecast import churn_risk, tables

    run.progress.stage("Learn the risk of churn")
    with duckdb.connect(str(run.settings.warehouse_path)) as connection:
        learnt = churn_risk.learn_risk(connection, run.progress.line)
        rows = tables.row_counts(connection, RISK_TABLES)
    _record(run, rows, learnt.seconds)
    chosen = f"{learnt.choice.model_id}: {learnt.choice.why}"
    run.progress.line(f"chosen: {chosen}")
    return _results(
        rows,
        {
            "risk_models": {
                "chosen": chosen,
                "models": dg.MetadataValue.md(markdown_table([_model_row(model) for model in learnt.models])),
                "features": dg.MetadataValue.md(
                    markdown_table(
                        [{"feature": name, "gain": f"{share:.1%}"} for name, share in learnt.importance.items()]
                    )
                ),
            },
            "risk_quality": {
                "measures": dg.MetadataValue.md(markdown_table([_measures_row(found) for found in learnt.measures]))
            },
        },
    )


def fit_brand_panels(run: TenureRun) -> list[dg.MaterializeResult[None]]:
    """Fit what is to be expected of the brands of a panel, category by category; without a panel there are none."""
    import duckdb

    from orchestration.lib.forecast import brand_panels, tables

    run.progress.stage("Fit the brands of panels")
    with duckdb.connect(str(run.settings.warehouse_path)) as connection:
        started = time.perf_counter()
        outcome = brand_panels.fit(connection, run.variables()["brand_panel_min_buyers"])
        # Norms follow from the models in the same step, whose time counts once.
        seconds = {"dirichlet_models": time.perf_counter() - started, "dirichlet_norms": 0.0}
        rows = tables.row_counts(connection, PANEL_TABLES)
    _record(run, rows, seconds)
    refused = outcome.refused.most_common()
    run.progress.line(f"categories of a period fitted: {outcome.fitted_count:,}, refused: {outcome.refused.total():,}")
    metadata = {
        "fitted": outcome.fitted_count,
        "refused": dg.MetadataValue.md(markdown_table([{"refusal": why, "categories": n} for why, n in refused])),
    }
    return _results(rows, {"dirichlet_models": metadata})


def model_wallets(run: TenureRun) -> list[dg.MaterializeResult[None]]:
    """Learn, try and choose the models of wallets, and model those of the latest period."""
    import duckdb

    from orchestration.lib.forecast import tables, wallets

    run.progress.stage("Model the wallets that nobody observed")
    with duckdb.connect(str(run.settings.warehouse_path)) as connection:
        learnt = wallets.model_wallets(connection, wallets.Rules.of(run.variables()), run.progress.line)
        rows = tables.row_counts(connection, WALLET_TABLES)
    _record(run, rows, learnt.seconds)
    chosen = f"{learnt.choice.model_id}: {learnt.choice.why}"
    run.progress.line(f"chosen: {chosen}")
    return _results(
        rows,
        {
            "wallet_models": {"chosen": chosen},
            "wallet_quality": {
                "measures": dg.MetadataValue.md(markdown_table([_wallet_row(found) for found in learnt.measures]))
            },
        },
    )


def _record(run: TenureRun, rows: Mapping[str, int], seconds: Mapping[str, float]) -> None:
    from orchestration.lib.publishing import RunStep

    run.state.record_fits(rows)
    run.state.add_steps(
        RunStep(f"fit forecast.{table}", count, round(seconds[table], 3)) for table, count in rows.items()
    )


def _results(rows: Mapping[str, int], metadata: Mapping[str, Mapping[str, Any]]) -> list[dg.MaterializeResult[None]]:
    return [
        dg.MaterializeResult(
            asset_key=["forecast", table], metadata={"dagster/row_count": count, **metadata.get(table, {})}
        )
        for table, count in rows.items()
    ]


def _fit_row(model: "FittedModel") -> dict[str, Any]:
    row: dict[str, Any] = {"as of": model.as_of_on, "model": model.family}
    if (fit := model.fit) is None:
        return {**row, _PARAMETERS: "", "log-likelihood": "", "customers": "", "refusal": model.refusal}
    parameters = (f"{name} = {value:.4g} ± {fit.standard_errors[name]:.2g}" for name, value in fit.parameters.items())
    return {
        **row,
        _PARAMETERS: ", ".join(parameters),
        "log-likelihood": f"{fit.log_likelihood:,.1f}",
        "customers": f"{fit.customer_count:,}",
        "refusal": "",
    }


def _model_row(model: "LearntModel") -> dict[str, Any]:
    return {
        "as of": model.as_of_on,
        "model": model.model_id,
        "learnt from": model.learnt_from_count or "",
        "calibrated on": model.calibrated_on or "",
        "refusal": model.refusal or "",
    }


def _measures_row(found: "Measures") -> dict[str, Any]:
    return {
        "as of": found.as_of_on,
        "model": found.model_id,
        "customers": f"{found.customer_count:,}",
        "AUC": f"{found.auc:.4f}",
        "Brier score": f"{found.brier:.4f}",
        "lift of the top decile": f"{found.lift:.2f}",
    }


def _wallet_row(found: "WalletMeasures") -> dict[str, Any]:
    return {
        "period": f"{found.period.starts_on} to {found.period.ends_on}",
        "model": found.model_id,
        "wallets": f"{found.wallet_count:,}",
        "pinball loss": f"{found.pinball_loss:.4g}",
        "coverage": f"{found.coverage:.3f}",
    }
