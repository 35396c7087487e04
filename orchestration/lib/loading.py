"""Raw files into the warehouse as they came, and the views that show them through the mapping.

All of a load is one transaction: an error, a crash or a full disk leaves the warehouse as it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from glob import escape

import duckdb

from orchestration.lib import erasing, increments, remote
from orchestration.lib.contract import contract_tables
from orchestration.lib.errors import UserError
from orchestration.lib.feeds import LOAD_COLUMNS, empty_sql, feed_sql, filtered_sql
from orchestration.lib.inputs import InputFile, InputState, look
from orchestration.lib.mapping import Mapping, Source, is_table, is_url, location_suffixes, source_format
from orchestration.lib.places import Places, opened
from orchestration.lib.settings import Settings
from orchestration.lib.sql import identifier, literal

Progress = Callable[[str, int | None], None]
# A text line is read whole by taking a delimiter that no text has.
_NO_DELIMITER = "\x01"
# A case, because the order in which a conjunction is evaluated is the engine's.
_IS_OBJECT = "(case when json_valid(line) then json_type(line) = 'OBJECT' else false end)"
# A dictionary is tried on every column of texts, and ids have none worth having: without the attempt a load takes two
# thirds of the processor time, and the file grows by a few percent.
_COMPRESSION = "set disabled_compression_methods = 'dictionary'"
_LOADS_TABLES = """
create schema if not exists raw;
create schema if not exists contract;
create table if not exists raw.loaded_files (
    source varchar not null, file varchar not null, sha256 varchar not null, reader varchar not null,
    load_id bigint not null, loaded_at timestamp not null, rows_read bigint not null, rows_rejected bigint not null,
    primary key (source, file)
);
create table if not exists raw.rejected_rows (
    source varchar not null, file varchar not null, load_id bigint not null, row_number bigint not null,
    column_name varchar, line varchar, reason varchar
);
"""


@dataclass(frozen=True)
class SourceLoad:
    """What a load did for one source.

    Attributes:
        files_new: files read, new or changed.
        files_unchanged: files whose content was already there.
        rows_read: rows of the files read, rejected ones included.
        rows_rejected: rows that could not be read at all.
        rows_total: rows of the raw table now.
        rows_delivered: rows of all files that are in it, rejected and erased ones included.
        seconds: time taken.
    """

    name: str
    files_new: int
    files_unchanged: int
    rows_read: int
    rows_rejected: int
    rows_total: int
    rows_delivered: int
    seconds: float


@dataclass(frozen=True)
class LoadReport:
    """What a load did.

    Attributes:
        inputs: what was loaded: the state that was given, a table's digest being that of the rows read.
    """

    load_id: int
    sources: tuple[SourceLoad, ...]
    inputs: InputState


def load(
    settings: Settings, mapping: Mapping, state: InputState, on_progress: Progress = lambda *_: None
) -> LoadReport:
    """Brings the raw tables up to the files, and the contract views up to the mapping.

    Args:
        state: the files as fingerprinted; a file of equal content is not read again, a changed one
            replaces its own rows, a vanished one keeps them.
        on_progress: called with a text and a row count (or None) after each step.

    Raises:
        UserError: the mapping does not fit the files, or a file cannot be read; nothing has changed then.
    """
    settings.work_dir.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(settings.warehouse_path)) as connection, opened(mapping, connection) as places:
        connection.execute(f"set TimeZone = 'UTC'; {_COMPRESSION}; begin")
        try:
            report = _load(connection, places, mapping, state, on_progress)
            connection.execute("commit")
        except BaseException:
            # A commit that failed, as on a full disk, has ended the transaction itself.
            with suppress(duckdb.TransactionException):
                connection.execute("rollback")
            raise
    return report


def check(mapping: Mapping, state: InputState) -> dict[str, list[tuple[str, str]]]:
    """Validates a mapping against its files, without a warehouse and reading no more than their beginnings.

    Returns:
        Each source's columns: (name, type).

    Raises:
        UserError: as for `load`.
    """
    with duckdb.connect() as connection, opened(mapping, connection) as places:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(_LOADS_TABLES + erasing.TABLES)
        columns = {}
        for name, source in mapping.sources.items():
            columns[name] = _prepare_table(connection, places, name, source, _files_of(state, name))
        _create_views(connection, mapping)
    return columns


def _load(
    connection: duckdb.DuckDBPyConnection, places: Places, mapping: Mapping, state: InputState, on_progress: Progress
) -> LoadReport:
    # A table goes on changing. This transaction sees one state of it: what that is, counts.
    state = replace(state, files=tuple(_again(places, file) if is_table(file.path) else file for file in state.files))
    connection.execute(_LOADS_TABLES + erasing.TABLES)
    _drop_unmapped(connection, mapping)
    load_id = _scalar(connection, "select coalesce(max(load_id), 0) + 1 from raw.loaded_files")
    pending = {
        name: _pending(connection, name, source, _files_of(state, name)) for name, source in mapping.sources.items()
    }
    # The tables' columns are known from the files' heads, so that a mapping that does not fit fails here,
    # before the first row is read.
    for name, source in mapping.sources.items():
        _prepare_table(connection, places, name, source, pending[name])
    _create_views(connection, mapping)
    sources = []
    for name, source in mapping.sources.items():
        sources.append(
            _load_source(connection, places, name, source, load_id, pending[name], _files_of(state, name), on_progress)
        )
    _check_lookups(connection, mapping)
    _touch_readers_of_lookups(connection, mapping, {name for name, files in pending.items() if files})
    erased = erasing.erase(connection, mapping, datetime.now(UTC).replace(tzinfo=None))
    if erased:
        on_progress("erased on request", erased)
    return LoadReport(load_id, tuple(sources), state)


def _load_source(
    connection: duckdb.DuckDBPyConnection,
    places: Places,
    name: str,
    source: Source,
    load_id: int,
    pending: list[InputFile],
    files: list[InputFile],
    on_progress: Progress,
) -> SourceLoad:
    started = datetime.now(UTC)
    read = rejected = 0
    for file in pending:
        for table in (f"raw.{identifier(name)} where _file", "raw.rejected_rows where source = $source and file"):
            connection.execute(
                f"delete from {table} = $file",
                {"file": file.name} | ({"source": name} if "$source" in table else {}),
            )
        erasing.forget_counts(connection, name, file.name)
        increments.touch(connection, name, file.name)
        accepted, bad = _read_file(connection, places, name, source, load_id, file)
        _verify_unchanged(places, file)
        connection.execute(
            "insert or replace into raw.loaded_files values (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                name, file.name, file.sha256, _reader(source), load_id,
                started.replace(tzinfo=None), accepted + bad, bad,
            ],
        )  # fmt: skip
        read, rejected = read + accepted + bad, rejected + bad
        on_progress(f"{name}: {file.name}", accepted + bad)
    total = _scalar(connection, f"select count(*) from raw.{identifier(name)}")
    delivered = _scalar(
        connection, f"select coalesce(sum(rows_read), 0) from raw.loaded_files where source = {literal(name)}"
    )
    seconds = (datetime.now(UTC) - started).total_seconds()
    return SourceLoad(name, len(pending), len(files) - len(pending), read, rejected, total, delivered, seconds)


def _files_of(state: InputState, source: str) -> list[InputFile]:
    return [file for file in state.files if file.source == source]


def _reader(source: Source) -> str:
    """How the file is read: a file read otherwise has to be read again."""
    options = json.dumps([source.format, source.options], sort_keys=True)
    return hashlib.sha256(options.encode()).hexdigest()


def _pending(
    connection: duckdb.DuckDBPyConnection, name: str, source: Source, files: list[InputFile]
) -> list[InputFile]:
    """Files whose content is not in the warehouse, or was read with other options."""
    rows = connection.execute("select file, sha256, reader from raw.loaded_files where source = ?", [name]).fetchall()
    loaded = {row[0]: row[1:] for row in rows}
    return [file for file in files if loaded.get(file.name) != (file.sha256, _reader(source))]


def _drop_unmapped(connection: duckdb.DuckDBPyConnection, mapping: Mapping) -> None:
    """Raw tables follow the mapping: what it no longer names goes."""
    rows = connection.execute("select distinct source from raw.loaded_files").fetchall()
    for (source,) in rows:
        if source not in mapping.sources:
            connection.execute("drop schema contract cascade; create schema contract")
            connection.execute(f"drop table raw.{identifier(source)}")
            connection.execute("delete from raw.loaded_files where source = ?", [source])
            connection.execute("delete from raw.rejected_rows where source = ?", [source])
            connection.execute("delete from raw.erased_rows where source = ?", [source])


def _prepare_table(
    connection: duckdb.DuckDBPyConnection, places: Places, name: str, source: Source, pending: list[InputFile]
) -> list[tuple[str, str]]:
    """Makes the raw table, or adds to it the columns that new files bring. Returns its columns.

    A column has a type that holds what all files bring: a decimal is not rounded because an earlier file had integers.
    It is made anew when nothing of it stays, as whenever a database's table has changed: columns that went go, and a
    type that has changed is not cast to the old one.
    """
    table = f"raw.{identifier(name)}"
    stays = connection.execute(
        "select 1 from raw.loaded_files where source = $source and not list_contains($pending, file) limit 1",
        {"source": name, "pending": [file.name for file in pending]},
    ).fetchone()
    if pending and not stays:
        connection.execute(f"drop table if exists {table}")
    connection.execute(f"create table if not exists {table} (_file varchar, _row bigint, _load_id bigint)")
    known = {row[0].lower(): row[1] for row in connection.execute(f"describe {table}").fetchall()}
    for file in pending:
        for column, sql_type in _file_columns(connection, places, source, file):
            if column in LOAD_COLUMNS:
                raise UserError(
                    f"{file.path}: a column is called {column}, a name that the loader needs.", "Rename it."
                )
            if column.lower() not in known:
                connection.execute(f"alter table {table} add column {identifier(column)} {sql_type}")
                known[column.lower()] = sql_type
            elif sql_type != known[column.lower()]:
                with _reading(places, file):
                    wide = _type_of_both(connection, file, column, known[column.lower()], sql_type)
                    connection.execute(f"alter table {table} alter {identifier(column)} type {wide}")
                known[column.lower()] = wide
    described = connection.execute(f"describe {table}").fetchall()
    return [(row[0], row[1]) for row in described if row[0] not in LOAD_COLUMNS]


def _type_of_both(connection: duckdb.DuckDBPyConnection, file: InputFile, column: str, known: str, new: str) -> str:
    """The type that DuckDB takes where values of both types come together."""
    row = connection.execute(f"describe (select null::{known} as v union all select null::{new})").fetchone()
    assert row is not None
    if row[1] == "TIMESTAMP WITH TIME ZONE":
        raise UserError(
            f"{file.path}: {column} is {new}, in other files of source '{file.source}' it is {known}.",
            "Read them as two sources, of which each can have its `timezone`.",
        )
    return str(row[1])


def _file_columns(
    connection: duckdb.DuckDBPyConnection, places: Places, source: Source, file: InputFile
) -> list[tuple[str, str]]:
    with _reading(places, file):
        match source_format(source, file.path):
            case "parquet":
                rows = connection.execute(f"describe from read_parquet({_path(file)})").fetchall()
                return [(row[0], row[1]) for row in rows]
            case "table":
                rows = connection.execute(f"describe {remote.table_sql(source, file.path)}").fetchall()
                return [(row[0], row[1]) for row in rows]
            case "lines":
                return [("line", "VARCHAR")]
            case "json":
                return [(key, "VARCHAR") for key in _json_keys(connection, source, file)]
            case "csv":
                return [(column, "VARCHAR") for column in _sniff(connection, source, file).columns]


@contextmanager
def _reading(places: Places, file: InputFile) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        places.explain(file.source, file.path, error)


def _again(places: Places, file: InputFile) -> InputFile:
    return look(places, file.source, places.look(file.source, file.name, file.path), file)


def _verify_unchanged(places: Places, file: InputFile) -> None:
    if not is_table(file.path) and _again(places, file).sha256 != file.sha256:
        raise UserError(f"{file.path} changed while it was read.", "Run again when it is complete.")


def _read_file(
    connection: duckdb.DuckDBPyConnection, places: Places, name: str, source: Source, load_id: int, file: InputFile
) -> tuple[int, int]:
    """Inserts a file's rows. Returns the numbers of rows inserted and rejected."""
    with _reading(places, file):
        match source_format(source, file.path):
            case "parquet":
                columns = "* exclude (file_row_number), file_row_number + 1 as _row"
                relation = f"read_parquet({_path(file)}, file_row_number = true)"
                return _insert(connection, name, load_id, file, columns, relation), 0
            case "table":
                # A table has no order of its own: rows are numbered as sorted by all columns, from the left.
                relation = f"(from {remote.table_sql(source, file.path)} order by all)"
                return _insert(connection, name, load_id, file, "row_number() over () as _row, *", relation), 0
            case "lines":
                relation = _lines_reader(source, file)
                return _insert_text(connection, name, load_id, file, "*", relation, "line is not null")
            case "json":
                return _insert_json(connection, name, source, load_id, file)
            case "csv":
                sniffed = _sniff(connection, source, file)
                if not sniffed.columns:
                    return 0, 0
                return _insert_text(connection, name, load_id, file, "*", sniffed.reader(file))


