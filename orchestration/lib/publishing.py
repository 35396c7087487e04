"""Write, audit, publish: how a checked set of marts becomes the version that readers see.

A version is a directory `versions/<N>` that never changes once it has its number. `current` is a symbolic link to one
of them. Everything is written under a name that readers do not look at, brought to disk, renamed in one step, and only
then does the link move, again in one step. A reader that has the old version open goes on reading it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from orchestration.lib.errors import UserError
from orchestration.lib.lock import run_lock
from orchestration.lib.sql import literal

if TYPE_CHECKING:
    import duckdb

    from orchestration.lib.settings import Settings

MARTS_FILE = "marts.duckdb"  # constant in every version: views carry the catalog name, which comes from the file name
MANIFEST_FILE = "manifest.json"
MANIFEST_FORMAT = 2
REPORT_FILE = "report.html"
DATA_DOCS_DIR = "data_docs"
BUILDING_PREFIX = ".building-"
REMOVING_PREFIX = ".removing-"
CHOICE_PREFIX = ".rolled-back-"

Progress = Callable[[str, int | None], None]
"""Called as a step begins, with its name and, where there is one, a number of things to do."""

log = logging.getLogger(__name__)


class PublishingError(UserError):
    """A version was not published or not activated; the message says why and what is current now."""


@dataclass(frozen=True)
class RunStep:
    """One step of a run: rows it wrote (None where it writes none), seconds it took, `ok` or how else it ended."""

    step: str
    row_count: int | None
    seconds: float
    status: str = "ok"


@dataclass(frozen=True)
class RunRecord:
    """A run: its id, its UTC start, the steps done so far, in order, and its kind (see `TenureRun.kind`).

    The one that asks for a version brings the `earlier` ones that are not, or not in full, in a published run log:
    those that failed, with no `version`, and what the last publish could not know yet of itself.
    """

    run_id: str
    started_at: datetime
    steps: tuple[RunStep, ...] = ()
    kind: str = "run"
    version: int | None = None
    earlier: tuple[RunRecord, ...] = ()


@dataclass(frozen=True)
class CheckResult:
    """One check as it came out. `table` is `schema.table` or '' for a check of the whole; `observed` is for people."""

    name: str
    table: str
    tool: str
    passed: bool
    is_blocking: bool = True
    observed: str = ""


@dataclass(frozen=True)
class Version:
    """One published version: `path` is its directory, `manifest` the content of its manifest.json."""

    number: int
    path: Path
    manifest: Mapping[str, Any] = field(repr=False)

    @property
    def dataset(self) -> str:
        return str(self.manifest["dataset"])

    @property
    def created_at(self) -> datetime:
        return datetime.fromisoformat(self.manifest["created_at"])

    @property
    def data_start(self) -> date | None:
        return _as_date(self.manifest["data_start"])

    @property
    def data_end(self) -> date | None:
        return _as_date(self.manifest["data_end"])

    @property
    def inputs_digest(self) -> str | None:
        digest: str | None = self.manifest["inputs"].get("digest")
        return digest

    @property
    def marts_path(self) -> Path:
        return self.path / MARTS_FILE

    @property
    def report_path(self) -> Path:
        return self.path / REPORT_FILE


def versions(settings: Settings) -> list[Version]:
    """All published versions, of every data set, oldest first. A directory without a readable manifest is left out."""
    found = (_read_version(settings.versions_dir / str(number)) for number in _numbers(settings.versions_dir))
    return [version for version in found if version is not None]


def current(settings: Settings) -> Version | None:
    """The version that readers see now, of whatever data set, or None before the first publish.

    Raises PublishingError where `current` points to something that is not a version.
    """
    if not settings.current.is_symlink():
        return None
    version = _read_version(settings.current.resolve())
    if version is None:
        raise PublishingError(f"{settings.current} points to {os.readlink(settings.current)}, which is not a version")
    return version


def latest(settings: Settings) -> Version | None:
    """The newest version of this data set, whether it is current or not."""
    own = [version for version in versions(settings) if version.dataset == settings.dataset]
    return own[-1] if own else None


def find(settings: Settings, number: int) -> Version:
    """The version of a number. Raises PublishingError, naming those that there are, if there is none."""
    version = _read_version(settings.versions_dir / str(number))
    if version is None or not version.marts_path.is_file():
        known = ", ".join(str(each.number) for each in versions(settings)) or "none"
        raise PublishingError(f"there is no version {number} in {settings.versions_dir} (there is: {known})")
    return version


def activate(settings: Settings, number: int) -> Version:
    """Make an existing version current in one step, on purpose: to go back to an older one, or forward again.

    Going back holds until a newer version of the same data set is published: runs that find nothing new leave it.

    Raises PublishingError if there is no such version, LockHeldError while another process publishes; `current` is then
    as it was.
    """
    with _exclusive(settings):
        version = find(settings, number)
        # The choice first: killed in between, the next run that finds nothing new completes it.
        _write_choice(settings, version)
        _point_current(settings, version.number)
        return version


def rolled_back_to(settings: Settings, dataset: str | None = None) -> Version | None:
    """The older version that a data set (default: that of the settings) was gone back to, while that holds."""
    dataset = dataset or settings.dataset
    try:
        choice = json.loads(_choice_path(settings, dataset).read_text(encoding="utf-8"))
        number, newest = int(choice["version"]), int(choice["newest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    own = {version.number: version for version in versions(settings) if version.dataset == dataset}
    # A newer version than there was then ends it, without anybody having to clean up.
    return own.get(number) if own and max(own) == newest else None


def restore(
    settings: Settings, *, keep: int | None = None, erased_at: datetime | None = None
) -> tuple[Version | None, Version]:
    """Make this data set's version current again after another data set was shown, and finish what a killed publish
    left: the newest version, or the older one that was gone back to. Returns what was current before and is now.

    `keep` and `erased_at` are as for `publish`. Raises PublishingError if the data set has no version, LockHeldError
    while another process publishes.
    """
    with _exclusive(settings):
        before = _current_or_none(settings)
        version = rolled_back_to(settings)
        if version is None or (erased_at is not None and version.created_at < erased_at):
            version = latest(settings)
        if version is None:
            raise PublishingError(f"there is no version of {settings.dataset} in {settings.versions_dir}")
        _point_current(settings, version.number)
        _remove_leftovers(settings)
        _prune(settings, settings.keep if keep is None else keep, erased_at)
        return before, version


def publish(
    settings: Settings,
    *,
    run: RunRecord,
    inputs: Mapping[str, Any],
    checks: Sequence[CheckResult],
    data_docs: Path | None = None,
    personal_columns: Collection[str] = (),
    month_columns: Mapping[str, str] = MappingProxyType({}),
    reporting_currency: str = "",
    business_timezone: str = "",
    is_synthetic: bool = False,
    is_full_refresh: bool = False,
    keep: int | None = None,
    erased_at: datetime | None = None,
    on_progress: Progress = lambda step, count: None,
) -> Version:
    """Copy the marts of the working area into a new version, audit the copy, and make it current.

    `inputs` goes into the manifest as it is (JSON); its `digest` tells a later run whether anything is new.
    `personal_columns` are the columns that may not be in a version: `column`, `table.column` or `schema.table.column`.
    `month_columns` names, by `schema.table`, the dates by whose months a table's Parquet is cut. Parquet files with the
    rows that they had in this data set's newest version are linked from there, unless `is_full_refresh`.
    `keep` versions of this data set (default: as settings say) remain, and the current one always does. With fewer
    than 2, a reader that looked `current` up just before a publish can find its version gone.
    `erased_at` (UTC) is when a customer was last erased: versions of this data set from before that are removed.

    Raises PublishingError, with `current` untouched and nothing left behind, where a blocking check has failed, the
    copy holds what it should not, or anything at all goes wrong before the link moves; LockHeldError while another
    process publishes.
    """
    keep = settings.keep if keep is None else keep
    if keep < 1:
        raise ValueError(f"keep must be at least 1, not {keep}")
    failed = [check for check in checks if check.is_blocking and not check.passed]
    if failed:
        raise PublishingError(_not_published(settings, "blocking checks failed: " + _names(failed)))
    if not settings.marts_path.is_file():
        raise PublishingError(_not_published(settings, f"there are no marts at {settings.marts_path}"))
    with _exclusive(settings):
        _remove_leftovers(settings)
        building = settings.versions_dir / f"{BUILDING_PREFIX}{os.getpid()}"
        number = max(_numbers(settings.versions_dir), default=0) + 1
        try:
            building.mkdir()
            manifest = _build(
                settings, building, number, run, inputs, checks, data_docs, personal_columns, month_columns,
                is_full_refresh,
                {
                    "reporting_currency": reporting_currency,
                    "business_timezone": business_timezone,
                    "is_synthetic": is_synthetic,
                },
                on_progress,
            )  # fmt: skip
            on_progress("bring to disk", len(manifest["files"]))
            _sync_tree(building)
            on_progress("name the version", number)
            target = settings.versions_dir / str(number)
            os.rename(building, target)
            _sync_directory(settings.versions_dir)
            on_progress("make it current", number)
            _point_current(settings, number)
        except Exception as error:
            shutil.rmtree(building, ignore_errors=True)
            raise PublishingError(_not_published(settings, _reason(error))) from error
        on_progress("remove old versions", None)
        _prune(settings, keep, erased_at)
    return Version(number=number, path=target, manifest=manifest)


def _build(
    settings: Settings,
    building: Path,
    number: int,
    run: RunRecord,
    inputs: Mapping[str, Any],
    checks: Sequence[CheckResult],
    data_docs: Path | None,
    personal_columns: Collection[str],
    month_columns: Mapping[str, str],
    is_full_refresh: bool,
    facts: Mapping[str, Any],
    on_progress: Progress,
) -> dict[str, Any]:
    """Fill the directory `building` with everything of version `number`; returns its manifest, already written."""
    from orchestration.lib.report import render_report

    marts = building / MARTS_FILE
    former = latest(settings)
    on_progress("copy marts", settings.marts_path.stat().st_size)
    _checkpoint(settings.marts_path)
    shutil.copyfile(settings.marts_path, marts)
    on_progress("write run log", len(run.steps))
    _write_run_log(marts, former, run, number)
    on_progress("audit copy", None)
    audit(marts, personal_columns)
    on_progress("write parquet", None)
    # The order of the rows in a file is not promised: keeping it costs time and memory.
    with _open(marts, config={"preserve_insertion_order": "false"}) as connection:
        tables, parts = _write_parquet(connection, building, month_columns, None if is_full_refresh else former)
        data_start, data_end = _data_window(connection)
    manifest: dict[str, Any] = {
        "format": MANIFEST_FORMAT,
        "version": number,
        "dataset": settings.dataset,
        **facts,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "data_start": data_start and data_start.isoformat(),
        "data_end": data_end and data_end.isoformat(),
        "code": _code_versions(),
        "run": {"run_id": run.run_id, "started_at": run.started_at.astimezone(UTC).isoformat(timespec="seconds")},
        "tables": tables,
        "checks": [asdict(check) for check in checks],
        "inputs": dict(inputs),
        "data_docs": None if data_docs is None else f"{DATA_DOCS_DIR}/index.html",
    }
    on_progress("render report", None)
    render_report(marts, building / REPORT_FILE, manifest_info=manifest)
    if data_docs is not None:
        on_progress("copy data docs", None)
        shutil.copytree(data_docs, building / DATA_DOCS_DIR)
    on_progress("write manifest", None)
    manifest["files"] = [_file_entry(path, building, parts) for path in _files(building)]
    (building / MANIFEST_FILE).write_text(json.dumps(manifest, indent=1, sort_keys=False) + "\n", encoding="utf-8")
    return manifest


# --- the marts file


def audit(marts: Path, personal_columns: Collection[str] = ()) -> None:
    """Check that a marts file can stand alone in front of readers.

    Opened read-only and with access to anything outside denied, every view must still bind, and none of
    `personal_columns` may be there. Raises PublishingError naming the view or the columns.
    """
    import duckdb

    personal = {name.lower() for name in personal_columns}
    with _open(marts, config={"enable_external_access": "false"}) as connection:
        for schema, view in connection.execute(
            "select schema_name, view_name from duckdb_views() where not internal order by all"
        ).fetchall():
            try:
                connection.execute(f"select * from {_quoted(schema, view)} limit 0")
            except duckdb.Error as error:
                raise PublishingError(f"view {schema}.{view} needs something outside of the marts: {error}") from error
        columns = connection.execute(
            "select schema_name, table_name, column_name from duckdb_columns() where not internal order by all"
        ).fetchall()
    exposed = [
        f"{schema}.{table}.{column}"
        for schema, table, column in columns
        if personal & {name.lower() for name in (column, f"{table}.{column}", f"{schema}.{table}.{column}")}
    ]
    if exposed:
        raise PublishingError("personal data may not be published: " + ", ".join(exposed))


def _checkpoint(marts: Path) -> None:
    """Bring the write-ahead log into the file, so that the file alone is the database."""
    with _open(marts, read_only=False) as connection:
        connection.execute("checkpoint")
    if Path(f"{marts}.wal").exists():
        raise PublishingError(f"{marts} still has changes in its write-ahead log: is another process writing to it?")


# Name, type and description of its columns.
_RUN_LOG = (
    ("run_id", "varchar not null", "As in Dagster's history."),
    ("started_at", "timestamp", "UTC."),
    ("kind", "varchar", "run, full refresh, or backfill with its first and last day. NULL where nobody wrote it down."),
    ("version", "bigint", "The version that the run published; NULL for none: it failed, was killed or was a part."),
    (
        "step",
        "varchar not null",
        "load <source>, build, test or check <table>, publish, serve; run is the whole of one that published nothing.",
    ),
    ("row_count", "bigint", "Rows read or written; of a test or check the number of tests or rules. NULL for none."),
    ("seconds", "double not null", "Time taken. That of publish and serve is known from the next version on."),
    ("status", "varchar not null", "ok, warning, failed, error, skipped; of the step run also killed, not published."),
)


def _write_run_log(marts: Path, former: Version | None, run: RunRecord, number: int) -> None:
    """The log of the newest version, and what was not in it: earlier runs, and this one as far as it has come."""
    rows = [
        (each.run_id, each.started_at.astimezone(UTC).replace(tzinfo=None), each.kind, version, *_step_row(step))
        for each, version in [*((earlier, earlier.version) for earlier in run.earlier), (run, number)]
        for step in each.steps
    ]
    with _open(marts, read_only=False) as connection:
        connection.begin()
        connection.execute("create schema if not exists quality")
        connection.execute("drop table if exists quality.run_log")
        columns = ", ".join(f"{name} {kind}" for name, kind, _ in _RUN_LOG)
        connection.execute(f"create table quality.run_log ({columns})")
        connection.execute("""
            comment on table quality.run_log is
            'One row per run and step, for every run of this data set, published or not. Primary key run_id, step.'
        """)
        for name, _, description in _RUN_LOG:
            connection.execute(f"comment on column quality.run_log.{name} is {literal(description)}")
        connection.execute("create temporary table new_rows as from quality.run_log limit 0")
        if rows:
            connection.executemany("insert into new_rows values (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        if logged := _run_log_files(former):
            connection.execute(
                """insert into quality.run_log by name
                from read_parquet(?) where (run_id, step) not in (select (run_id, step) from new_rows)""",
                [logged],
            )
        connection.execute("insert into quality.run_log from new_rows")
        connection.execute("drop table new_rows")
        connection.commit()
        connection.execute("checkpoint")


def _run_log_files(version: Version | None) -> list[str]:
    """The Parquet files of a version's run log: reading these locks nobody out."""
    if version is None:
        return []
    paths = [file["path"] for file in version.manifest["files"]]
    return [str(version.path / path) for path in paths if path.startswith("parquet/quality/run_log")]


