"""Dagster's code location: raw files → raw → contract → staging → intermediate → marts → published version.

Importing this module looks at nothing. Settings, mapping and dbt project are read when Dagster asks for the
definitions, and `tenure run` builds the same definitions with its own progress display.
"""

import logging
from collections.abc import Iterator

import dagster as dg

from expectations import catalog
from orchestration.defs.automation import WHOLE_RUN, build_schedule, build_sensor
from orchestration.defs.context import RUN
from orchestration.defs.dbt.assets import build_dbt_assets, build_exposures, build_source_specs, mart_keys
from orchestration.defs.forecast.assets import build_forecast_assets
from orchestration.defs.ingest.assets import build_landing_assets, build_load_assets
from orchestration.defs.publish.assets import VERSION_KEY, build_postgres_asset, build_publish_assets
from orchestration.defs.quality.checks import build_expectation_checks
from orchestration.lib import history, postgres, telemetry
from orchestration.lib.dbt import FORECASTS, MARTS
from orchestration.lib.erasing import last_erasure_at
from orchestration.lib.lock import run_lock
from orchestration.lib.mapping import load_mapping
from orchestration.lib.progress import LineProgress
from orchestration.lib.running import TenureRun
from orchestration.lib.settings import Settings


def build_definitions(run: TenureRun) -> dg.Definitions:
    """All definitions of one data set, for `run` itself or for runs that Dagster starts later."""
    project = run.parsed()
    suites = catalog.suites()
    marts = mart_keys(project)
    building = [
        build_load_assets(run.mapping, build_source_specs(project, "contract")),
        build_dbt_assets(project, MARTS),
        *build_forecast_assets(build_source_specs(project, "forecast")),
        build_dbt_assets(project, FORECASTS),
    ]
    read_while_building = {key for step in building for key in set(step.dependency_keys) - step.keys}
    return dg.Definitions(
        assets=[
            *build_landing_assets(run.mapping),
            *building,
            build_publish_assets(marts, [suite.name for suite in suites]),
            *([build_postgres_asset()] if postgres.is_wanted() else []),
            *build_exposures(project, VERSION_KEY),
        ],
        asset_checks=[build_expectation_checks(suites, read_before=read_while_building)],
        jobs=[WHOLE_RUN],
        schedules=[build_schedule(run.settings, run.mapping)],
        sensors=[build_sensor(run.settings, run.mapping)],
        resources={RUN: _run_resource(run)},
        # One warehouse file has one writer, and the imports are paid once: never a process per step.
        executor=dg.in_process_executor,
    )


def _run_resource(run: TenureRun) -> dg.ResourceDefinition:
    """What the steps share, and the run lock for as long as a Dagster run lasts."""

    @dg.resource
    def tenure_run(context: dg.InitResourceContext) -> Iterator[TenureRun]:
        with run_lock(run.settings.lock_path, run.settings.dataset):
            own = run if run.is_own_process else TenureRun(run.settings, run.mapping, run.progress, project=run.project)
            try:
                yield own
            finally:
                own.state.end(is_failed=bool(own.failures))
                _tidy_history(context, own.settings)

    return tenure_run


def _tidy_history(context: dg.InitResourceContext, settings: Settings) -> None:
    """Never the reason why a run fails: what is left this time goes the next time."""
    try:
        erased_at = last_erasure_at(settings.warehouse_path)
        if context.instance is not None:
            history.close_dead_runs(context.instance, context.run_id)
            history.tidy(context.instance, context.run_id or "", erased_at)
        if erased_at is not None:
            history.forget_logs(settings.work_dir, erased_at)
    except Exception:
        logging.getLogger("tenure").warning("the history of runs could not be tidied", exc_info=True)


@dg.definitions
def definitions() -> dg.Definitions:
    """The data set named by TENURE_DATASET under TENURE_HOME."""
    telemetry.turn_off()
    settings = Settings.resolve()
    return build_definitions(TenureRun(settings, load_mapping(settings.mapping_path), LineProgress(print)))
