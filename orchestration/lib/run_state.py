"""What the working area of a data set holds now, and whether it may be published.

A run of everything goes load → build → check → publish. From Dagster's page any part can be materialised
alone, so whether the marts on disk were all built after the last load, and checked after the last build, has to be
written down beside them: `work/<dataset>/run_state.json`.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from expectations.runner import SuiteResult
    from orchestration.lib.dbt import BuildOutcome, NodeOutcome
    from orchestration.lib.publishing import CheckResult, RunRecord, RunStep

_FORMAT = 3
_EARLIER_KEPT = 100


@dataclass
class RunState:
    """Loaded inputs, the last outcome of each dbt node since that load, and of each suite since the last build."""

    path: Path
    run_id: str = ""
    started_at: str = ""
    kind: str = "run"
    is_loaded: bool = False
    inputs: dict[str, Any] = field(default_factory=dict)
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    suites: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    version: int | None = None
    """The version that was published of it."""
    outcome: str = ""
    """How the run ended without a version: failed, or part of a run; '' while it goes on, or when it was killed."""
    earlier: list[dict[str, Any]] = field(default_factory=list)
    """Runs before, which no published run log has in full: run_id, started_at, kind, version, steps."""

    @classmethod
    def read(cls, work_dir: Path) -> RunState:
        """The state of a working area; an empty one when nothing was written or it cannot be read."""
        path = work_dir / "run_state.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content.pop("format") == _FORMAT:
                return cls(path=path, **content)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return cls(path=path)

    def write(self) -> None:
        """In one step: a run that is killed leaves the old state or the new one."""
        content = {key: value for key, value in vars(self).items() if key != "path"}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps({"format": _FORMAT, **content}, indent=1, default=str), encoding="utf-8")
        os.replace(temporary, self.path)

    @contextmanager
    def loading(self, run_id: str, kind: str = "run") -> Iterator[None]:
        """Around a load, which is one transaction: when it fails, all is as it was, and so is what is known of it.

        When it is killed, nothing on disk may be published until it is loaded again.

        Args:
            kind: of the run, for the run log.
        """
        before = copy.deepcopy(vars(self))
        started = datetime.now(UTC)
        self._begin_load(run_id, kind, started)
        try:
            yield
        except BaseException:
            vars(self).update(before)
            seconds = (datetime.now(UTC) - started).total_seconds()
            self._remember({"run_id": run_id, "started_at": started.isoformat(), "kind": kind, "version": None,
                            "steps": [_step("load", seconds, "failed")]})  # fmt: skip
            # A disk that is full fails this too; what is on it then says that nothing is loaded, which is safe.
            with suppress(OSError):
                self.write()
            raise

    def _begin_load(self, run_id: str, kind: str, now: datetime) -> None:
        if self.run_id:
            self._remember(self._ended_run())
        self.run_id, self.kind = run_id, kind
        self.started_at = now.isoformat()
        self.is_loaded = False
        self.version, self.outcome = None, ""
        self.inputs, self.nodes, self.suites, self.steps = {}, {}, {}, []
        self.write()

    def _remember(self, run: dict[str, Any]) -> None:
        self.earlier = [*self.earlier, run][-_EARLIER_KEPT:]

    def _ended_run(self) -> dict[str, Any]:
        """The run that stands here, for the log; where nothing was published of it, with how it ended."""
        steps = list(self.steps)
        if self.version is None:
            steps.append(_step("run", sum(step["seconds"] for step in steps), self.outcome or "killed"))
        return {"run_id": self.run_id, "started_at": self.started_at, "kind": self.kind, "version": self.version,
                "steps": steps}  # fmt: skip

    def end(self, *, is_failed: bool) -> None:
        """Note that the run is over, so that it is not taken for one that was killed."""
        if self.run_id and self.version is None:
            self.outcome = "failed" if is_failed else "not published"
            with suppress(OSError):
                self.write()

    def record_version(self, number: int, seconds: float) -> None:
        """Published: the runs before are in its log, this one but for the time that publishing took."""
        self.version, self.earlier = number, []
        self.steps = [step for step in self.steps if step["step"] != "publish"] + [_step("publish", seconds, "ok")]
        self.write()

    def record_load(self, inputs: Mapping[str, Any]) -> None:
        self.inputs = dict(inputs)
        self.is_loaded = True
        self.write()

    def begin_build(self) -> None:
        """What was checked before says nothing about the tables after."""
        self.suites = {}
        self.write()

    def record_build(self, outcome: BuildOutcome) -> None:
        for node in outcome.nodes:
            self.nodes[node.unique_id] = _node_entry(node)
        self.write()

    def record_fits(self, tables: Iterable[str]) -> None:
        """Tables of the schema `forecast` that were written; what was checked before says nothing about them."""
        self.suites = {}
        for table in tables:
            self.nodes[fit_id(table)] = {
                "name": table, "table": f"forecast.{table}", "is_test": False, "status": "success", "message": "",
            }  # fmt: skip
        self.write()

    def record_checks(self, results: Iterable[SuiteResult]) -> None:
        for result in results:
            self.suites[result.suite.name] = [
                {
                    "name": rule.name,
                    "table": result.suite.qualified_table,
                    "passed": rule.passed,
                    "is_blocking": rule.severity == "critical" or rule.error is not None,
                    "observed": rule.error or str(rule.observed),
                }
                for rule in result.expectations
            ]
        self.write()

    def add_steps(self, steps: Iterable[RunStep]) -> None:
        """A step that ran again replaces its entry."""
        by_name = {step["step"]: step for step in self.steps}
        by_name |= {step.step: asdict(step) for step in steps}
        self.steps = list(by_name.values())
        self.write()

    def keep_nodes(self, unique_ids: Iterable[str]) -> None:
        """Forget nodes that the project no longer has."""
        kept = set(unique_ids)
        self.nodes = {unique_id: node for unique_id, node in self.nodes.items() if unique_id in kept}

    def obstacles(self, expected_nodes: Iterable[str], expected_suites: Iterable[str]) -> list[str]:
        """Reasons why what is on disk may not be published; [] when everything was built and checked.

        Failed tests and suites are not listed here: publishing refuses those itself, by name.
        """
        if not self.is_loaded:
            return ["the raw files were not loaded to the end"]
        found = []
        if missing := [name for name in expected_nodes if name not in self.nodes]:
            found.append(f"not built since the last load: {_listed(name.split('.')[2] for name in missing)}")
        broken = [
            node["name"] for node in self.nodes.values() if node["status"] in ("error", "runtime error", "skipped")
        ]
        if broken:
            found.append(f"failed or left out: {_listed(broken)}")
        if unchecked := [name for name in expected_suites if name not in self.suites]:
            found.append(f"not checked since the last build: {_listed(unchecked)}")
        return found

    def checks(self) -> list[CheckResult]:
        """dbt's data tests and the expectations, as a published version records them."""
        from orchestration.lib.publishing import CheckResult

        tests = [
            CheckResult(
                name=node["name"],
                table=node["table"] or "",
                tool="dbt",
                passed=node["status"] in ("pass", "success"),
                is_blocking=node["status"] != "warn",
                observed=node["message"],
            )
            for node in self.nodes.values()
            if node["is_test"]
        ]
        rules = [CheckResult(tool="great_expectations", **rule) for rules in self.suites.values() for rule in rules]
        return tests + rules

    def record(self) -> RunRecord:
        from orchestration.lib.publishing import RunRecord, RunStep

        def record(run: Mapping[str, Any], earlier: tuple[RunRecord, ...] = ()) -> RunRecord:
            started = datetime.fromisoformat(run["started_at"]) if run["started_at"] else datetime.now(UTC)
            steps = tuple(RunStep(**step) for step in run["steps"])
            return RunRecord(run["run_id"], started, steps, run["kind"], run["version"], earlier)

        return record(vars(self), tuple(record(run) for run in self.earlier))


def fit_id(table: str) -> str:
    """Under which a table of a fit stands among the nodes, which have ids of dbt."""
    return f"fit.tenure.{table}"


def _node_entry(node: NodeOutcome) -> dict[str, Any]:
    return {
        "name": node.name,
        "table": node.table,
        "is_test": node.is_test,
        "status": node.status,
        "message": node.message.splitlines()[0] if node.message else "",
    }


def _step(name: str, seconds: float, status: str) -> dict[str, Any]:
    return {"step": name, "row_count": None, "seconds": round(seconds, 3), "status": status}


def _listed(names: Iterable[str], most: int = 5) -> str:
    all_names: Sequence[str] = sorted(names)
    more = f" and {len(all_names) - most} more" if len(all_names) > most else ""
    return ", ".join(all_names[:most]) + more