def _step_row(step: RunStep) -> tuple[str, int | None, float, str]:
    return step.step, step.row_count, step.seconds, step.status


@dataclass(frozen=True)
class _Part:
    """Rows of a table that are one Parquet file, `path` in the version.

    `name` is `all`, or for the rows of one month `YYYY-MM`, with the month's first day in `month`; `unknown` where the
    date is NULL. Parts of equal `fingerprint` have equal rows, whatever their order: it is a hash of the columns' names
    and types, the number of rows, and the sum of the rows' 64-bit hashes.
    """

    name: str
    month: str | None
    path: str
    row_count: int
    fingerprint: str


def _write_parquet(
    connection: duckdb.DuckDBPyConnection, building: Path, month_columns: Mapping[str, str], former: Version | None
) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, Any]]]:
    """Write every table and view as `parquet/<schema>/<table>/<part>.parquet`; parts that `former` has are linked.

    Returns {`schema.table`: {`row_count`: rows}}, and by path what the manifest says of each part: of a linked one
    everything.
    """
    files = former.manifest["files"] if former else []
    known = {file["path"]: file for file in files if "fingerprint" in file}
    tables: dict[str, dict[str, int]] = {}
    entries: dict[str, dict[str, Any]] = {}
    for schema, table in connection.execute("""
        select table_schema, table_name
        from information_schema.tables
        where table_catalog = current_database() and table_schema not in ('information_schema', 'pg_catalog')
        order by all
    """).fetchall():
        column = month_columns.get(f"{schema}.{table}")
        parts = _parts(connection, schema, table, column)
        (building / parts[0].path).parent.mkdir(parents=True)
        new = []
        for part in parts:
            entry = known.get(part.path, {})
            if former and entry.get("fingerprint") == part.fingerprint and _link(former, entry, building):
                entries[part.path] = entry
            else:
                entries[part.path] = {"row_count": part.row_count, "fingerprint": part.fingerprint}
                new.append(part)
        if column and new and new[0].name != "all":
            for first in range(0, len(new), _FILES_AT_ONCE):
                _write_months(connection, _quoted(schema, table), column, new[first : first + _FILES_AT_ONCE], building)
        elif new:
            connection.execute(f"copy {_quoted(schema, table)} to {literal(building / new[0].path)} ({_PARQUET})")
        tables[f"{schema}.{table}"] = {"row_count": sum(part.row_count for part in parts)}
    return tables, entries


