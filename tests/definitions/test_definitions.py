"""What Dagster is told about the warehouse."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
import pytest

from expectations import catalog
from orchestration.defs.automation import JOB_NAME
from orchestration.lib import inputs
from orchestration.lib.lock import run_lock
from tests.definitions.conftest import DefinitionsOf

SNAPSHOTS = Path(__file__).parent


@pytest.mark.parametrize("dataset", ["cdnow", "complete_journey"])
def test_asset_keys(dataset: str, definitions_of: DefinitionsOf) -> None:
    """A key that changes breaks whoever selects, schedules or looks up by it: change the file knowingly.

    `UPDATE_SNAPSHOTS=1 make test ARGS=tests/definitions` writes the files.
    """
    _, definitions = definitions_of(dataset)
    keys = sorted(key.to_user_string() for key in definitions.resolve_all_asset_keys())
    path = SNAPSHOTS / f"asset_keys_{dataset}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text("\n".join(keys) + "\n")
    assert keys == path.read_text().splitlines()


def test_every_definition_resolves(definitions_of: DefinitionsOf) -> None:
    _, definitions = definitions_of("complete_journey")
    dg.Definitions.validate_loadable(definitions)


def test_first_part_of_the_key_is_the_group(definitions_of: DefinitionsOf) -> None:
    _, definitions = definitions_of("complete_journey")
    for spec in definitions.resolve_all_asset_specs():
        assert spec.group_name == spec.key.path[0], spec.key


def test_lineage_from_raw_file_to_version_and_exposure(definitions_of: DefinitionsOf) -> None:
    _, definitions = definitions_of("complete_journey")
    graph = definitions.resolve_asset_graph()

    def ancestors(key: dg.AssetKey) -> set[dg.AssetKey]:
        parents = set(graph.get(key).parent_keys)
        return parents.union(*(ancestors(parent) for parent in parents))

    version = ancestors(dg.AssetKey(["published", "version"]))
    for path in (
        ["landing", "transactions"],
        ["raw", "transactions"],
        ["contract", "orders"],
        ["staging", "stg_orders"],
        ["core", "fct_orders"],
        ["retention", "retention_cohorts"],
    ):
        assert dg.AssetKey(path) in version, path
    assert dg.AssetKey(["published", "version"]) in ancestors(dg.AssetKey(["published", "report"]))
    for key in graph.get_all_asset_keys():
        if key.path[0] == "exposures":
            assert dg.AssetKey(["published", "version"]) in ancestors(key)


def test_every_mart_is_published(definitions_of: DefinitionsOf) -> None:
    run, definitions = definitions_of("complete_journey")
    graph = definitions.resolve_asset_graph()
    parents = graph.get(dg.AssetKey(["published", "version"])).parent_keys
    marts = {
        dg.AssetKey([node["schema"], node["name"]])
        for node in run.parsed().manifest_json["nodes"].values()
        if node["resource_type"] == "model" and node["database"] == "marts"
    }
    assert marts == set(parents)


def test_every_mart_has_a_description_and_columns(definitions_of: DefinitionsOf) -> None:
    _, definitions = definitions_of("complete_journey")
    graph = definitions.resolve_asset_graph()
    for key in graph.get(dg.AssetKey(["published", "version"])).parent_keys:
        node = graph.get(key)
        assert (node.description or "").startswith("One row per"), key
        schema = node.metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema) and schema.columns, key


def test_every_suite_is_a_check_and_blocks_unless_its_table_is_read_before_it_runs(
    definitions_of: DefinitionsOf,
) -> None:
    _, definitions = definitions_of("complete_journey")
    graph = definitions.resolve_asset_graph()
    steps = [step for step in definitions.assets or () if isinstance(step, dg.AssetsDefinition)]
    reading = ("build_marts", "learn_risk", "model_wallets", "build_forecasts")
    readers = [step for step in steps if step.op.name in reading]
    for suite in catalog.suites():
        key = dg.AssetKey([suite.schema, suite.table])
        assert key in graph.get_all_asset_keys(), f"{suite.path.name} is about a table that nobody builds"
        is_read = any(key in step.dependency_keys and key not in step.keys for step in readers)
        assert graph.get_check_spec(dg.AssetCheckKey(key, "expectations")).blocking is not is_read, suite.name


def test_every_test_with_a_table_of_its_own_is_a_check(definitions_of: DefinitionsOf) -> None:
    run, definitions = definitions_of("complete_journey")
    checks = {key.name for key in definitions.resolve_asset_graph().asset_check_keys}
    attached = [
        node["name"]
        for node in run.parsed().manifest_json["nodes"].values()
        if node["resource_type"] == "test" and (node.get("attached_node") or "").startswith("model.")
    ]
    assert attached
    assert set(attached) <= checks


def test_the_steps_of_a_run_and_their_order(definitions_of: DefinitionsOf) -> None:
    _, definitions = definitions_of("complete_journey")
    job = definitions.resolve_job_def(JOB_NAME)
    assert [node.name for node in job.graph.nodes_in_topological_order] == [
        "load_raw_files",
        "build_marts",
        "fit_brand_panels",
        "fit_purchases",
        "model_wallets",
        "learn_risk",
        "build_forecasts",
        "check_expectations",
        "publish_version",
    ]
    assert job.executor_def is dg.in_process_executor


def test_the_schedule_follows_the_shops_calendar(definitions_of: DefinitionsOf) -> None:
    run, definitions = definitions_of("complete_journey")
    schedule = definitions.resolve_schedule_def("daily")
    assert schedule.execution_timezone == run.mapping.business_timezone == "America/New_York"
    with dg.instance_for_test() as instance, dg.build_schedule_context(instance=instance) as context:
        assert schedule.evaluate_tick(context).run_requests


def test_the_sensor_asks_once_for_the_same_files(definitions_of: DefinitionsOf) -> None:
    run, definitions = definitions_of("cdnow")
    sensor = definitions.resolve_sensor_def("new_landing_files")
    digest = inputs.fingerprint(run.settings, run.mapping).digest

    def tick(cursor: str | None) -> tuple[list[str | None], str | None, str | None]:
        with dg.instance_for_test() as instance, dg.build_sensor_context(instance=instance, cursor=cursor) as context:
            data = sensor.evaluate_tick(context)
            return [request.run_key for request in data.run_requests or []], data.skip_message, data.cursor

    assert tick(None) == ([digest], None, digest)
    run_keys, skipped, _ = tick(digest)
    assert not run_keys
    assert "has not published" in (skipped or "")

    with run_lock(run.settings.lock_path, "another"):
        run_keys, skipped, cursor = tick(None)
    assert (run_keys, cursor) == ([], None), "the run that is asked for later must not be lost"
    assert "A run is under way" in (skipped or "")
