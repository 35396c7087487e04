"""From Dagster's context to the run that its steps share."""

import dagster as dg

from orchestration.lib.progress import LineProgress
from orchestration.lib.running import TenureRun

RUN = "run"
"""Key of the resource."""


def run_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> TenureRun:
    """The run; one that Dagster started says in the step's log what it does."""
    run: TenureRun = getattr(context.resources, RUN)
    if not run.is_own_process:
        run.progress = LineProgress(context.log.info)
    return run