# Measured on 3 million orders: level 1 takes a tenth less time than the default for files of the same size; not to look
# for repeated values in columns that are all but unique spares another sixth.
_PARQUET = "format parquet, compression zstd, compression_level 1, dictionary_size_limit 1000"

# When too many are open, DuckDB closes the file of a month and goes on in a second one; and a process may often open no
# more than 1024.
_FILES_AT_ONCE = 500


def _parts(connection: duckdb.DuckDBPyConnection, schema: str, table: str, month_column: str | None) -> list[_Part]:
    """The parts of a table: one per month of the column if it is given and there are rows, else all in one."""
    relation = _quoted(schema, table)
    columns = connection.execute(f"select column_name, column_type from (describe {relation})").fetchall()
    month = f"date_trunc('month', {_quoted(month_column)})" if month_column else "null"
    # Hashed twice: DuckDB joins the hashes of columns by exclusive or, and sums of these can stay the same where rows
    # swap values.
    found = connection.execute(
        f"""select coalesce(strftime(_month, '%Y-%m'), {literal("unknown" if month_column else "all")}),
            _month::varchar, row_count, hashes::varchar
        from (
            select {month}::date as _month, count(*) as row_count, sum(hash(hash(*columns(*)))) as hashes
            from {relation} group by all
        )
        order by _month"""
    ).fetchall()
    return [
        _Part(
            name,
            month,
            f"parquet/{schema}/{table}/{name}.parquet",
            row_count,
            hashlib.sha256(json.dumps([columns, row_count, hashes]).encode()).hexdigest(),
        )
        for name, month, row_count, hashes in found or [("all", None, 0, None)]
    ]


