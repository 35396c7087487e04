"""What other rules would change: who would move, how many would hold each tier, what it would cost.

Figures of a year are of the last twelve complete months. A member-month is a tier held when a month begins, that is on
the eve of its first day, as in tier_movements.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.lib.sql import literal

if TYPE_CHECKING:
    import duckdb
    from rich.table import Table

SIDES = ("built", "simulated")
STAYS = "stays"
MOVES = ("up", "down", "joins", "leaves", STAYS)
_NO_MEMBER = "no member"

_YEAR = """
create table comparison.year as
select data_end_on, until_on, cast(until_on - interval 12 months as date) as from_on
from (
    select data_end_on, cast(date_trunc('month', data_end_on + 1) as date) as until_on
    from warehouse.intermediate.int_data_window
)
"""
# Of first days of months after valid_from and not after valid_to the tier is held on the eve.
_TIERS = """
create table comparison.{side}_tiers as
with held as (
    select
        program_id, tier,
        sum(greatest(0, date_diff(
            'month', greatest(valid_from, from_on - 1), least(coalesce(valid_to, until_on), until_on - 1)
        )))::bigint as member_months
    from {side}.tier_history
    cross join comparison.year
    group by program_id, tier
),
counts as (
    select program_id, tier, count(*) as member_count
    from {side}.member_tiers
    group by program_id, tier
)
select
    program_id, tier, tier_rank, benefit_cost_amount,
    coalesce(member_count, 0) as member_count, coalesce(member_months, 0) as member_months
from {side}.tiers
left join held using (program_id, tier)
left join counts using (program_id, tier)
"""
# Where tiers are inserted, a tier of now is as high as its name is under the other rules, if it is there.
_MEMBERS = f"""
create table comparison.members as
with revenue as (
    select customer_id, sum(net_at_order_date_amount) as net_amount
    from marts.core.fct_customer_months
    inner join comparison.year on month >= from_on and month < until_on
    group by customer_id
)
select
    program_id, customer_id, built.tier as from_tier, simulated.tier as to_tier,
    case
        when built.tier is null then 'joins'
        when simulated.tier is null then 'leaves'
        when simulated.tier_rank > coalesce(tiers.tier_rank, built.tier_rank) then 'up'
        when simulated.tier_rank < coalesce(tiers.tier_rank, built.tier_rank) then 'down'
        else '{STAYS}'
    end as move,
    coalesce(revenue.net_amount, 0) as net_amount
from built.member_tiers as built
full join simulated.member_tiers as simulated using (program_id, customer_id)
left join simulated.tiers as tiers on built.program_id = tiers.program_id and built.tier = tiers.tier
left join revenue using (customer_id)
"""
_MOVERS = """
copy (
    select program_id, customer_id, from_tier, to_tier, move, net_amount
    from comparison.members
    where move <> {stays}
    order by program_id, customer_id
) to {path} (format csv, header)
"""
_HELD = """
select
    tier,
    coalesce(built.member_count, 0) as now_count,
    coalesce(simulated.member_count, 0) as then_count,
    then_count - now_count,
    coalesce(built.member_months, 0) / 12 as now_mean,
    coalesce(simulated.member_months, 0) / 12 as then_mean,
    then_mean - now_mean
from comparison.built_tiers as built
full join comparison.simulated_tiers as simulated using (program_id, tier)
where program_id = ?
order by coalesce(simulated.tier_rank, built.tier_rank), tier
"""
_COSTS = {
    "benefits of the tiers": """
        select sum(member_months * benefit_cost_amount) from comparison.{side}_tiers where program_id = ?
    """,
    "points given": """
        select sum(expected_cost_amount)
        from {side}.points_liability
        inner join comparison.year on vintage_month >= from_on and vintage_month < until_on
        where program_id = ?
    """,
}
"""What costs something, and how much in the year."""


@dataclass(frozen=True)
class Cost:
    """What something costs in the year, in the reporting currency: as it was, and as it would have been."""

    what: str
    now: Decimal
    then: Decimal


def compare(connection: duckdb.DuckDBPyConnection) -> None:
    """Writes the schema `comparison` beside what `simulating.simulated` gives; all else here reads it."""
    connection.execute("create schema comparison")
    connection.execute(_YEAR)
    for side in SIDES:
        connection.execute(_TIERS.format(side=side))
    connection.execute(_MEMBERS)


def write_movers(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Writes who would move as CSV, by programme and customer; how many they are."""
    row = connection.execute(_MOVERS.format(stays=literal(STAYS), path=literal(str(path)))).fetchone()
    assert row
    return int(row[0])


