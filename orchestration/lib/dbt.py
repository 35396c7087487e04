"""dbt inside this process: parse once, build with the kept manifest, hand back plain results.

Measured on two cores: `dbtRunner` in the process that has dbt imported already costs nothing to start, the
`dbt` command 4 to 6 s each time. Nothing here knows Dagster; `orchestration.defs.dbt` turns these results into
materialisations and checks.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from orchestration.lib import databases

if TYPE_CHECKING:
    from types import FrameType

    from dbt.contracts.graph.manifest import Manifest

BUILT_TYPES = ("model", "seed", "snapshot")
_RESOURCE_TYPES = ["--resource-type=model", "--resource-type=seed", "--resource-type=snapshot", "--resource-type=test"]
_GOOD = frozenset({"success", "pass", "warn", "no-op"})


class DbtError(Exception):
    """dbt could not parse or start; the message is dbt's own, without its traceback."""


@dataclass(frozen=True)
class DbtPlace:
    """Where one data set's dbt project is read, builds and writes its artifacts."""

    project_dir: Path
    work_dir: Path
    """Holds warehouse.duckdb and marts.duckdb; the profile reads it as TENURE_WORK."""
    target_dir: Path
    variables: Mapping[str, Any] = field(default_factory=dict)
    seeds: Mapping[str, Path] = field(default_factory=dict)
    """Of the data set's own: seed → CSV file in place of the project's."""

    def seed_path(self, name: str) -> Path:
        """The file that a seed is read from."""
        return self.seeds.get(name, self.project_dir.parent / "seeds" / f"{name}.csv")

    @property
    def warehouse_path(self) -> Path:
        return self.work_dir / "warehouse.duckdb"

    @property
    def marts_path(self) -> Path:
        return self.work_dir / "marts.duckdb"

    @property
    def log_dir(self) -> Path:
        return self.work_dir / "logs"


@dataclass(frozen=True)
class Phase:
    """A part of the project that one `dbt build` builds, as dbt selects it."""

    name: str
    title: str
    select: tuple[str, ...]
    exclude: tuple[str, ...] = ()


_FORECASTS = ("source:forecast+",)
MARTS = Phase("build_marts", "Build the marts with dbt", select=("fqn:*",), exclude=_FORECASTS)
FORECASTS = Phase("build_forecasts", "Build the forecasts with dbt", select=_FORECASTS)
PHASES = (MARTS, FORECASTS)
"""In this order; between them the models of the source `forecast` are fitted."""


@dataclass(frozen=True)
class ParsedProject:
    """A parsed project: dbt's own object for the next build, and the same as the documented artifact."""

    manifest: Manifest
    manifest_json: Mapping[str, Any]

    def node(self, unique_id: str) -> Mapping[str, Any]:
        """The manifest's entry of a model, seed, snapshot or test; KeyError when there is none."""
        entry: Mapping[str, Any] = self.manifest_json["nodes"][unique_id]
        return entry

    def month_columns(self) -> dict[str, str]:
        """Of tables that are published as one file per month, `schema.table`: the date that decides."""
        return {
            f"{node['schema']}.{node['alias']}": node["config"]["meta"]["parts_by_month_of"]
            for node in self.manifest_json["nodes"].values()
            if "parts_by_month_of" in node["config"].get("meta", {})
        }


@dataclass(frozen=True)
class NodeOutcome:
    """What became of one model, seed, snapshot or data test."""

    unique_id: str
    resource_type: str
    name: str
    table: str | None
    """`schema.table` of what was built or, for a test, of the model that it is attached to."""
    status: str
    """success, error, skipped; for tests pass, fail, warn, error, skipped."""
    seconds: float
    message: str
    failure_count: int | None
    row_count: int | None
    compiled_sql: str | None

    @property
    def is_test(self) -> bool:
        return self.resource_type == "test"

    @property
    def is_good(self) -> bool:
        return self.status in _GOOD


@dataclass(frozen=True)
class BuildOutcome:
    """The outcome of one `dbt build`; `error` only when dbt failed as a whole."""

    is_success: bool
    nodes: tuple[NodeOutcome, ...]
    seconds: float
    error: str | None = None

    @property
    def failures(self) -> tuple[NodeOutcome, ...]:
        return tuple(node for node in self.nodes if node.status in ("error", "fail", "runtime error"))