def _write_months(
    connection: duckdb.DuckDBPyConnection, relation: str, column: str, parts: Sequence[_Part], building: Path
) -> None:
    """Write parts of a table in one pass over it: its rows are in no order of time."""
    folder = (building / parts[0].path).parent / ".new"
    months = ", ".join(
        f"({literal(part.month) if part.month else 'null'}::date, {literal(part.name)})" for part in parts
    )
    connection.execute(f"set partitioned_write_max_open_files = {_FILES_AT_ONCE + 1}")
    connection.execute(
        f"""copy (
            select published.*, _parts._part
            from {relation} as published
            inner join (values {months}) as _parts (_month, _part)
                on date_trunc('month', published.{_quoted(column)}) is not distinct from _parts._month
        ) to {literal(folder)} ({_PARQUET}, partition_by (_part))"""
    )
    for part in parts:
        [written] = (folder / f"_part={part.name}").iterdir()
        written.rename(building / part.path)
    shutil.rmtree(folder)


def _link(former: Version, entry: Mapping[str, Any], building: Path) -> bool:
    """Give a file of a former version to this one too, by a link or, where the file system has none, as a copy.

    False if it is not there any more as that version's manifest says.
    """
    source, target = former.path / entry["path"], building / entry["path"]
    if not source.is_file() or source.stat().st_size != entry["bytes"]:
        return False
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return True