def programs(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The programmes of either side, by name."""
    either = "from built.tiers select program_id union from simulated.tiers select program_id order by program_id"
    return [program for (program,) in connection.execute(either).fetchall()]


def costs(connection: duckdb.DuckDBPyConnection, program: str) -> list[Cost]:
    """What a programme costs, by kind."""
    found = []
    for what, query in _COSTS.items():
        rows = [connection.execute(query.format(side=side), [program]).fetchone() for side in SIDES]
        now, then = (row[0] if row and row[0] else Decimal(0) for row in rows)
        found.append(Cost(what, now, then))
    return found


def tables(connection: duckdb.DuckDBPyConnection, currency: str) -> Iterator[tuple[str, Table]]:
    """The comparison to be shown: a few tables for each programme, with what they say."""
    row = connection.execute("select data_end_on, from_on, until_on - 1 from comparison.year").fetchone()
    assert row
    data_end_on, year = row[0], f"{row[1]} to {row[2]}"
    for program in programs(connection):
        yield (
            f"{program}: members on {data_end_on}, tiers now in rows and then in columns",
            _matrix(connection, program),
        )
        yield (
            f"{program}: who would move, and what they bought from {year}",
            _table(("", "members", f"net amount, {currency}"), _moves(connection, program)),
        )
        yield (
            f"{program}: members by tier on {data_end_on}, and on average from {year}",
            _table(
                ("", "now", "then", "change", "average now", "then", "change"),
                connection.execute(_HELD, [program]).fetchall(),
            ),
        )
        yield (
            f"{program}: cost from {year}, {currency}",
            _table(
                ("", "now", "then", "change"),
                [(cost.what, cost.now, cost.then, cost.then - cost.now) for cost in costs(connection, program)],
            ),
        )


def _matrix(connection: duckdb.DuckDBPyConnection, program: str) -> Table:
    cells = {
        (from_tier, to_tier): count
        for from_tier, to_tier, count in connection.execute(
            "select from_tier, to_tier, count(*) from comparison.members where program_id = ? group by all", [program]
        ).fetchall()
    }
    sides = []
    for number, side in enumerate(SIDES):
        names = f"select tier from {side}.tiers where program_id = ? order by tier_rank"
        tiers: list[str | None] = [tier for (tier,) in connection.execute(names, [program]).fetchall()]
        sides.append(tiers + [None] * any(pair[number] is None for pair in cells))
    rows, columns = sides
    return _table(
        ("", *(tier or _NO_MEMBER for tier in columns)),
        [(row or _NO_MEMBER, *(cells.get((row, column), 0) for column in columns)) for row in rows],
    )


def _moves(connection: duckdb.DuckDBPyConnection, program: str) -> list[tuple[Any, ...]]:
    found = {
        move: (count, net_amount)
        for move, count, net_amount in connection.execute(
            "select move, count(*), sum(net_amount) from comparison.members where program_id = ? group by move",
            [program],
        ).fetchall()
    }
    # Nobody joins or leaves unless it is for whom the programme is that changes.
    shown = [move for move in MOVES if move in found or move in ("up", "down", STAYS)]
    return [(move, *found.get(move, (0, Decimal(0)))) for move in shown]


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(_text, row))
    return table


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:,.2f}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