OnNode = Callable[[int, int, NodeOutcome], None]
"""Called after each node with (nodes done, nodes in all, outcome)."""


def parse(place: DbtPlace) -> ParsedProject:
    """Parse the project (dbt's partial parse makes a second time cheap) and keep the manifest.

    Raises DbtError with dbt's message.
    """
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest

    with _environment(place):
        result = dbtRunner().invoke(["parse", *_common_arguments(place)])
    if not result.success or not isinstance(result.result, Manifest):
        raise DbtError(_plain(str(result.exception or "dbt parse failed")))
    written = json.loads((place.target_dir / "manifest.json").read_text(encoding="utf-8"))
    return ParsedProject(result.result, written)


def compiled(place: DbtPlace, sql: str) -> str:
    """A query in Jinja as dbt compiles it for the engine of the profile.

    Raises DbtError with dbt's message.
    """
    [node] = _compile(place, "--inline", sql)
    return str(node.compiled_code)


def compiled_models(place: DbtPlace, project: ParsedProject, names: Sequence[str]) -> dict[str, str]:
    """Model → its SQL as dbt compiles it. Where nothing is built yet in the place, that is no increment but all rows.

    Raises DbtError with dbt's message.
    """
    if not names:
        return {}
    nodes = _compile(place, "--select", *names, manifest=project.manifest)
    return {node.name: node.compiled_code for node in nodes}


def _compile(place: DbtPlace, *arguments: str, manifest: Manifest | None = None) -> list[Any]:
    from dbt.cli.main import dbtRunner

    for path in (place.warehouse_path, place.marts_path):
        databases.make_sure_of(path)
    try:
        with _environment(place):
            result = dbtRunner(manifest=manifest).invoke(["compile", *arguments, *_common_arguments(place)])
    finally:
        close_connections()
    if not result.success:
        raise DbtError(_plain(str(result.exception or "dbt compile failed")))
    return [each.node for each in cast(Any, result.result).results]


def build(
    place: DbtPlace,
    project: ParsedProject,
    *,
    select: Sequence[str] = (),
    exclude: Sequence[str] = (),
    indirect_selection: str | None = None,
    on_node: OnNode | None = None,
) -> BuildOutcome:
    """Seeds, models and data tests in dependency order, unit tests left out; `select` empty means all.

    Never raises for a failing model or test: read the outcome. Every connection is closed at the end, so that
    a read-only open of the files works in this process.
    """
    from dbt.cli.main import dbtRunner

    started = time.perf_counter()
    watcher = _Watcher(place, project, on_node)
    arguments = ["build", *_common_arguments(place), *_RESOURCE_TYPES]
    if select:
        arguments += ["--select", *select]
    if exclude:
        arguments += ["--exclude", *exclude]
    if indirect_selection:
        arguments += ["--indirect-selection", indirect_selection]
    runner = dbtRunner(manifest=project.manifest, callbacks=[watcher])
    for path in (place.warehouse_path, place.marts_path):
        databases.make_sure_of(path)
    drop_unknown_marts(place, project)
    threads_before = set(threading.enumerate())
    try:
        with _environment(place), _plain_interrupts() as interrupted:
            result = runner.invoke(arguments)
    finally:
        close_connections()
    # Not by dbt's exception: cancelling a query that has just ended fails, and that failure is then what dbt tells.
    if interrupted.is_set():
        _wait_for(set(threading.enumerate()) - threads_before)
        raise KeyboardInterrupt
    raw_results = list(getattr(result.result, "results", None) or [])
    nodes = [_outcome(project, raw.node.unique_id, raw) for raw in raw_results]
    counts = table_row_counts(place, [_relation(project, node) for node in nodes if _is_built_table(project, node)])
    error = _plain(str(result.exception)) if result.exception and not raw_results else None
    return BuildOutcome(
        is_success=bool(result.success),
        nodes=tuple(
            replace(node, row_count=counts.get(node.table)) if node.table and not node.is_test else node
            for node in nodes
        ),
        seconds=time.perf_counter() - started,
        error=error,
    )


