"""A feed as SQL: raw rows through the mapping's expressions, cast to the contract's types.

An expression that fails on a row does not fail the run: the row comes out with `rejected_column`,
`rejected_value` and `reason`, and staging quarantines it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import duckdb

from orchestration.lib.contract import ContractColumn, ContractTable, contract_tables
from orchestration.lib.errors import UserError
from orchestration.lib.mapping import Feed, Mapping
from orchestration.lib.sql import identifier, literal

LOAD_COLUMNS = ("_file", "_row", "_load_id")
SQL_TYPES = {
    "text": "varchar",
    "timestamp": "timestamp",
    "date": "date",
    "amount": "decimal(18, 4)",
    "number": "double",
    "integer": "bigint",
    "boolean": "boolean",
}
# Unicode white space at either end: RE2's \s is ASCII only, and DuckDB's trim() knows blanks only. A class for
# trim() was measured ten times slower than this.
_OUTER_SPACE = r"^[\s\x0b\pZ\x{85}]+|[\s\x0b\pZ\x{85}]+$"
_HAS_OFFSET = r"(Z|z|[+-]\d{2}(:?\d{2})?)\s*$"


@dataclass(frozen=True)
class _Expression:
    """One mapped column: the expression, its type, and the source columns it reads."""

    column: ContractColumn
    sql: str
    sql_type: str
    references: tuple[str, ...]

    @property
    def is_plain(self) -> bool:
        """Whether it is just a column, which cannot fail."""
        return [self.sql.strip().replace('"', "")] == [name.replace('"', "") for name in self.references]


def feed_sql(connection: duckdb.DuckDBPyConnection, mapping: Mapping, table: str, feed: Feed) -> str:
    """SELECT that gives a contract table's rows: those of `row_sql`, summed to orders where the grain says so."""
    sql = row_sql(connection, mapping, table, feed)
    return _orders_from_lines(contract_tables()[table], sql) if feed.grain == "order_line" else sql


def row_sql(connection: duckdb.DuckDBPyConnection, mapping: Mapping, table: str, feed: Feed) -> str:
    """SELECT that gives a contract table's columns, a row for each raw row of a feed.

    Columns: source_file, source_row, load_id, source_row_count, the contract's columns in their types,
    rejected_column, rejected_value, reason.

    Raises:
        UserError: an expression does not compile, or names a column that the source lacks.
    """
    contract = contract_tables()[table]
    relation = _relation(feed)
    expressions = _compiled(connection, mapping, table, feed, relation)
    where = _compiled_where(connection, mapping, table, feed, relation)
    timezone = mapping.sources[feed.source].timezone

    evaluated = [
        f"try(struct_pack(v := (\n{e.sql}\n))) as e_{name}" if not e.is_plain else f"{e.sql} as e_{name}"
        for name, e in expressions.items()
    ]
    came = [
        f"concat_ws(', ', {', '.join(f'cast({r} as varchar)' for r in e.references)}) as t_{name}"
        for name, e in expressions.items()
        if not e.is_plain and e.references
    ]
    condition = f"try(struct_pack(v := (\n{feed.where}\n))) as e_where" if feed.where is not None else "null as e_where"
    values = [f"{_value(e)} as v_{name}" for name, e in expressions.items()]
    casts = [f"{_cast(f'v_{name}', e, timezone)} as c_{name}" for name, e in expressions.items()]
    rejections = [_rejection(name, e) for name, e in expressions.items()]
    if where is not None:
        rejections.insert(0, ("e_where is null", "where", _text(where), "the condition fails on this row"))
    # `came` texts are only read on rejection; the optimizer drops what no case branch needs.
    rejected = {
        "rejected_column": _case(rejections, 1, quote=True),
        "rejected_value": _case(rejections, 2, quote=False),
        "reason": _case(rejections, 3, quote=True),
    }
    finals = [
        f"c_{column.name} as {column.name}"
        if column.name in expressions
        else f"cast(null as {SQL_TYPES[column.contract_type]}) as {column.name}"
        for column in contract.columns
    ]
    return f"""
select
    _file as source_file, _row as source_row, _load_id as load_id, cast(1 as bigint) as source_row_count,
    {", ".join(finals)},
    {", ".join(f"{expression} as {name}" for name, expression in rejected.items())}
from (
    select *, {", ".join(casts)}
    from (
        select *, {", ".join(values)}
        from (
            select {", ".join(f"source.{c}" for c in LOAD_COLUMNS)},
                {", ".join([*evaluated, *came, *_where_text(where), condition])}
            from {relation}
        )
        {"where e_where is null or e_where.v" if feed.where is not None else ""}
    )
)"""


def filtered_sql(table: str, feed: Feed) -> str:
    """SELECT that counts the rows which a feed's `where` leaves out, per file."""
    return f"""
select {literal(table)} as table_name, _load_id as load_id, _file as source_file, count(*) as filtered_count
from (
    select {", ".join(f"source.{c}" for c in LOAD_COLUMNS)}, try(struct_pack(v := (\n{feed.where}\n))) as e_where
    from {_relation(feed)}
)
where e_where is not null and e_where.v is not true
group by all"""


