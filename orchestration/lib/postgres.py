"""A published version in a Postgres database: all of its marts or none, in one instant, for roles that may read them.

Everything is written into schemas that no reader may use, compared there with the marts, and brought in the place of
what was served by renaming schemas in one transaction. That transaction first locks every table that is served, so
nobody is reading: whoever has read one table finds the others of the same version until their transaction ends. What
was served is dropped by another transaction: a reader who is looking a name up in that instant still finds it, waits
for its lock, and then looks again.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestration.lib.publishing import MARTS_FILE, PublishingError, Version
from orchestration.lib.sql import identifier, literal

if TYPE_CHECKING:
    import duckdb

    from orchestration.lib.progress import Progress

VARIABLE = "TENURE_POSTGRES"
"""The environment variable with the connection; there is no publishing to Postgres without it."""

BI_READER, ANALYST = "bi_reader", "analyst"
ROLES = (BI_READER, ANALYST)
LOCK = int.from_bytes(b"tenure")
"""Of the advisory locks of the database, the one that a publisher holds."""

PATIENCE_SECONDS = 120.0
_FIRST_ATTEMPT_MS = 15

# What a schema says of itself that is ours to replace and to drop.
_MARK = "Published by Tenure, which replaces all that is in here with each new version."
_NEW, _OLD = "tenure_new__", "tenure_old__"
_VERSION_TABLE = ("quality", "published_version")
# Ids that tell a rule from another, not a person or what they did.
_NO_PERSONS = {"program_id", "model_id", "risk_model_id"}
_BUSY, _OUTSIDE = "tenure: busy", "tenure: outside"
_SUMMED = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "DECIMAL")
_ORDERED = ("FLOAT", "DOUBLE", "DATE", "TIMESTAMP")


class PostgresError(PublishingError):
    """A version was not published to Postgres; the message says why, and has no password in it."""


@dataclass(frozen=True)
class Column:
    """A column of a mart; `kind` is DuckDB's type."""

    name: str
    kind: str
    is_nullable: bool
    comment: str | None