def _data_window(connection: duckdb.DuckDBPyConnection) -> tuple[date | None, date | None]:
    """First and last day that the raw data covers, from the calendar; None where there is no data."""
    row = connection.execute("select min(date_on), max(date_on) from core.dim_dates where is_in_data").fetchone()
    return row if row else (None, None)


@contextmanager
def _open(
    path: Path, *, read_only: bool = True, config: Mapping[str, str] | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb

    connection = duckdb.connect(str(path), read_only=read_only, config=dict(config or {}))
    try:
        yield connection
    finally:
        connection.close()


def _quoted(*names: str) -> str:
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


# --- files, names and the link


def _choice_path(settings: Settings, dataset: str) -> Path:
    return settings.versions_dir / f"{CHOICE_PREFIX}{dataset}.json"


def _write_choice(settings: Settings, version: Version) -> None:
    """Note which version a data set was gone back to, and which was its newest then; forget it for the newest."""
    path = _choice_path(settings, version.dataset)
    newest = max(each.number for each in versions(settings) if each.dataset == version.dataset)
    if version.number == newest:
        path.unlink(missing_ok=True)
        return
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps({"version": version.number, "newest": newest}) + "\n", encoding="utf-8")
    _sync_file(temporary)
    os.replace(temporary, path)


def _current_or_none(settings: Settings) -> Version | None:
    """As `current`; a broken link, which the caller is about to mend, is nothing."""
    try:
        return current(settings)
    except PublishingError:
        return None