def empty_sql(table: str) -> str:
    """SELECT of no rows with a contract table's columns, for a table that the mapping leaves out."""
    columns = [f"cast(null as {SQL_TYPES[c.contract_type]}) as {c.name}" for c in contract_tables()[table].columns]
    return f"""
select cast(null as varchar) as source_file, cast(null as bigint) as source_row, cast(null as bigint) as load_id,
    cast(null as bigint) as source_row_count, {", ".join(columns)},
    cast(null as varchar) as rejected_column, cast(null as varchar) as rejected_value,
    cast(null as varchar) as reason
where false"""


def _relation(feed: Feed) -> str:
    """The feed's raw table as `source`, its lookups joined under their own names."""
    joins = [f"raw.{identifier(feed.source)} as source"]
    for lookup in feed.lookups:
        keys = feed.lookup_keys(lookup)
        columns = f"raw.{identifier(lookup)}"
        for hidden in LOAD_COLUMNS:
            # One by one: DuckDB keeps a list of them in no order, and a view that reads otherwise counts as changed.
            columns = f"(select * exclude ({hidden}) from {columns})"
        columns += f" as {identifier(lookup)}"
        if all(ours == theirs for ours, theirs in keys.items()):
            joins.append(f"left join {columns} using ({', '.join(map(identifier, keys))})")
        else:
            condition = " and ".join(
                f"source.{identifier(ours)} = {identifier(lookup)}.{identifier(theirs)}"
                for ours, theirs in keys.items()
            )
            joins.append(f"left join {columns} on {condition}")
    return "\n".join(joins)


def _compiled(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, table: str, feed: Feed, relation: str
) -> dict[str, _Expression]:
    """Each mapped expression with its type, found by letting DuckDB bind it alone."""
    columns = {column.name: column for column in contract_tables()[table].columns}
    own = {row[0].lower() for row in _describe(connection, feed.source)}
    compiled = {}
    for name, sql in feed.columns.items():
        # A column's bare name may be one that SQL would not take unquoted: order, at, Invoice Date.
        if sql.strip().lower() in own:
            sql = identifier(sql.strip())
        sql_type = _bind(connection, mapping, table, name, feed, relation, sql)
        compiled[name] = _Expression(columns[name], sql, sql_type, _references(connection, sql))
    return compiled


def _compiled_where(
    connection: duckdb.DuckDBPyConnection, mapping: Mapping, table: str, feed: Feed, relation: str
) -> tuple[str, ...] | None:
    """Source columns that the feed's condition reads; None where there is no condition."""
    if feed.where is None:
        return None
    sql_type = _bind(connection, mapping, table, "where", feed, relation, feed.where)
    if sql_type != "BOOLEAN":
        raise UserError(
            f"{mapping.path}: {table} (from {feed.source}), where: `{feed.where}` is {sql_type}, not a condition."
        )
    return _references(connection, feed.where)


def _bind(
    connection: duckdb.DuckDBPyConnection,
    mapping: Mapping,
    table: str,
    column: str,
    feed: Feed,
    relation: str,
    sql: str,
) -> str:
    try:
        described = connection.execute(f"describe select (\n{sql}\n) as v from {relation}").fetchone()
    except duckdb.Error as error:
        reason = str(error).split("\n")[0]
        raise UserError(
            f"{mapping.path}: {table} (from {feed.source}), {column}: `{sql}` does not compile: {reason}",
            _source_columns(connection, feed),
        ) from error
    assert described is not None
    return str(described[1])


def _describe(connection: duckdb.DuckDBPyConnection, source: str) -> list[tuple[str, str]]:
    """A raw table's columns: (name, type)."""
    rows = connection.execute(f"describe raw.{identifier(source)}").fetchall()
    return [(row[0], row[1]) for row in rows]


def _source_columns(connection: duckdb.DuckDBPyConnection, feed: Feed) -> str:
    parts = []
    for source in [feed.source, *feed.lookups]:
        rows = _describe(connection, source)
        names = [f"{row[0]} ({row[1].lower()})" for row in rows if row[0] not in LOAD_COLUMNS]
        parts.append(f"Columns of '{source}': {', '.join(names) or 'none'}.")
        if not names:
            parts.append("Its files are empty, or hold something else than their ending says.")
        elif len(names) == 1:
            parts.append("It came as a single column: is the delimiter another? Say so by `options: {delim: …}`.")
    return "\n".join(parts) + (
        "\n_file and _row (the file's name, the row's number in it) can be used too. In an expression, a name "
        'that is an SQL word or has blanks needs double quotes: "order".'
    )


