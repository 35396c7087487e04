"""All models, seeds and data tests in two steps, before and after the fits: `dbt build` in this process."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from orchestration.defs.context import RUN, run_of
from orchestration.defs.dbt.translator import TenureTranslator
from orchestration.lib import dbt as dbt_runner
from orchestration.lib import increments
from orchestration.lib.dbt import PHASES, BuildOutcome, NodeOutcome, ParsedProject, Phase
from orchestration.lib.progress import counted
from orchestration.lib.running import Failure, TenureRun
from orchestration.lib.tiers import rules

_UNIQUE_ID = "dagster_dbt/unique_id"
"""Metadata under which dagster-dbt keeps dbt's id on each asset and check."""


def build_dbt_assets(project: ParsedProject, phase: Phase) -> dg.AssetsDefinition:
    """A phase of the dbt project as one subsettable multi-asset with its data tests as checks."""

    @dbt_assets(
        manifest=project.manifest_json,
        dagster_dbt_translator=TenureTranslator(),
        select=" ".join(phase.select),
        exclude=" ".join(("resource_type:unit_test", *phase.exclude)),
        name=phase.name,
        required_resource_keys={RUN},
    )
    def build_phase(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        run = run_of(context)
        with run.step("build"):
            outcome = build(run, phase, _selection(context))
        yield from results_of(context, outcome)
        with run.step("build"):
            raise_failures(run, outcome)

    return build_phase


def build_exposures(project: ParsedProject, published: dg.AssetKey) -> list[dg.AssetSpec]:
    """Who uses the marts, as assets outside of our control, fed by what is published."""
    translator = TenureTranslator()
    specs = []
    for unique_id, props in project.manifest_json["exposures"].items():
        spec = translator.get_asset_spec(project.manifest_json, unique_id, None)
        specs.append(
            dg.AssetSpec(
                key=spec.key,
                deps=[*spec.deps, published],
                description=props.get("description") or "",
                group_name="exposures",
                kinds={str(props.get("type") or "exposure")},
            )
        )
    return specs


def build_source_specs(project: ParsedProject, source: str) -> list[dg.AssetSpec]:
    """The tables of one of dbt's sources, with descriptions and columns: what another step has to bring."""
    translator = TenureTranslator()
    specs = [
        translator.get_asset_spec(project.manifest_json, unique_id, None)
        for unique_id, table in project.manifest_json["sources"].items()
        if table["source_name"] == source
    ]
    return [
        dg.AssetSpec(
            key=spec.key,
            description=spec.description,
            group_name=spec.group_name,
            metadata={key: value for key, value in spec.metadata.items() if key.startswith("dagster/")},
            kinds={"duckdb"},
        )
        for spec in specs
    ]


def mart_keys(project: ParsedProject) -> list[dg.AssetKey]:
    """Keys of the models in the marts database: what a version consists of."""
    translator = TenureTranslator()
    return [
        translator.get_asset_key(node)
        for node in project.manifest_json["nodes"].values()
        if node["resource_type"] == "model" and node["fqn"][1] == "marts"
    ]


def build(run: TenureRun, phase: Phase, selection: list[str] | None) -> BuildOutcome:
    """Run dbt on all nodes of a phase or on the selected ones, with progress, and record the outcome.

    Nothing is pending any more when one run has built all phases whole, in their order.
    """
    run.progress.stage(phase.title)
    rules.check({name: run.place.seed_path(name) for name in rules.FILES})
    run.state.begin_build()

    def on_node(done: int, total: int, node: NodeOutcome) -> None:
        run.progress.tick(done, total, node.table if not node.is_test and node.table else node.name)
        if not node.is_test or not (node.is_good or node.status == "skipped"):
            run.progress.line(f"{done}/{total} {_line(node)}")

    manifest, variables = run.parsed().manifest_json, run.variables()
    views = increments.contract_views(run.settings.warehouse_path)
    prints = increments.fingerprints(manifest, variables, views)
    increments.plan(
        run.settings.warehouse_path,
        prints,
        manifest,
        is_full=run.is_full_refresh,
        is_backfill=run.backfill is not None,
    )
    outcome = dbt_runner.build(
        run.place,
        run.parsed(),
        select=selection or phase.select,
        exclude=() if selection else phase.exclude,
        # Tests of the selected models are named one by one: eager selection would add tests of their neighbours.
        indirect_selection="empty" if selection else None,
        on_node=on_node,
    )
    if outcome.is_success and not selection:
        run.built.append(phase)
        if tuple(run.built) == PHASES:
            increments.complete(run.settings.warehouse_path, prints)
    run.state.record_build(outcome)
    run.state.add_steps(_steps(outcome))
    tests = [node for node in outcome.nodes if node.is_test]
    run.figures["dbt_tests"] += len(tests)
    run.figures["dbt_tests_passed"] += sum(node.status == "pass" for node in tests)
    return outcome


def results_of(
    context: dg.AssetExecutionContext, outcome: BuildOutcome
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """What dbt did as Dagster's events, for the assets and checks that were selected."""
    asset_keys = {
        context.assets_def.get_asset_spec(key).metadata[_UNIQUE_ID]: key for key in context.selected_asset_keys
    }
    check_keys = {
        (spec.metadata or {})[_UNIQUE_ID]: spec.key
        for spec in context.assets_def.check_specs
        if spec.key in context.selected_asset_check_keys
    }
    for node in outcome.nodes:
        if node.is_test:
            key = check_keys.get(node.unique_id)
            if key is not None and node.status != "skipped":
                yield _check_result(key, node)
        elif node.unique_id in asset_keys and node.status == "success":
            yield dg.MaterializeResult(asset_key=asset_keys[node.unique_id], metadata=_metadata(node))


def raise_failures(run: TenureRun, outcome: BuildOutcome) -> None:
    """End the step when a model or a test with severity error failed, each with dbt's message and a few rows."""
    if outcome.error:
        run.fail(Failure("build", "dbt", outcome.error))
    failures = [
        Failure(
            step="build",
            where=f"test {node.name} on {node.table}" if node.is_test else f"model {node.table}",
            why=node.message,
            rows=dbt_runner.failing_rows(run.place, node) if node.is_test else (),
        )
        for node in outcome.failures
    ]
    if failures:
        run.fail(*failures)
    if not outcome.is_success:
        run.fail(Failure("build", "dbt", "dbt build did not succeed; see the log."))


def _selection(context: dg.AssetExecutionContext) -> list[str] | None:
    """Names for dbt when a part of the assets or checks was chosen; None for all."""
    assets = context.assets_def
    if not context.is_subset:
        return None
    chosen: Iterable[Mapping[str, Any]] = [
        *(assets.get_asset_spec(key).metadata for key in context.selected_asset_keys),
        *((assets.get_spec_for_check_key(key).metadata or {}) for key in context.selected_asset_check_keys),
    ]
    return [".".join(_node(context, metadata[_UNIQUE_ID])["fqn"]) for metadata in chosen]


def _node(context: dg.AssetExecutionContext, unique_id: str) -> Mapping[str, Any]:
    return run_of(context).parsed().node(unique_id)


def _steps(outcome: BuildOutcome) -> list[Any]:
    """Each table that was built, and for each table its tests together: how many, and the worst outcome."""
    from orchestration.lib.publishing import RunStep

    tests: dict[str, list[NodeOutcome]] = {}
    for node in outcome.nodes:
        if node.is_test:
            tests.setdefault(node.table or "several tables", []).append(node)
    return [
        *(
            RunStep(
                f"build {node.table}", node.row_count, round(node.seconds, 3), "ok" if node.is_good else node.status
            )
            for node in outcome.nodes
            if not node.is_test
        ),
        *(
            RunStep(f"test {table}", len(of_table), round(sum(node.seconds for node in of_table), 3), _worst(of_table))
            for table, of_table in sorted(tests.items())
        ),
    ]


def _worst(tests: list[NodeOutcome]) -> str:
    statuses = {node.status for node in tests}
    for status, word in (("error", "error"), ("fail", "failed"), ("skipped", "skipped"), ("warn", "warning")):
        if status in statuses:
            return word
    return "ok"


def _line(node: NodeOutcome) -> str:
    if node.is_test:
        return f"test {node.name}: {node.status}, {node.message.splitlines()[0] if node.message else ''}"
    rows = "" if node.row_count is None else f"  {counted(node.row_count, 'row')}"
    status = "" if node.is_good else f"  {node.status}"
    return f"{node.table}{rows}  {node.seconds:.1f} s{status}"


def _metadata(node: NodeOutcome) -> dict[str, Any]:
    metadata: dict[str, Any] = {"seconds": round(node.seconds, 3)}
    if node.row_count is not None:
        metadata["dagster/row_count"] = node.row_count
    return metadata


def _check_result(key: dg.AssetCheckKey, node: NodeOutcome) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = {
        "status": node.status,
        "failing_count": node.failure_count or 0,
        "seconds": round(node.seconds, 3),
    }
    if node.message:
        metadata["message"] = node.message
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=node.status == "pass",
        severity=dg.AssetCheckSeverity.WARN if node.status == "warn" else dg.AssetCheckSeverity.ERROR,
        metadata=metadata,
    )
