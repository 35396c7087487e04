"""The job of a whole run, its daily schedule, and the sensor that watches for new files."""

from collections.abc import Iterator

import dagster as dg

from orchestration.lib import history, lock
from orchestration.lib.mapping import Mapping
from orchestration.lib.settings import Settings

JOB_NAME = "tenure_run"


WHOLE_RUN = dg.define_asset_job(
    JOB_NAME,
    selection=dg.AssetSelection.all(),
    description="Load, build, check and publish: what `tenure run` does.",
)


def build_schedule(settings: Settings, mapping: Mapping) -> dg.ScheduleDefinition:
    """Every day at five in the business time zone, when yesterday is over and its files have come."""

    @dg.schedule(
        name="daily",
        job_name=JOB_NAME,
        cron_schedule="0 5 * * *",
        execution_timezone=mapping.business_timezone,
        description="Skips when the files, the mapping and the models are those of the last version.",
    )
    def daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        _close_dead_runs(context, settings)
        number, digest = _published(settings), _digest(settings, mapping)
        if number and number[1] == digest:
            return dg.SkipReason(f"Nothing new since version {number[0]}.")
        return dg.RunRequest()

    return daily


def build_sensor(settings: Settings, mapping: Mapping) -> dg.SensorDefinition:
    """Asks for a run when files, mapping or models differ from those of the last run it asked for."""

    @dg.sensor(
        name="new_landing_files",
        job_name=JOB_NAME,
        minimum_interval_seconds=60,
        description="Compares files (size, time, content), mapping and models with the last published version.",
    )
    def new_landing_files(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        _close_dead_runs(context, settings)
        digest = _digest(settings, mapping)
        published = _published(settings)
        if published and published[1] == digest:
            context.update_cursor(digest)
            yield dg.SkipReason(f"Nothing new since version {published[0]}.")
        elif context.cursor == digest:
            yield dg.SkipReason("A run was asked for with these very files; it has not published them.")
        elif holder := lock.holder(settings.lock_path):
            yield dg.SkipReason(f"A run is under way: {holder}.")
        else:
            context.update_cursor(digest)
            yield dg.RunRequest(run_key=digest)

    return new_landing_files


def _close_dead_runs(context: dg.ScheduleEvaluationContext | dg.SensorEvaluationContext, settings: Settings) -> None:
    """A run that was killed would keep the queue, which lets one run at a time go, waiting."""
    if lock.holder(settings.lock_path) is None:
        history.close_dead_runs(context.instance)


def _digest(settings: Settings, mapping: Mapping) -> str:
    from orchestration.lib import inputs

    return inputs.fingerprint(settings, mapping).digest


def _published(settings: Settings) -> tuple[int, str | None] | None:
    """Number and inputs of the newest version of this data set."""
    from orchestration.lib import publishing

    version = publishing.latest(settings)
    return (version.number, version.inputs_digest) if version else None
