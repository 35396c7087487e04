"""What may be published: everything built after the last load and checked after the last build."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.lib.dbt import BuildOutcome, NodeOutcome
from orchestration.lib.publishing import RunStep
from orchestration.lib.run_state import RunState, fit_id

MODEL, TEST = "model.tenure.fct_orders", "test.tenure.unique_order_id.1"


def node(unique_id: str, status: str, message: str = "") -> NodeOutcome:
    kind, _, name = unique_id.split(".")[:3]
    return NodeOutcome(unique_id, kind, name, "core.fct_orders", status, 0.1, message, None, None, None)


def built(*nodes: NodeOutcome) -> BuildOutcome:
    return BuildOutcome(is_success=True, nodes=nodes, seconds=1.0)


@pytest.fixture
def state(tmp_path: Path) -> RunState:
    state = RunState.read(tmp_path)
    with state.loading("run-1"):
        state.record_load({"digest": "d"})
    state.begin_build()
    state.record_build(built(node(MODEL, "success"), node(TEST, "pass")))
    state.suites["fct_orders"] = []
    return state


def test_all_built_and_checked_may_be_published(state: RunState) -> None:
    assert state.obstacles([MODEL, TEST], ["fct_orders"]) == []


def test_nothing_loaded(tmp_path: Path) -> None:
    assert RunState.read(tmp_path).obstacles([], []) == ["the raw files were not loaded to the end"]


def test_a_load_that_is_killed(state: RunState) -> None:
    with state.loading("run-2"):
        found = RunState.read(state.path.parent).obstacles([MODEL], [])
    assert found == ["the raw files were not loaded to the end"]


def test_a_load_that_fails_changes_nothing(state: RunState) -> None:
    with pytest.raises(ValueError, match="bad file"), state.loading("run-2"):
        raise ValueError("bad file")
    assert RunState.read(state.path.parent).obstacles([MODEL, TEST], ["fct_orders"]) == []
    assert state.record().run_id == "run-1"


def test_a_load_makes_what_was_built_before_stale(state: RunState) -> None:
    with state.loading("run-2"):
        state.record_load({"digest": "e"})
    assert state.obstacles([MODEL], []) == ["not built since the last load: fct_orders"]


def test_a_build_makes_what_was_checked_before_stale(state: RunState) -> None:
    state.begin_build()
    assert state.obstacles([MODEL], ["fct_orders"]) == ["not checked since the last build: fct_orders"]


@pytest.mark.parametrize("status", ["error", "skipped"])
def test_a_model_that_failed_or_was_left_out(state: RunState, status: str) -> None:
    state.record_build(built(node(MODEL, status)))
    assert state.obstacles([MODEL], ["fct_orders"]) == ["failed or left out: fct_orders"]


def test_a_failed_test_is_a_failed_blocking_check_and_a_warning_is_not(state: RunState) -> None:
    state.record_build(built(node(TEST, "fail", "Got 2 results\nmore")))
    [check] = state.checks()
    assert (check.passed, check.is_blocking, check.observed) == (False, True, "Got 2 results")
    state.record_build(built(node(TEST, "warn", "Got 2 results")))
    [check] = state.checks()
    assert (check.passed, check.is_blocking) == (False, False)


def test_nodes_that_the_project_no_longer_has_are_forgotten(state: RunState) -> None:
    state.record_build(built(node("model.tenure.gone", "error")))
    state.keep_nodes([MODEL, TEST])
    assert state.obstacles([MODEL, TEST], ["fct_orders"]) == []


def test_it_survives_the_process(state: RunState) -> None:
    state.add_steps([RunStep("load orders", 3, 0.5)])
    state.add_steps([RunStep("load orders", 4, 0.6), RunStep("build core.fct_orders", 4, 0.1)])
    again = RunState.read(state.path.parent)
    assert vars(again) == vars(state)
    record = again.record()
    assert record.run_id == "run-1"
    assert [(step.step, step.row_count) for step in record.steps] == [("load orders", 4), ("build core.fct_orders", 4)]


def test_a_damaged_file_counts_as_nothing_done(state: RunState) -> None:
    state.path.write_text("{")
    assert RunState.read(state.path.parent).obstacles([], []) == ["the raw files were not loaded to the end"]


def earlier(state: RunState) -> list[tuple[str, int | None, list[tuple[str, str]]]]:
    """What the next published run log will say of the runs before: id, version, steps with status."""
    return [
        (run.run_id, run.version, [(step.step, step.status) for step in run.steps]) for run in state.record().earlier
    ]


def test_a_run_that_failed_is_not_forgotten_until_it_is_in_a_published_log(state: RunState) -> None:
    state.add_steps([RunStep("build core.fct_orders", None, 0.5, "error")])
    state.end(is_failed=True)
    with state.loading("run-2"):
        state.record_load({})
    failed = ("run-1", None, [("build core.fct_orders", "error"), ("run", "failed")])
    assert earlier(RunState.read(state.path.parent)) == [failed]
    state.record_version(7, seconds=1.5)
    assert earlier(state) == []
    with state.loading("run-3"):
        pass
    assert earlier(state) == [("run-2", 7, [("publish", "ok")])]


def test_a_run_that_was_killed_is_told_from_one_that_failed(state: RunState) -> None:
    with state.loading("run-2"):
        pass
    assert earlier(state) == [("run-1", None, [("run", "killed")])]


def test_a_load_that_failed_is_in_the_log_too(state: RunState) -> None:
    with pytest.raises(ValueError, match="bad file"), state.loading("run-2"):
        raise ValueError("bad file")
    assert earlier(state) == [("run-2", None, [("load", "failed")])]
    assert state.record().run_id == "run-1"


def test_the_log_of_runs_that_fail_day_by_day_does_not_grow_for_ever(state: RunState) -> None:
    for number in range(120):
        with pytest.raises(ValueError, match="bad file"), state.loading(f"run-{number}"):
            raise ValueError("bad file")
    assert len(earlier(RunState.read(state.path.parent))) == 100


def test_the_kind_of_a_run_is_its_own(state: RunState) -> None:
    with state.loading("run-2", "backfill 2024-02-01 to 2024-02-29"):
        state.record_load({})
    with pytest.raises(ValueError, match="bad file"), state.loading("run-3", "full refresh"):
        raise ValueError("bad file")
    record = RunState.read(state.path.parent).record()
    assert (record.run_id, record.kind) == ("run-2", "backfill 2024-02-01 to 2024-02-29")
    assert [(run.run_id, run.kind) for run in record.earlier] == [("run-1", "run"), ("run-3", "full refresh")]


def test_a_fit_belongs_to_what_must_be_there(tmp_path: Path) -> None:
    state = RunState.read(tmp_path)
    with state.loading("a", "run"):
        state.record_load({})
    assert state.obstacles([fit_id("risk_scores")], []) == ["not built since the last load: risk_scores"]
    state.suites = {"orders": []}
    state.record_fits(["risk_scores"])
    assert state.obstacles([fit_id("risk_scores")], ["orders"]) == ["not checked since the last build: orders"]
