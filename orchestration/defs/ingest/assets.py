"""Raw files → raw tables → contract tables."""

from collections.abc import Iterator, Sequence

import dagster as dg

from orchestration.defs.context import RUN, run_of
from orchestration.lib.contract import contract_tables
from orchestration.lib.mapping import Mapping
from orchestration.lib.progress import counted
from orchestration.lib.running import TenureRun


def build_landing_assets(mapping: Mapping) -> list[dg.AssetSpec]:
    """The raw files and tables, which others put there."""
    return [
        dg.AssetSpec(
            key=["landing", name],
            group_name="landing",
            description=f"Read from {', '.join(source.read)}.",
            kinds={"file"},
        )
        for name, source in mapping.sources.items()
    ]


def build_load_assets(mapping: Mapping, contract: Sequence[dg.AssetSpec]) -> dg.AssetsDefinition:
    """One step that loads every source and lays the contract views over them.

    Args:
        contract: the contract tables and the loader's accounts as dbt's sources describe them.
    """

    @dg.multi_asset(
        name="load_raw_files",
        specs=[*_raw_specs(mapping), *_fed_by(mapping, contract)],
        required_resource_keys={RUN},
    )
    def load_raw_files(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        run = run_of(context)
        with run.step("load"):
            rows = load(run, context.run_id)
        for spec in context.assets_def.specs:
            schema, name = spec.key.path
            metadata = {"dagster/row_count": rows[name]} if schema == "raw" and name in rows else {}
            yield dg.MaterializeResult(asset_key=spec.key, metadata=metadata)

    return load_raw_files


def load(run: TenureRun, run_id: str) -> dict[str, int]:
    """Load what is new; returns rows per raw table. The inputs are fingerprinted first: what changes from here
    on is new to the next run."""
    from orchestration.lib import databases, inputs, loading
    from orchestration.lib.publishing import RunStep

    run.progress.stage("Load the raw files")
    found = inputs.fingerprint(run.settings, run.mapping)
    with run.state.loading(run_id, run.kind):
        databases.make_sure_of(run.settings.warehouse_path)
        report = loading.load(
            run.settings,
            run.mapping,
            found,
            lambda text, rows: run.progress.line(text if rows is None else f"{text}  {counted(rows, 'row')}"),
        )
        run.state.record_load(report.inputs.to_json())
    run.state.add_steps(
        RunStep(f"load {source.name}", source.rows_read, round(source.seconds, 3)) for source in report.sources
    )
    run.figures["rows_read"] = sum(source.rows_read for source in report.sources)
    run.figures["rows_delivered"] = sum(source.rows_delivered for source in report.sources)
    return {source.name: source.rows_total for source in report.sources}


def _raw_specs(mapping: Mapping) -> list[dg.AssetSpec]:
    return [
        dg.AssetSpec(
            key=["raw", name],
            deps=[dg.AssetKey(["landing", name])],
            group_name="raw",
            description=f"What came from {', '.join(source.read)}, with load id, source file and row number.",
            kinds={"duckdb"},
        )
        for name, source in mapping.sources.items()
    ]


def _fed_by(mapping: Mapping, contract: Sequence[dg.AssetSpec]) -> list[dg.AssetSpec]:
    """The contract tables, each downstream of the sources that the mapping feeds it from."""
    specs = []
    for spec in contract:
        feeds = mapping.feeds.get(spec.key.path[-1], [])
        sources = sorted({name for feed in feeds for name in (feed.source, *feed.lookups)})
        if spec.key.path[-1] not in contract_tables():
            sources = list(mapping.sources)
            note = ""
        else:
            note = f"\n\nMapped from {', '.join(sources)}." if sources else "\n\nNot mapped: empty."
        specs.append(
            spec.replace_attributes(
                deps=[dg.AssetKey(["raw", name]) for name in sources],
                description=f"{spec.description or ''}{note}".strip(),
            )
        )
    return specs