def _exclusive(settings: Settings) -> AbstractContextManager[None]:
    """The right to change `versions/` and `current`, apart from the run lock: going back must not wait for a long run.

    Raises LockHeldError if another process has it. It goes with its process, so what is left over when it is free
    belongs to nobody.
    """
    return run_lock(settings.versions_dir / ".lock", settings.dataset)


def _numbers(versions_dir: Path) -> list[int]:
    if not versions_dir.is_dir():
        return []
    return sorted(int(entry.name) for entry in versions_dir.iterdir() if entry.name.isdecimal())


def _read_version(path: Path) -> Version | None:
    try:
        manifest = json.loads((path / MANIFEST_FILE).read_text(encoding="utf-8"))
        return Version(number=int(manifest["version"]), path=path, manifest=manifest)
    except (OSError, ValueError, KeyError):
        return None


def _point_current(settings: Settings, number: int) -> None:
    """Swap the link by renaming a new one over it: at every instant `current` is the old or the new version."""
    target = os.path.relpath(settings.versions_dir / str(number), settings.current.parent)
    if settings.current.is_symlink() and os.readlink(settings.current) == target:
        return
    temporary = settings.current.with_name(f".{settings.current.name}-{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target, target_is_directory=True)
    os.replace(temporary, settings.current)
    _sync_directory(settings.current.parent)


def _remove_leftovers(settings: Settings) -> None:
    """Remove what killed publishers left; the caller holds the lock, so none of it is in use."""
    for entry in settings.versions_dir.iterdir():
        if entry.name.startswith((BUILDING_PREFIX, REMOVING_PREFIX)):
            shutil.rmtree(entry, ignore_errors=True)
    for link in settings.current.parent.glob(f".{settings.current.name}-*"):
        link.unlink(missing_ok=True)


def _prune(settings: Settings, keep: int, erased_at: datetime | None) -> None:
    """Remove all but the last `keep` versions of the data set, never the current one; forget choices that are over.

    A version first loses its number, so that a half removed one is never taken for a version. Trouble here is a
    warning, because the new version is published already; not so where the version holds an erased customer.
    """
    for choice in settings.versions_dir.glob(f"{CHOICE_PREFIX}*"):
        if choice.suffix != ".json" or not rolled_back_to(settings, choice.stem.removeprefix(CHOICE_PREFIX)):
            choice.unlink(missing_ok=True)
    shown = settings.current.resolve()
    own = [version for version in versions(settings) if version.dataset == settings.dataset]
    for version in own:
        has_erased = erased_at is not None and version.created_at < erased_at
        if version.path.resolve() == shown or not (has_erased or version in own[:-keep]):
            continue
        removing = settings.versions_dir / f"{REMOVING_PREFIX}{version.number}"
        try:
            os.rename(version.path, removing)
            shutil.rmtree(removing)
        except OSError as error:
            if has_erased:
                raise PublishingError(
                    f"The new version is published, but version {version.number} still holds customers who were "
                    f"erased on request, and could not be removed: {error}\nRemove {removing} by hand."
                ) from error
            log.warning("version %s could not be removed: %s", version.number, error)


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def _file_entry(path: Path, base: Path, parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the manifest says of a file; of one that came from a former version, what is said there."""
    name = path.relative_to(base).as_posix()
    part = parts.get(name, {})
    if "sha256" in part:
        return dict(part)
    with open(path, "rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    return {"path": name, "bytes": path.stat().st_size, "sha256": digest, **part}


def _sync_tree(directory: Path) -> None:
    """Bring a directory's files and names to disk; files become read-only, since a version never changes."""
    for path in _files(directory):
        if path.stat().st_mode & 0o222:  # a linked one is so already, and may be another user's
            path.chmod(0o444)
        _sync_file(path)
    for path in [*(entry for entry in directory.rglob("*") if entry.is_dir()), directory]:
        _sync_directory(path)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_sync_directory = _sync_file  # a directory is opened and synced in just the same way


# --- words


def _not_published(settings: Settings, reason: str) -> str:
    try:
        shown = current(settings)
    except PublishingError as error:
        return f"not published: {reason}; {error}"
    state = f"version {shown.number} ({shown.dataset}) stays current" if shown else "there is no current version yet"
    return f"not published: {reason}; {state}"


def _reason(error: Exception) -> str:
    return error.what if isinstance(error, PublishingError) else f"{type(error).__name__}: {error}"


def _names(checks: Sequence[CheckResult], most: int = 5) -> str:
    shown = [f"{check.table}: {check.name}" if check.table else check.name for check in checks[:most]]
    return ", ".join(shown) + (f" and {len(checks) - most} more" if len(checks) > most else "")


def _code_versions() -> dict[str, str]:
    from importlib.metadata import version

    return {package: version(package) for package in ("tenure", "duckdb", "dbt-core", "great-expectations")}


def _as_date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