def _insert(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    load_id: int,
    file: InputFile,
    columns: str,
    relation: str,
) -> int:
    return _scalar(
        connection,
        f"""insert into raw.{identifier(name)} by name
        select {literal(file.name)} as _file, {load_id} as _load_id, {columns} from {relation}""",
    )


def _insert_text(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    load_id: int,
    file: InputFile,
    columns: str,
    relation: str,
    condition: str = "true",
) -> tuple[int, int]:
    """Inserts a text file's rows, and notes the lines that the reader rejects."""
    connection.execute("drop table if exists reject_errors; drop table if exists reject_scans")
    # A table keeps the order of what is inserted, on all cores; row_number() over the reader would be done on one.
    connection.execute("drop table if exists text_rows")
    connection.execute(f"create temporary table text_rows as select {columns} from {relation} where {condition}")
    accepted = _insert(
        connection, name, load_id, file, "*, rowid - (select min(rowid) from text_rows) + 1 as _row", "text_rows"
    )
    connection.execute("drop table text_rows")
    # The reader counts the header as a record, and the lines that were skipped not at all.
    header = "(select any_value(case when has_header then 1 else 0 end) from reject_scans)"
    rejected = _scalar(
        connection,
        f"""insert into raw.rejected_rows
        select {literal(name)}, {literal(file.name)}, {load_id}, line - {header},
            min_by(column_name, column_idx), left(min_by(csv_line, column_idx), 1000),
            min_by(case error_type
                when 'TOO MANY COLUMNS' then 'the row has too many columns'
                when 'MISSING COLUMNS' then 'the row has too few columns'
                when 'INVALID ENCODING' then 'the row is not valid UTF-8'
                when 'UNQUOTED VALUE' then 'a quote in the row is not closed'
                when 'LINE SIZE OVER MAXIMUM' then 'the line is too long'
                else lower(error_type) end, column_idx)
        from reject_errors group by line""",
    )
    if rejected:
        # Rows were numbered without the rejected ones: make room for these.
        connection.execute(
            f"""update raw.{identifier(name)} as accepted set _row = accepted._row + shift.rows_before
            from (
                select numbered._row, gaps.rows_before
                from raw.{identifier(name)} as numbered
                asof join (
                    select row_number - row_number() over (order by row_number) as accepted_before,
                        row_number() over (order by row_number) as rows_before
                    from raw.rejected_rows where source = $source and file = $file
                ) as gaps on numbered._row > gaps.accepted_before
                where numbered._file = $file
            ) as shift
            where accepted._file = $file and accepted._row = shift._row""",
            {"source": name, "file": file.name},
        )
    return accepted, rejected