def drop_unknown_marts(place: DbtPlace, project: ParsedProject) -> list[str]:
    """Drop tables and views of the marts file that no model makes any more: publishing would go on serving them, as
    they last were. Returns their names.
    """
    import duckdb

    known = {(node["schema"], node.get("alias") or node["name"]) for node in project.manifest_json["nodes"].values()}
    dropped = []
    with duckdb.connect(str(place.marts_path)) as connection:
        for kind, schema, name in connection.execute("""
            select 'view', schema_name, view_name from duckdb_views() where not internal
            union all select 'table', schema_name, table_name from duckdb_tables() where not internal
            order by all desc
        """).fetchall():
            if (schema, name) not in known:
                connection.execute(f'drop {kind} "{schema}"."{name}"')
                dropped.append(f"{schema}.{name}")
    return dropped


def close_connections() -> None:
    """Let go of the database files: while dbt's connection lives, a read-only open is refused."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()


def table_row_counts(place: DbtPlace, tables: Sequence[tuple[str, str, str]]) -> dict[str, int]:
    """Rows of (catalog, schema, table) as {'schema.table': rows}, in one query; DuckDB answers from metadata."""
    import duckdb

    if not tables:
        return {}
    counts = " union all ".join(
        f'select \'{schema}.{table}\', count(*) from "{catalog}"."{schema}"."{table}"'
        for catalog, schema, table in tables
    )
    with duckdb.connect(str(place.warehouse_path), read_only=True) as connection:
        _attach_marts(connection, place)
        return {str(name): int(count) for name, count in connection.execute(counts).fetchall()}


def failing_rows(place: DbtPlace, outcome: NodeOutcome, limit: int = 5) -> list[dict[str, Any]]:
    """A few of the rows that a failed data test found; [] when its query no longer runs."""
    import duckdb

    if not outcome.compiled_sql:
        return []
    try:
        with duckdb.connect(str(place.warehouse_path), read_only=True) as connection:
            _attach_marts(connection, place)
            cursor = connection.execute(f"select * from ({outcome.compiled_sql}) limit {int(limit)}")
            names = [column[0] for column in cursor.description or []]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    except duckdb.Error:
        return []


def _attach_marts(connection: Any, place: DbtPlace) -> None:
    if place.marts_path.exists():
        path = str(place.marts_path).replace("'", "''")
        connection.execute(f"attach if not exists '{path}' as marts (read_only)")


def _common_arguments(place: DbtPlace) -> list[str]:
    return [
        "--project-dir", str(place.project_dir),
        "--profiles-dir", str(place.project_dir),
        "--target-path", str(place.target_dir),
        "--log-path", str(place.log_dir),
        "--log-level", "none",
        "--log-level-file", "info",
        "--no-use-colors",
        "--no-print",
        "--no-version-check",
        "--no-send-anonymous-usage-stats",
        "--vars", json.dumps(dict(place.variables), sort_keys=True, default=str),
    ]  # fmt: skip


@contextmanager
def _environment(place: DbtPlace) -> Iterator[None]:
    """TENURE_WORK for the profile and TENURE_SEEDS, put back afterwards; the directories that dbt expects."""
    place.target_dir.mkdir(parents=True, exist_ok=True)
    place.log_dir.mkdir(parents=True, exist_ok=True)
    names = {"TENURE_WORK": str(place.work_dir)}
    if place.seeds:
        # dbt takes a folder within reach of its project, and nothing but a relative path.
        names["TENURE_SEEDS"] = os.path.relpath(_own_seeds(place), place.project_dir)
    before = {name: os.environ.pop(name, None) for name in ("TENURE_WORK", "TENURE_SEEDS")}
    os.environ |= names
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _own_seeds(place: DbtPlace) -> Path:
    """A copy of the project's seeds in the work directory, with the data set's own among them."""
    folder = place.work_dir / "seeds"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(place.project_dir.parent / "seeds", folder)
    for name, path in place.seeds.items():
        shutil.copyfile(path, folder / f"{name}.csv")
    return folder


@contextmanager
def _plain_interrupts() -> Iterator[threading.Event]:
    """Ctrl-C is a KeyboardInterrupt in dbt, which then cancels its queries; the event tells that it was pressed.

    Dagster raises an exception of its own while a step runs; dbt does not know it, and its threads outlive the process.
    """
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        signal.default_int_handler(number, frame)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def _wait_for(threads: set[threading.Thread], seconds: float = 10) -> None:
    """Until dbt's cancelled workers are out of DuckDB: a process that ends around one of them is aborted."""
    until = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0, until - time.monotonic()))


