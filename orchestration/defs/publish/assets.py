"""The checked marts become the version that readers see."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from orchestration.defs.context import RUN, run_of
from orchestration.lib.errors import UserError
from orchestration.lib.progress import counted
from orchestration.lib.running import TenureRun

if TYPE_CHECKING:
    from orchestration.lib.postgres import Outcome

VERSION_KEY = dg.AssetKey(["published", "version"])
REPORT_KEY = dg.AssetKey(["published", "report"])
POSTGRES_KEY = dg.AssetKey(["published", "postgres"])


def build_publish_assets(mart_keys: Sequence[dg.AssetKey], suite_names: Sequence[str]) -> dg.AssetsDefinition:
    """Publishing as one step: the version, and the report rendered from it."""

    @dg.multi_asset(
        name="publish_version",
        specs=[
            dg.AssetSpec(
                key=VERSION_KEY,
                deps=mart_keys,
                group_name="published",
                description="$TENURE_HOME/versions/N: marts.duckdb, the same as Parquet, manifest.json. `current` "
                "points to it.",
                kinds={"duckdb", "parquet"},
            ),
            dg.AssetSpec(
                key=REPORT_KEY,
                deps=[VERSION_KEY],
                group_name="published",
                description="report.html of the version: one page that needs no network.",
                kinds={"html"},
            ),
        ],
        required_resource_keys={RUN},
    )
    def publish_version(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        run = run_of(context)
        with run.step("publish"):
            publish(run, suite_names)
        version = run.version
        assert version is not None
        yield dg.MaterializeResult(
            asset_key=VERSION_KEY,
            metadata={
                "version": version.number,
                "path": dg.MetadataValue.path(str(version.path)),
                "data_end": str(version.data_end),
                "tables": len(version.manifest["tables"]),
            },
        )
        yield dg.MaterializeResult(
            asset_key=REPORT_KEY,
            metadata={"report": dg.MetadataValue.url(version.report_path.as_uri())},
        )

    return publish_version


def build_postgres_asset() -> dg.AssetsDefinition:
    """Publishing the version that is current to Postgres."""

    @dg.asset(
        key=POSTGRES_KEY,
        deps=[VERSION_KEY],
        group_name="published",
        description="The marts of the version in the database of TENURE_POSTGRES, for the roles that may read them.",
        kinds={"postgres"},
        required_resource_keys={RUN},
    )
    def publish_to_postgres(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        run = run_of(context)
        with run.step("serve"):
            outcome = serve(run)
        return dg.MaterializeResult(
            metadata={
                "database": outcome.database,
                "tables": outcome.table_count,
                "dagster/row_count": outcome.row_count,
            }
        )

    return publish_to_postgres


def serve(run: TenureRun) -> "Outcome":
    """Publish the current version to Postgres, and note it for the run log.

    Raises UserError; what Postgres served it then serves still, unless the message says otherwise.
    """
    from orchestration.lib import postgres, publishing
    from orchestration.lib.publishing import RunStep

    started = time.perf_counter()
    version = run.version or publishing.current(run.settings)
    if version is None:
        raise UserError("There is no version to publish to Postgres.", "Materialise published/version first.")
    outcome = postgres.publish(version, run.progress)
    run.state.add_steps([RunStep("serve", outcome.row_count, round(time.perf_counter() - started, 3))])
    run.progress.line(f"version {version.number}: {counted(outcome.table_count, 'table')} in '{outcome.database}'")
    return outcome


def publish(run: TenureRun, suite_names: Sequence[str]) -> None:
    """Publish what is in the working area, unless something in it was not built or not checked.

    Raises UserError or PublishingError; `current` is then as it was.
    """
    from orchestration.lib import databases, publishing
    from orchestration.lib.contract import personal_columns
    from orchestration.lib.erasing import last_erasure_at
    from orchestration.lib.forecast.tables import TABLES
    from orchestration.lib.run_state import fit_id

    run.progress.stage("Publish")
    nodes = [
        unique_id
        for unique_id, node in run.parsed().manifest_json["nodes"].items()
        if node["resource_type"] in ("model", "seed", "snapshot", "test")
        and node["config"].get("materialized") != "ephemeral"
    ] + [fit_id(table) for table in TABLES]
    run.state.keep_nodes(nodes)
    if obstacles := run.state.obstacles(nodes, suite_names):
        raise UserError(
            "Not published: " + "; ".join(obstacles) + ".",
            "Run the job tenure_run, or materialise what is named and its checks.",
        )
    data_docs = run.settings.data_docs_dir
    started = time.perf_counter()
    erased_at = last_erasure_at(run.settings.warehouse_path)
    former = publishing.latest(run.settings)
    if erased_at and (former is None or former.created_at < erased_at):
        for path in (run.settings.warehouse_path, run.settings.marts_path):
            run.progress.tick(0, 0, f"write {path.name} anew, without who was erased")
            databases.rewrite(path)
    run.version = publishing.publish(
        run.settings,
        run=run.state.record(),
        inputs=run.state.inputs,
        checks=run.state.checks(),
        data_docs=data_docs if data_docs.is_dir() else None,
        personal_columns=personal_columns(),
        month_columns=run.parsed().month_columns(),
        reporting_currency=run.mapping.reporting_currency,
        business_timezone=run.mapping.business_timezone,
        is_synthetic=run.mapping.is_synthetic,
        is_full_refresh=run.is_full_refresh,
        erased_at=erased_at,
        on_progress=lambda step, count: run.progress.tick(0, 0, step),
    )
    run.state.record_version(run.version.number, round(time.perf_counter() - started, 3))
    tables = run.version.manifest["tables"]
    run.progress.line(f"version {run.version.number}: {counted(len(tables), 'table')}")