def _path(file: InputFile) -> str:
    """The file's path for DuckDB, to which a bracket in a local name would be a pattern."""
    return literal(file.path if is_url(file.path) else escape(file.path))


def _lines_reader(source: Source, file: InputFile) -> str:
    return _csv_reader(
        file,
        {
            "delim": _NO_DELIMITER, "quote": "", "escape": "", "header": False,
            "columns": {"line": "VARCHAR"}, **source.options,
        },
    )  # fmt: skip


def _csv_reader(file: InputFile, options: dict[str, object]) -> str:
    settings = {"auto_detect": False, "store_rejects": True, **options}
    return f"read_csv({_path(file)}, {_named_arguments(settings)})"


def _named_arguments(options: dict[str, object]) -> str:
    return ", ".join(
        f"{identifier(key)} = {_struct(value) if isinstance(value, dict) else literal(value)}"
        for key, value in options.items()
    )


def _struct(value: dict[str, object]) -> str:
    return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"


def _insert_json(
    connection: duckdb.DuckDBPyConnection, name: str, source: Source, load_id: int, file: InputFile
) -> tuple[int, int]:
    keys = _json_keys(connection, source, file)
    values = ", ".join(f"line ->> {literal(_json_path(key))} as {identifier(key)}" for key in keys)
    connection.execute("drop table if exists json_lines")
    connection.execute("create temporary table json_lines (_file varchar, _row bigint, _load_id bigint, line varchar)")
    # Lines that are no object are kept as rejected rows, under the line's own number.
    connection.execute("drop table if exists reject_errors; drop table if exists reject_scans")
    connection.execute(
        f"""insert into json_lines by name
        select row_number() over () as _row, line from {_lines_reader(source, file)} where line is not null"""
    )
    accepted = (
        _insert(connection, name, load_id, file, f"_row, {values}", f"(from json_lines where {_IS_OBJECT})")
        if keys
        else 0
    )
    rejected = _scalar(
        connection,
        f"""insert into raw.rejected_rows
        select {literal(name)}, {literal(file.name)}, {load_id}, _row, null, left(line, 1000),
            'the line is not a JSON object'
        from json_lines where not {_IS_OBJECT}
        union all
        select {literal(name)}, {literal(file.name)}, {load_id}, line, null, left(any_value(csv_line), 1000),
            'the row is not valid UTF-8'
        from reject_errors group by line""",
    )
    connection.execute("drop table json_lines")
    return accepted, rejected