class _Watcher:
    """Listens to dbt's events: nodes as they finish, with the rows of each table just built."""

    def __init__(self, place: DbtPlace, project: ParsedProject, on_node: OnNode | None) -> None:
        self._place = place
        self._project = project
        self._on_node = on_node
        self._total = 0
        self._done = 0
        self._lock = threading.Lock()

    def __call__(self, event: Any) -> None:
        if self._on_node is None:
            return
        if event.info.name == "LogStartLine":
            self._total = max(self._total, int(event.data.total))
        elif event.info.name == "NodeFinished":
            unique_id = event.data.node_info.unique_id
            if unique_id not in self._project.manifest_json["nodes"]:
                return
            outcome = _outcome(self._project, unique_id, event.data.run_result)
            if _is_built_table(self._project, outcome):
                outcome = replace(outcome, row_count=self._rows(outcome))
            # dbt calls from its worker threads: one line at a time.
            with self._lock:
                self._done += 1
                self._on_node(self._done, max(self._total, self._done), outcome)

    def _rows(self, outcome: NodeOutcome) -> int | None:
        """Counted inside the database instance that dbt has open in this process; None when it has let go of it."""
        import duckdb

        catalog, schema, table = _relation(self._project, outcome)
        try:
            with duckdb.connect(str(self._place.warehouse_path)) as connection:
                found = connection.execute(f'select count(*) from "{catalog}"."{schema}"."{table}"').fetchone()
                return int(found[0]) if found else None
        except duckdb.Error:
            return None


def _is_built_table(project: ParsedProject, outcome: NodeOutcome) -> bool:
    if outcome.is_test or outcome.status != "success":
        return False
    return bool(project.node(outcome.unique_id)["config"].get("materialized") not in ("view", "ephemeral"))


def _relation(project: ParsedProject, outcome: NodeOutcome) -> tuple[str, str, str]:
    node = project.node(outcome.unique_id)
    return str(node["database"]), str(node["schema"]), str(node.get("alias") or node["name"])


def _table(project: ParsedProject, node: Mapping[str, Any]) -> str | None:
    if node["resource_type"] == "test":
        attached = node.get("attached_node")
        if attached is None:
            parents = [parent for parent in node["depends_on"]["nodes"] if parent.startswith("model.")]
            attached = parents[0] if len(parents) == 1 else None
        if not attached or attached not in project.manifest_json["nodes"]:
            return None
        node = project.node(attached)
    return f"{node['schema']}.{node.get('alias') or node['name']}"


def _outcome(project: ParsedProject, unique_id: str, result: Any) -> NodeOutcome:
    """From a dbt run result: the object at the end of a build, or the message of an event."""
    node = project.node(unique_id)
    return NodeOutcome(
        unique_id=unique_id,
        resource_type=node["resource_type"],
        name=node["name"],
        table=_table(project, node),
        status=str(getattr(result.status, "value", result.status)).lower(),
        seconds=float(result.execution_time or 0),
        message=_plain(str(result.message or "")),
        failure_count=_failures(result),
        row_count=None,
        compiled_sql=getattr(getattr(result, "node", None), "compiled_code", None),
    )


def _failures(result: Any) -> int | None:
    """Run results call it `failures`, events `num_failures`."""
    value = getattr(result, "failures", getattr(result, "num_failures", None))
    return None if value is None else int(value)


_NOISE = ("compiled code at", "> in macro", "> called by")


def _plain(message: str) -> str:
    """dbt's message without the trail of macros and the path that its log has anyway."""
    lines = [line.rstrip() for line in message.splitlines() if line.strip()]
    return "\n".join(line for line in lines if not any(noise in line for noise in _NOISE)).strip()