def _references(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[str, ...]:
    """Columns that an expression reads, in order, as SQL."""
    row = connection.execute("select json_serialize_sql(?)", [f"select (\n{sql}\n)"]).fetchone()
    assert row is not None
    found: dict[str, None] = {}

    def visit(node: object) -> None:
        if isinstance(node, dict):
            if node.get("class") == "COLUMN_REF":
                found[".".join(map(identifier, node["column_names"]))] = None
            for value in node.values():
                visit(value)
        elif isinstance(node, list):
            for value in node:
                visit(value)

    visit(json.loads(row[0]))
    return tuple(found)


def _value(expression: _Expression) -> str:
    """What the expression gave, NULL where it failed."""
    name = expression.column.name
    return f"e_{name}" if expression.is_plain else f"e_{name}.v"


def _cast(value: str, expression: _Expression, timezone: str) -> str:
    """A value in the contract's type; NULL where it cannot be cast."""
    contract_type, came_as = expression.column.contract_type, expression.sql_type
    is_text = came_as == "VARCHAR"
    match contract_type:
        case "text":
            text = value if is_text else f"cast({value} as varchar)"
            if came_as in ("VARCHAR", "JSON") or came_as.startswith("ENUM"):
                text = f"regexp_replace({text}, {literal(_OUTER_SPACE)}, '', 'g')"
            return f"nullif({text}, '')"
        case "timestamp":
            return _cast_timestamp(value, came_as, timezone)
        case "integer":
            # A cast of '1.5' to an integer would round it silently.
            number = f"try_cast({value} as decimal(18, 4))"
            return f"case when {number} = floor({number}) then cast({number} as bigint) end"
        case "number":
            return f"case when isfinite(try_cast({value} as double)) then try_cast({value} as double) end"
        case _:
            return f"try_cast({value} as {SQL_TYPES[contract_type]})"


def _cast_timestamp(value: str, came_as: str, timezone: str) -> str:
    """A timestamp in UTC: one without an offset is taken in the source's zone."""
    aware = f"timezone('UTC', try_cast({value} as timestamptz))"
    if came_as == "TIMESTAMP WITH TIME ZONE":
        return aware
    naive = f"try_cast({value} as timestamp)"
    if timezone != "UTC":
        naive = f"timezone('UTC', timezone({literal(timezone)}, {naive}))"
    if came_as != "VARCHAR":
        return naive
    has_offset = f"regexp_matches({value}, {literal(_HAS_OFFSET)}) and length({value}) > 10"
    return f"case when {has_offset} then {aware} else {naive} end"


def _rejection(name: str, expression: _Expression) -> tuple[str, str, str, str]:
    """Condition under which the column cannot be read; its name, value and reason."""
    came = f"t_{name}" if not expression.is_plain and expression.references else f"cast(v_{name} as varchar)"
    given = f"trim(v_{name}) <> ''" if expression.sql_type == "VARCHAR" else f"v_{name} is not null"
    failed = f"c_{name} is null and {given}"
    if expression.column.contract_type == "text":
        failed = "false"
    if not expression.is_plain:
        failed = f"e_{name} is null or ({failed})"
    return failed, name, came, f"cannot be read as {expression.column.contract_type}"


def _case(rejections: list[tuple[str, str, str, str]], part: int, *, quote: bool) -> str:
    branches = [f"when {r[0]} then {literal(r[part]) if quote else r[part]}" for r in rejections if r[0] != "false"]
    return f"case {' '.join(branches)} end" if branches else "cast(null as varchar)"


def _text(references: tuple[str, ...]) -> str:
    return "t_where" if references else "cast(null as varchar)"


def _where_text(references: tuple[str, ...] | None) -> list[str]:
    if not references:
        return []
    return [f"concat_ws(', ', {', '.join(f'cast({r} as varchar)' for r in references)}) as t_where"]


def _orders_from_lines(contract: ContractTable, lines_sql: str) -> str:
    """Lines summed to orders, an order within one file.

    An order of which one line cannot be read is rejected whole: a partial amount would be a wrong one.
    """
    columns = []
    for column in contract.columns:
        name, sql_type = column.name, SQL_TYPES[column.contract_type]
        if name == "order_id":
            columns.append(name)
        elif name == "amount":
            columns.append(f"case when count(*) = count({name}) then cast(sum({name}) as {sql_type}) end as {name}")
        elif column.contract_type == "amount":
            columns.append(f"cast(sum({name}) as {sql_type}) as {name}")
        elif column.contract_type == "timestamp":
            columns.append(f"{'max' if name == 'updated_at' else 'min'}({name}) as {name}")
        else:
            columns.append(f"min({name}) as {name}")
    several = "min(customer_id) <> max(customer_id)"

    def first(column: str) -> str:
        return f"min_by({column}, source_row) filter (where reason is not null)"

    return f"""
select
    source_file, min(source_row) as source_row, max(load_id) as load_id, count(*) as source_row_count,
    {", ".join(columns)},
    case when {several} then 'customer_id' else {first("rejected_column")} end as rejected_column,
    case when {several} then min(customer_id) || ', ' || max(customer_id)
        else {first("rejected_value")} end as rejected_value,
    case when {several} then 'the lines of the order name different customers'
        else {first("reason")} end as reason
from ({lines_sql})
group by source_file, order_id, case when order_id is null then source_row end"""