def _json_keys(connection: duckdb.DuckDBPyConnection, source: Source, file: InputFile) -> list[str]:
    """Keys of a JSON-lines file's objects, over the whole file: a rare key is a column too."""
    rows = connection.execute(
        f"""select distinct unnest(case when {_IS_OBJECT} then json_keys(line) end) as key
        from {_lines_reader(source, file)} order by key"""
    ).fetchall()
    return [row[0] for row in rows]


def _json_path(key: str) -> str:
    return '$."' + key.replace('"', '\\"') + '"'


@dataclass(frozen=True)
class _Sniffed:
    """A CSV file's columns and the options with which it is read."""

    columns: tuple[str, ...]
    options: dict[str, object]

    def reader(self, file: InputFile) -> str:
        return _csv_reader(file, {**self.options, "columns": dict.fromkeys(self.columns, "VARCHAR")})


def _sniff(connection: duckdb.DuckDBPyConnection, source: Source, file: InputFile) -> _Sniffed:
    """Finds the delimiter and the columns; all else is as the mapping says, or RFC 4180."""
    if file.size == 0:
        return _Sniffed((), {})
    options: dict[str, object] = {"header": True, "quote": '"', "escape": '"', **source.options}
    if ".tsv" in location_suffixes(file.path):
        options.setdefault("delim", "\t")
    sniffed = connection.execute(
        f"""select delimiter, columns, skiprows from sniff_csv(
            {_path(file)}, all_varchar = true, ignore_errors = true, {_named_arguments(options)})"""
    ).fetchone()
    assert sniffed is not None
    options.setdefault("delim", sniffed[0])
    options.pop("names", None)
    return _Sniffed(tuple(column["name"] for column in sniffed[1]), options)