@dataclass(frozen=True)
class Table:
    """A table of the marts. `key` is its documented primary key where no column of that can be NULL, else empty."""

    schema: str
    name: str
    comment: str | None
    columns: tuple[Column, ...]

    @property
    def title(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def key(self) -> tuple[str, ...]:
        found = re.search(r"Primary key ([\w, ]+)\.\s*$", self.comment or "")
        names = tuple(name.strip() for name in found[1].split(",")) if found else ()
        certain = {column.name for column in self.columns if not column.is_nullable}
        return names if certain.issuperset(names) else ()

    @property
    def withheld(self) -> set[str]:
        """Columns that `bi_reader` may not see: where rows are about single customers, whatever tells which."""
        names = {column.name for column in self.columns}
        if "customer_id" not in names:
            return set()
        return {name for name in names if name.endswith("_id")} - _NO_PERSONS


@dataclass(frozen=True)
class Outcome:
    """What a database serves now. With `is_new` false it did so before, and only grants were made again."""

    database: str
    table_count: int
    row_count: int
    is_new: bool


def is_wanted() -> bool:
    """Whether the environment names a database to publish to."""
    return bool(os.environ.get(VARIABLE))


def publish(version: Version, progress: Progress, *, patience: float = PATIENCE_SECONDS) -> Outcome:
    """Make the database of TENURE_POSTGRES serve a version, unless it does already; make the grants again.

    Args:
        version: of the data set that the database serves, or of any where it serves none.
        patience: for how many seconds it is tried to find an instant in which nobody reads.

    Raises:
        UserError: the variable or the extension is missing.
        PostgresError: the version is not served; unless the message says otherwise, what was is still.
    """
    import duckdb

    from orchestration.lib import remote

    progress.stage(f"Publish version {version.number} to Postgres")
    try:
        with _connected(version) as database, database.alone() as make_sure:
            return _publish(database, version, progress, make_sure, patience)
    except duckdb.Error as error:
        # The error repeats the connection.
        remedy = remote.connection_remedy(VARIABLE) if remote.is_unreachable(error) else _RIGHTS
        raise PostgresError(_not_published(version, remote.database_says(error, VARIABLE)), remedy) from None
    except (_BusyError, _OutsideError) as error:
        raise PostgresError(
            _not_published(version, f"what was left of an earlier one cannot be dropped yet: {error}")
        ) from None


_RIGHTS = "What the user of the connection has to be allowed stands in docs/postgres.md."


def _publish(
    database: _Database, version: Version, progress: Progress, make_sure: Callable[[], object], patience: float
) -> Outcome:
    import duckdb

    tables = database.marts()
    schemas = sorted({table.schema for table in tables})
    # What a publisher left that was killed.
    _drop(database, [name for name in database.schemas() if name.startswith((_NEW, _OLD))], patience)
    database.refuse_foreign([*schemas, *(_NEW + name for name in schemas)], version)
    shown = [name for name in database.schemas() if not name.startswith(_NEW)]
    served = database.served(shown)
    if served and served[0] != version.dataset:
        raise PostgresError(
            _not_published(version, f"the database serves the data set '{served[0]}'"),
            f"Give '{version.dataset}' a database of its own; or drop the schemas {', '.join(shown)} first.",
        )
    _make_roles(database)
    row_count = sum(table["row_count"] for table in version.manifest["tables"].values())
    is_new = served != _identity(version) or set(database.tables(shown)) != {
        *((table.schema, table.name) for table in tables),
        _VERSION_TABLE,
    }
    if is_new:
        try:
            _load(database, version, tables, schemas, progress)
            progress.line("compare with the marts")
            _compare(database, version, tables, served)
            progress.line("swap")
            make_sure()
            _swap(database, version, shown, schemas, served, patience)
        except Exception:
            # What cannot be dropped now, the next publish drops.
            with suppress(duckdb.Error, _BusyError, _OutsideError):
                _drop(database, [name for name in database.schemas() if name.startswith(_NEW)], 0)
            raise
    else:
        database.tell(_table_grants(tables, ""), *_schema_grants(schemas))
    return Outcome(database.name(), len(tables), row_count, is_new)


def _identity(version: Version) -> tuple[str, int, str]:
    """Two homes may both have a version of a number: what the marts' file is tells them apart."""
    [digest] = [file["sha256"] for file in version.manifest["files"] if file["path"] == MARTS_FILE]
    return version.dataset, version.number, digest


def _make_roles(database: _Database) -> None:
    import duckdb

    from orchestration.lib import remote

    missing = sorted(set(ROLES) - set(database.column("select rolname from pg_roles")))
    commands = "; ".join(f"create role {identifier(name)} nologin" for name in missing)
    try:
        if missing:
            database.tell(commands)
    except duckdb.Error as error:
        raise PostgresError(
            f"not published to Postgres: there is no role {' and no role '.join(missing)} yet, and its user may not "
            f"create one: {remote.database_says(error, VARIABLE)}.",
            f"Have an administrator of the database run: {commands};",
        ) from None


# --- writing


def _load(
    database: _Database, version: Version, tables: Sequence[Table], schemas: Sequence[str], progress: Progress
) -> None:
    """Write everything into the new schemas, of which nobody else may use any."""
    for schema in schemas:
        new = identifier(_NEW + schema)
        database.tell(f"create schema {new}; comment on schema {new} is {literal(_MARK)}")
    database.forget_names()
    for number, table in enumerate(tables):
        progress.tick(number, len(tables), table.title)
        database.copy(table)
        database.tell(_adornments(table))
    _write_version(database, version)
    for schema, name in [*((table.schema, table.name) for table in tables), _VERSION_TABLE]:
        # Else the first readers would do it, and autovacuum's locks come between a later publish and the tables.
        database.tell(f"vacuum (analyze) {_path(_NEW + schema, name)}")
    progress.tick(len(tables), len(tables))
    database.tell(_table_grants(tables, _NEW))


def _adornments(table: Table) -> str:
    """The key and the comments of a table that was written."""
    path = _path(_NEW + table.schema, table.name)
    commands = []
    if table.key:
        commands.append(f"alter table {path} add primary key ({', '.join(map(identifier, table.key))})")
    if table.comment:
        commands.append(f"comment on table {path} is {literal(table.comment)}")
    commands += [
        f"comment on column {path}.{identifier(column.name)} is {literal(column.comment)}"
        for column in table.columns
        if column.comment
    ]
    return "; ".join(commands)


# Name, type and description of its columns.
_VERSION_COLUMNS = (
    ("dataset", "varchar", "The data set."),
    ("version", "bigint", "As in `tenure versions`."),
    ("created_at", "timestamp", "When the version was published, UTC."),
    ("data_start", "date", "First day of the data."),
    ("data_end", "date", "Last date through which the data is complete."),
    ("reporting_currency", "varchar", "Of all amounts."),
    ("business_timezone", "varchar", "In which days begin and end."),
    ("marts_sha256", "varchar", "Of marts.duckdb, as in the version's manifest.json: what was published is just that."),
    ("written_at", "timestamp", "When it was written into this database, UTC."),
)


def _write_version(database: _Database, version: Version) -> None:
    dataset, number, digest = _identity(version)
    manifest = version.manifest
    created_at = version.created_at.astimezone(UTC).replace(tzinfo=None)
    written_at = datetime.now(UTC).replace(tzinfo=None)
    row = (dataset, number, created_at, version.data_start, version.data_end, manifest.get("reporting_currency"),
           manifest.get("business_timezone"), digest, written_at)  # fmt: skip
    schema, name = _VERSION_TABLE
    path = _path(_NEW + schema, name)
    database.create(path, ", ".join(f"?::{kind} as {column}" for column, kind, _ in _VERSION_COLUMNS), row)
    comments = [f"comment on column {path}.{column} is {literal(words)}" for column, _, words in _VERSION_COLUMNS]
    database.tell(
        f"comment on table {path} is 'One row: the version that this database serves, of which all marts are.'",
        *comments,
    )


def _table_grants(tables: Sequence[Table], prefix: str) -> str:
    """Who may read which table and column, and nobody else may, but for whom the publisher has default privileges."""
    roles = ", ".join(map(identifier, ROLES))
    commands = [
        f"revoke all on all tables in schema {identifier(prefix + schema)} from public, {roles}"
        for schema in sorted({table.schema for table in tables})
    ]
    for table in tables:
        path = _path(prefix + table.schema, table.name)
        commands.append(f"grant select on {path} to {identifier(ANALYST)}")
        if table.schema != "core":
            seen = [identifier(column.name) for column in table.columns if column.name not in table.withheld]
            some = f" ({', '.join(seen)})" if table.withheld else ""
            commands.append(f"grant select{some} on {path} to {identifier(BI_READER)}")
    schema, name = _VERSION_TABLE
    return "; ".join([*commands, f"grant select on {_path(prefix + schema, name)} to {roles}"])


def _schema_grants(schemas: Sequence[str]) -> list[str]:
    return [
        command
        for schema in schemas
        for readers in [f"{ANALYST}" if schema == "core" else ", ".join(ROLES)]
        for command in (
            f"revoke all on schema {identifier(schema)} from public, {', '.join(ROLES)}",
            f"grant usage on schema {identifier(schema)} to {readers}",
        )
    ]


# --- comparing


def _compare(database: _Database, version: Version, tables: Sequence[Table], served: _Served | None) -> None:
    """Raises PostgresError with table, column and both figures where what was written is not what the marts hold."""
    for table in tables:
        figures = _figures(table)
        query = "select " + ", ".join(f"{figure} as f{number}" for number, (_, figure) in enumerate(figures))
        [wanted] = database.rows_of_marts(f"{query} from marts.{_path(table.schema, table.name)}")
        [found] = database.ask(f"{query} from {_path(_NEW + table.schema, table.name)}")
        for (title, _), mart, written in zip(figures, wanted, found, strict=True):
            # A figure that is not equal to itself is no number in both.
            if mart != written and not (mart != mart and written != written):
                stays = f"; version {served[1]} stays" if served else ""
                raise PostgresError(
                    _not_published(
                        version,
                        f"{table.title}, {title}: the marts have {mart}, what was written to Postgres {written}{stays}",
                    ),
                    "See what else writes into the database (triggers, event triggers), and publish again.",
                )


def _figures(table: Table) -> list[tuple[str, str]]:
    """Words and SQL for what has to be equal; the SQL means the same in both. Sums are exact, and go as text."""
    figures = [("rows", "count(*)")]
    for column in table.columns:
        name = identifier(column.name)
        figures.append((f"{column.name}, values that are there", f"count({name})"))
        if column.kind.startswith(_SUMMED):
            figures.append((f"{column.name}, sum", f"sum({name})::text"))
        elif column.kind.startswith(_ORDERED):
            figures += [(f"{column.name}, least", f"min({name})"), (f"{column.name}, greatest", f"max({name})")]
    return figures


# --- swapping


def _swap(
    database: _Database,
    version: Version,
    shown: Sequence[str],
    schemas: Sequence[str],
    served: _Served | None,
    patience: float,
) -> None:
    """Bring the new schemas in the place of those that are shown, and drop these."""
    import duckdb

    from orchestration.lib import remote

    stays = f"version {served[1]} stays" if served else "nothing is served"
    try:
        _exclusively(
            database,
            shown,
            [
                *(f"alter schema {identifier(name)} rename to {identifier(_OLD + name)}" for name in shown),
                *(f"alter schema {identifier(_NEW + name)} rename to {identifier(name)}" for name in schemas),
                *_schema_grants(schemas),
            ],
            patience,
        )
    except _OutsideError as error:
        raise PostgresError(
            _not_published(version, f"{error} would go with the tables that it is made of; {stays}"),
            "Drop it, and have what it says asked of the marts by name, in a query or a function.",
        ) from None
    except _BusyError as error:
        raise PostgresError(
            _not_published(
                version,
                f"for {patience:.0f} seconds there was no instant without a reader in the marts; {stays}. {error}",
            ),
            "Publish again when the long transactions are over: pg_terminate_backend(<process>) ends one.",
        ) from None
    try:
        _drop(database, [_OLD + name for name in shown], patience)
    except (_BusyError, _OutsideError, duckdb.Error) as error:
        reason = remote.database_says(error, VARIABLE) if isinstance(error, duckdb.Error) else str(error)
        raise PostgresError(
            f"Postgres serves version {version.number}, but what it served before could not be dropped: {reason}.",
            "Publish again: it begins with dropping what is left.",
        ) from None


def _drop(database: _Database, schemas: Sequence[str], patience: float) -> None:
    """Drop schemas. Raises as `_exclusively` does."""
    if schemas:
        names = ", ".join(map(identifier, schemas))
        # Else there is a word on each table.
        quietly = "set local client_min_messages = warning"
        _exclusively(database, schemas, [quietly, f"drop schema {names} cascade"], patience)


class _BusyError(Exception):
    """There was no instant in which nobody read; says who does."""


class _OutsideError(Exception):
    """Something outside of our schemas is made of what is in them; says what."""


def _exclusively(database: _Database, schemas: Sequence[str], commands: Sequence[str], patience: float) -> None:
    """Run commands in a transaction in which nobody else uses a table of these schemas, as soon as nobody does.

    All tables are locked within half of the time after which Postgres looks for deadlocks, or none is: a reader that
    has one table and waits for another is never taken for one who has to go. At first it is tried for less: readers
    wait as long as an attempt takes, and one in which two wait for each other comes to nothing.

    Raises _BusyError when patience has come to an end, _OutsideError, duckdb.Error; nothing was done then.
    """
    import duckdb

    from orchestration.lib import remote

    [[deadlock_ms]] = database.ask("select setting::int as ms from pg_settings where name = 'deadlock_timeout'")
    # Those who ask for the version first then wait there, and hold nothing yet.
    tables = sorted(database.tables(schemas), key=lambda table: table[1] != _VERSION_TABLE[1])
    locks = [_locks(tables, schemas)] if tables else []
    until = time.monotonic() + patience
    attempt_ms = _FIRST_ATTEMPT_MS
    while True:
        attempt_ms = max(1, min(attempt_ms, deadlock_ms // 2))
        try:
            database.tell(f"set local statement_timeout = {attempt_ms}", *locks, "set local statement_timeout = 0",
                          *commands)  # fmt: skip
            return
        except duckdb.Error as error:
            # What comes before repeats the commands.
            said = str(error).rpartition('": ')[2]
            if _OUTSIDE in said:
                raise _OutsideError(remote.database_says(error, VARIABLE).removeprefix(f"{_OUTSIDE} ")) from None
            if _BUSY not in said:
                raise
        if time.monotonic() > until:
            raise _BusyError(f"Reading now: {database.readers(schemas) or 'nobody'}")
        time.sleep(random.uniform(0.5, 1.5) * attempt_ms / 1000)
        attempt_ms *= 2


def _locks(tables: Sequence[tuple[str, str]], schemas: Sequence[str]) -> str:
    """Locks all, or fails; and fails where something outside, such as a view, is made of one of them.

    The text of an error may be in any language, so that both are given words of our own.
    """
    body = f"""
    declare
        outside text;
    begin
        lock table {", ".join(_path(*table) for table in tables)} in access exclusive mode;
        select string_agg(distinct pg_describe_object(classid, objid, 0), ', ') into outside
        from pg_depend
        inner join pg_class on refobjid = pg_class.oid or refobjid = pg_class.reltype
        inner join pg_namespace on relnamespace = pg_namespace.oid
        where deptype = 'n' and refclassid in ('pg_class'::regclass, 'pg_type'::regclass)
            and nspname = any({_array(schemas)});
        if outside is not null then
            raise exception '{_OUTSIDE} %', outside;
        end if;
    exception when query_canceled then
        raise exception {literal(_BUSY)};
    end
    """
    return f"do {literal(body)}"


# --- the database

_Served = tuple[str, int, str]
"""Data set, version, digest of the marts' file."""


@dataclass(frozen=True)
class _Database:
    """A connection of DuckDB that has `marts`, read-only, and `postgres` attached."""

    connection: duckdb.DuckDBPyConnection

    def tell(self, *commands: str) -> None:
        """Commands that Postgres runs: all in one transaction."""
        if sql := "; ".join(filter(None, commands)):
            self.connection.execute(f"call postgres_execute('postgres', {literal(sql)}, use_transaction = false)")

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query that Postgres runs; its columns have different names."""
        return self.connection.execute(
            f"from postgres_query('postgres', {literal(sql)}, use_transaction = false)"
        ).fetchall()

    def column(self, sql: str) -> list[Any]:
        return [row[0] for row in self.ask(sql)]

    def rows_of_marts(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql).fetchall()

    @contextmanager
    def alone(self) -> Iterator[Callable[[], object]]:
        """As long as no other process publishes to this database. Raises PostgresError, at once, if one does.

        What it gives fails if that is not so any more: the connection that vouched for it is gone.
        """
        import duckdb

        with self.connection.cursor() as cursor:
            cursor.execute("begin")
            try:
                # It waits for long, and sees nothing of the tables: it neither may be ended for that, nor keep the
                # database from cleaning up.
                cursor.execute(
                    """call postgres_execute('postgres', 'set transaction isolation level read committed;
                    set local idle_in_transaction_session_timeout = 0')"""
                )
                lock = f"select pg_try_advisory_xact_lock({LOCK}) as is_free"
                if cursor.execute(f"from postgres_query('postgres', {literal(lock)})").fetchall() != [(True,)]:
                    raise PostgresError(
                        "not published to Postgres: another process is publishing to this database.",
                        "Wait until it has finished, and publish again.",
                    )
                yield lambda: cursor.execute("from postgres_query('postgres', 'select 1 as one')").fetchall()
            finally:
                # Where the connection is gone, so is the lock.
                with suppress(duckdb.Error):
                    cursor.execute("rollback")

    def name(self) -> str:
        return str(self.column("select current_database()")[0])

    def schemas(self) -> list[str]:
        """Ours, by their mark, new and old ones too."""
        return self.column(
            f"""select nspname from pg_namespace
            where obj_description(oid, 'pg_namespace') = {literal(_MARK)} order by 1"""
        )

    def tables(self, schemas: Sequence[str]) -> list[tuple[str, str]]:
        """Schema and name of every table and view in schemas."""
        rows = self.ask(
            f"""select nspname, relname from pg_class inner join pg_namespace on relnamespace = pg_namespace.oid
            where relkind in ('r', 'p', 'v', 'f') and nspname = any({_array(schemas)}) order by 1, 2"""
        )
        return [(schema, name) for schema, name in rows]

    def served(self, schemas: Sequence[str]) -> _Served | None:
        """The version that readers see; None where there is none, or somebody dropped what tells it."""
        if _VERSION_TABLE not in self.tables(schemas):
            return None
        rows = self.ask(f"select dataset, version, marts_sha256 from {_path(*_VERSION_TABLE)}")
        return (rows[0][0], rows[0][1], rows[0][2]) if rows else None

    def readers(self, schemas: Sequence[str]) -> str:
        """Who holds a table of schemas."""
        rows = self.ask(
            f"""select distinct pid, coalesce(usename, '?') as username from pg_locks
            inner join pg_class on relation = pg_class.oid
            inner join pg_namespace on relnamespace = pg_namespace.oid
            left join pg_stat_activity using (pid)
            where pg_locks.database = (select oid from pg_database where datname = current_database())
                and granted and nspname = any({_array(schemas)})
            order by 1"""
        )
        return ", ".join(f"process {pid} of {user}" for pid, user in rows)

    def refuse_foreign(self, schemas: Sequence[str], version: Version) -> None:
        """Raises PostgresError where a schema is there that somebody else made."""
        foreign = self.column(
            f"""select nspname from pg_namespace where nspname = any({_array(schemas)})
            and obj_description(oid, 'pg_namespace') is distinct from {literal(_MARK)} order by 1"""
        )
        if foreign:
            raise PostgresError(
                _not_published(version, f"the database has a schema {', '.join(foreign)} that Tenure did not make"),
                "Give Tenure a database of its own, or rename that schema.",
            )

    def marts(self) -> list[Table]:
        """All tables and views of the marts, by name."""
        columns: dict[tuple[str, str], list[Column]] = {}
        for schema, table, *column in self.rows_of_marts(
            """select schema_name, table_name, column_name, data_type, is_nullable, comment from duckdb_columns()
            where database_name = 'marts' and not internal order by schema_name, table_name, column_index"""
        ):
            columns.setdefault((schema, table), []).append(Column(*column))
        comments = {
            (schema, table): comment
            for schema, table, comment in self.rows_of_marts(
                """select schema_name, table_name, comment from duckdb_tables() where database_name = 'marts'
                union all
                select schema_name, view_name, comment from duckdb_views() where database_name = 'marts'"""
            )
        }
        return [Table(*name, comments[name], tuple(found)) for name, found in columns.items()]

    def forget_names(self) -> None:
        """DuckDB looks once for the schemas that there are."""
        self.connection.execute("call pg_clear_cache()")

    def copy(self, table: Table) -> None:
        """Write a table of the marts into its new schema."""
        source, target = _path(table.schema, table.name), _path(_NEW + table.schema, table.name)
        self.connection.execute(f"create table postgres.{target} as from marts.{source}")

    def create(self, path: str, columns: str, values: Sequence[object]) -> None:
        """Write a table of one row."""
        self.connection.execute(f"create table postgres.{path} as select {columns}", values)


@contextmanager
def _connected(version: Version) -> Iterator[_Database]:
    import duckdb

    from orchestration.lib import remote
    from orchestration.lib.errors import UserError

    dsn = os.environ.get(VARIABLE)
    if not dsn:
        raise UserError(
            f"Where to publish is not known: there is no variable {VARIABLE} in the environment.",
            f"Set it: export {VARIABLE}=postgresql://user:password@host:port/database",
        )
    with duckdb.connect() as connection:
        # Secrets that DuckDB keeps on disk are not looked for.
        connection.execute("set secret_directory = '/dev/null/none'")
        remote.load_extension(connection, "postgres_scanner", "Publishing to Postgres")
        connection.execute(f"attach {literal(str(version.marts_path))} as marts (read_only)")
        connection.execute(f"attach {literal(dsn)} as postgres (type postgres)")
        yield _Database(connection)


def _array(names: Sequence[str]) -> str:
    return f"array[{', '.join(map(literal, names))}]::text[]"


def _path(*names: str) -> str:
    return ".".join(map(identifier, names))


def _not_published(version: Version, reason: str) -> str:
    return f"version {version.number} of '{version.dataset}' was not published to Postgres: {reason}"
