"""The world onto disk: a file a month per table, the mapping, and the truth beside them. Same world, same bytes."""

from __future__ import annotations

import gzip
import hashlib
import json
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import yaml

from orchestration.lib.sql import literal
from orchestration.lib.tiers import rules as rule_files
from orchestration.synthetic import rules, truth
from orchestration.synthetic.dirt import BROKEN_LINE_SHARE, BROKEN_LINES, EXTRA, is_csv, planted
from orchestration.synthetic.sales import customer_id_sql
from orchestration.synthetic.tables import Table, added_sql, rows_sql, tables
from orchestration.synthetic.world import CHURN_CAUSES, OWN_BRAND, TIERS, World

MAPPING = "synthetic.yml"
RULES = "rules"
# 19 MB of orders: level 4 takes 0.3 s for 4.9 MB, the usual level 6 0.7 s for 4.6 MB.
_GZIP_LEVEL = 4
_DIRT = """
create table dirt (table_name varchar, file varchar, row bigint, record_id varchar, kind varchar, fate varchar,
    rejected_column varchar, reason varchar)
"""


def write(connection: duckdb.DuckDBPyConnection, world: World, folder: Path) -> None:
    """Writes the world that stands in the connection's tables into an empty folder."""
    connection.execute(_DIRT)
    with ThreadPoolExecutor(max_workers=2) as pool:
        packing: list[Future[None]] = []
        for table in tables(world):
            if isinstance(table.relation, str):
                connection.execute(f"create table {table.relation}_added as {added_sql(world, table)}")
            for month in range(world.months):
                packing += _write_month(connection, world, table, month, folder, pool)
        for month in range(world.months):
            packing += _write_merges(connection, world, month, folder, pool)
        packing += _write_erasures(connection, world, folder, pool)
        for task in packing:
            task.result()
    (folder / "truth").mkdir()
    for name, sql in truth.facts(world).items():
        _copy(connection, sql, folder / "truth" / f"{name}.parquet")
    (folder / "truth" / "world.json").write_text(json.dumps(_about(world), indent=2) + "\n", encoding="utf-8")
    (folder / RULES).mkdir()
    rule_files.write(folder / RULES, rules.lines())
    (folder / MAPPING).write_text(_mapping(world, folder), encoding="utf-8")


def _write_month(
    connection: duckdb.DuckDBPyConnection,
    world: World,
    table: Table,
    month: int,
    folder: Path,
    pool: ThreadPoolExecutor,
) -> list[Future[None]]:
    connection.execute(f"create or replace temporary table part as {rows_sql(world, table, month)}")
    rows = _scalar(connection, "select count(*) from part")
    if not rows:
        return []
    file = _file_name(world, table.name, month)
    _note_dirt(connection, world, table.name, file)
    broken = _broken_lines(connection, world, table, month, file, rows)
    columns = "* exclude (_record_id, _kind, _copy, _late, _erased)"
    return _put(connection, f"select {columns} from part", folder / file, pool, broken)


def _note_dirt(connection: duckdb.DuckDBPyConnection, world: World, table: str, file: str) -> None:
    """What is wrong with the rows of the file in `part`, and what has to become of them."""
    defects = planted(world, table)
    outcomes = []
    for defect in defects:
        for copy, fate in enumerate(EXTRA.get(defect.kind, (defect.fate,))):
            reason = (defect.column, defect.reason) if fate == "quarantined" else (None, None)
            outcomes.append((defect.kind, copy, fate, *reason))
    values = ", ".join(f"({', '.join('null' if v is None else literal(v) for v in row)})" for row in outcomes)
    connection.execute(
        f"""insert into dirt
        select {literal(table)}, {literal(file)}, part.rowid + 1, part._record_id, outcomes.kind, outcomes.fate,
            outcomes.rejected_column, outcomes.reason
        from part
        join (values {values}) as outcomes (kind, copy, fate, rejected_column, reason)
            on outcomes.kind = part._kind and outcomes.copy = part._copy
        union all
        select {literal(table)}, {literal(file)}, rowid + 1, _record_id,
            case when _erased then 'erasure' else 'late' end,
            case when _erased then 'erased' else 'accepted' end, null, null
        from part where _erased or (_late and _kind is null)"""
    )


def _broken_lines(
    connection: duckdb.DuckDBPyConnection, world: World, table: Table, month: int, file: str, rows: int
) -> bytes:
    """Lines for the end of a CSV file of orders that its reader cannot take."""
    if table.name != "orders" or not is_csv(world, table.name):
        return b""
    lines = []
    for kind, reason in BROKEN_LINES:
        luck = world.salt(f"{kind} {month}") / 2**64
        for number in range(int(rows * BROKEN_LINE_SHARE * world.dirt + luck * (world.dirt > 0))):
            record = f"broken-{month}-{kind}-{number}"
            width = len(table.columns) + 1
            day = f"{world.month_start(month)} 10:00:00"
            cells = [record.encode(), b"", day.encode(), b"9.99", b"EUR", b"completed"]
            cells += [b""] * (width - len(cells))
            match kind:
                case "too_many_columns":
                    cells.append(b"surplus")
                case "invalid_utf8":
                    cells[6] = b"caf\xe9"
                case "too_few_columns":
                    cells = cells[:4]
            lines.append(b",".join(cells) + b"\n")
            connection.execute(
                "insert into dirt values ('orders', ?, ?, ?, ?, 'quarantined', null, ?)",
                [file, rows + len(lines), record, kind, reason],
            )
    return b"".join(lines)