def _touch_readers_of_lookups(connection: duckdb.DuckDBPyConnection, mapping: Mapping, changed: set[str]) -> None:
    """Every row of a feed may read differently when a source that it looks up has changed."""
    for feed in (feed for feeds in mapping.feeds.values() for feed in feeds):
        if changed.intersection(feed.lookups):
            files = connection.execute("select file from raw.loaded_files where source = ?", [feed.source]).fetchall()
            for (file,) in files:
                increments.touch(connection, feed.source, file)


def _check_lookups(connection: duckdb.DuckDBPyConnection, mapping: Mapping) -> None:
    """A lookup joins at most one row, or it would multiply the rows of its feed."""
    for table, feeds in mapping.feeds.items():
        for feed in feeds:
            for lookup in feed.lookups:
                keys = list(map(identifier, feed.lookup_keys(lookup).values()))
                several = connection.execute(
                    f"""select {", ".join(keys)}, count(*) from raw.{identifier(lookup)}
                    where {" and ".join(f"{key} is not null" for key in keys)}
                    group by all having count(*) > 1 order by all limit 1"""
                ).fetchone()
                if several:
                    raise UserError(
                        f"{mapping.path}: {table} (from {feed.source}) looks up '{lookup}' by "
                        f"{', '.join(feed.lookup_keys(lookup).values())}, which must be unique there, but "
                        f"{', '.join(map(str, several[:-1]))} stands in {several[-1]} rows.",
                        "Name more columns, or read a source that has one row for each.",
                    )


def _create_views(connection: duckdb.DuckDBPyConnection, mapping: Mapping) -> None:
    """Schema `contract`: the raw rows through the mapping, and the loader's accounts."""
    for table in contract_tables():
        feeds = mapping.feeds.get(table, [])
        selects = [f"from ({feed_sql(connection, mapping, table, feed)})" for feed in feeds]
        _create_view(connection, table, "\nunion all by name ".join(selects) or empty_sql(table))
    fed = [(table, feed) for table, feeds in mapping.feeds.items() for feed in feeds]
    pairs = ", ".join(f"({literal(table)}, {literal(feed.source)})" for table, feed in fed)
    _create_view(
        connection,
        "loaded_files",
        f"""select table_name, source, file as source_file, load_id, loaded_at, rows_read
        from raw.loaded_files join (values {pairs}) as feeds (table_name, source) using (source)""",
    )
    _create_view(
        connection,
        "rejected_rows",
        f"""select table_name, file as source_file, row_number as source_row, load_id,
            column_name as rejected_column, line as rejected_value, reason
        from raw.rejected_rows join (values {pairs}) as feeds (table_name, source) using (source)""",
    )
    _create_view(
        connection,
        "erased_rows",
        f"""select table_name, source, file as source_file, load_id, row_count
        from raw.erased_rows join (values {pairs}) as feeds (table_name, source) using (source)""",
    )
    counts = [filtered_sql(table, feed) for table, feed in fed if feed.where]
    none = """select cast(null as varchar) as table_name, cast(null as bigint) as load_id,
        cast(null as varchar) as source_file, cast(null as bigint) as filtered_count where false"""
    _create_view(connection, "filtered_rows", " union all ".join([*counts, none]))


def _create_view(connection: duckdb.DuckDBPyConnection, name: str, sql: str) -> None:
    connection.execute(f"create or replace view contract.{identifier(name)} as {sql}")


def _scalar(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return int(row[0])