def _write_merges(
    connection: duckdb.DuckDBPyConnection, world: World, month: int, folder: Path, pool: ThreadPoolExecutor
) -> list[Future[None]]:
    """The identity map comes as a whole each month: what has not changed is a copy of a row that was there."""
    connection.execute(
        f"""create or replace temporary table part as
        select alias_id, customer_id, valid_from, valid_to, updated_at, first_month, is_erased, kind, fate,
            rejected_column, reason
        from merges where {month} between first_month and last_month
        order by alias_id, valid_from, customer_id"""
    )
    if not _scalar(connection, "select count(*) from part"):
        return []
    file = _file_name(world, "identity_map", month)
    connection.execute(
        f"""insert into dirt
        select 'identity_map', {literal(file)}, rowid + 1, alias_id,
            case when is_erased then 'erasure' when first_month < {month} then 'extract_again' else kind end,
            case when is_erased then 'erased' when first_month < {month} then 'copy' else fate end,
            case when first_month = {month} then rejected_column end, case when first_month = {month} then reason end
        from part where is_erased or first_month < {month} or kind is not null"""
    )
    columns = "alias_id, customer_id, valid_from, valid_to, updated_at"
    return _put(connection, f"select {columns} from part", folder / file, pool)


def _write_erasures(
    connection: duckdb.DuckDBPyConnection, world: World, folder: Path, pool: ThreadPoolExecutor
) -> list[Future[None]]:
    sql = f"""select {customer_id_sql("customer_key")} as customer_id, erased_at as requested_at
        from people where erased_at is not null order by customer_key"""
    return _put(connection, sql, folder / _file_name(world, "erasures", None), pool)


def _put(
    connection: duckdb.DuckDBPyConnection, sql: str, path: Path, pool: ThreadPoolExecutor, more: bytes = b""
) -> list[Future[None]]:
    """Writes rows as a file, and some bytes after them. CSV is packed on the side: DuckDB takes four times as long."""
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".parquet":
        _copy(connection, sql, path)
        return []
    plain = path.with_suffix("")
    connection.execute(f"copy ({sql}) to {literal(str(plain))} (format csv, header true)")
    return [pool.submit(_pack, plain, path, more)]


def _pack(plain: Path, path: Path, more: bytes) -> None:
    # Neither a name nor a time in the header: the same content is the same file.
    with (
        plain.open("rb") as source,
        path.open("wb") as target,
        gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=target, mtime=0) as packed,
    ):
        while chunk := source.read(1 << 20):
            packed.write(chunk)
        packed.write(more)
    plain.unlink()


def _copy(connection: duckdb.DuckDBPyConnection, sql: str, path: Path) -> None:
    connection.execute(f"copy ({sql}) to {literal(str(path))} (format parquet, compression zstd)")


def _file_name(world: World, table: str, month: int | None) -> str:
    ending = "csv.gz" if is_csv(world, table) else "parquet"
    if month is None:
        return f"{table}/{table}.{ending}"
    return f"{table}/{table}_{world.month_start(month):%Y-%m}.{ending}"


def _mapping(world: World, folder: Path) -> str:
    """A mapping as a user would write it; every file is where it says, and named as the contract has it."""
    content: dict[str, Any] = {
        "dataset": "synthetic",
        "is_synthetic": True,
        "business_timezone": "UTC",
        "reporting_currency": "EUR",
        "data_end": world.end,
        "seeds": {seed: f"{RULES}/{seed}.csv" for seed in rules.lines()},
        "vars": {"own_brands": [OWN_BRAND]},
        "sources": {},
    }
    columns = {table.name: [*table.columns, "updated_at"] for table in tables(world)}
    columns["identity_map"] = ["alias_id", "customer_id", "valid_from", "valid_to", "updated_at"]
    columns["erasures"] = ["customer_id", "requested_at"]
    # A world of a few people may be without a refund: a source without a file has no columns to map.
    for table, names in ((table, names) for table, names in columns.items() if (folder / table).is_dir()):
        content["sources"][table] = f"{table}/*.{'csv.gz' if is_csv(world, table) else 'parquet'}"
        content[table] = {"from": table, "columns": {name: name for name in names}}
    note = (
        f"# Synthetic data: {world.customers} customers, {world.months} months, seed {world.seed}, dirt {world.dirt}.\n"
        f"# Nobody in it exists. What is true of them is in truth/.\n"
    )
    return note + str(yaml.safe_dump(content, sort_keys=False))


def _about(world: World) -> dict[str, Any]:
    return {
        "is_synthetic": True,
        "customers": world.customers,
        "months": world.months,
        "seed": world.seed,
        "dirt": world.dirt,
        "layout": world.layout,
        "start": str(world.start),
        "end": str(world.end),
        "own_brand": OWN_BRAND,
        "churn_causes": {cause: initiator for cause, (initiator, _) in CHURN_CAUSES.items()},
        "tiers_by_net_spend_of_the_12_months_before": TIERS,
    }


def digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all files."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return total.hexdigest()


def _scalar(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return int(row[0])
