"""Profiles, aliases and erasures: who says to be whom, and who wants to be forgotten."""

from __future__ import annotations

import duckdb

from orchestration.synthetic.dirt import kind_sql
from orchestration.synthetic.sales import ALIAS, MAIN, arrival_sql, customer_id_sql, month_sql
from orchestration.synthetic.world import World

# The stories below would be more than the usual share of defects in a smaller file.
LEAST_ROWS_FOR_STORIES = 500


def create(connection: duckdb.DuckDBPyConnection, world: World) -> None:
    """Tables `profiles` and `merges`."""
    connection.execute(f"create table profiles as {_profiles_sql(world)}")
    connection.execute(f"create table merges as {_merges_sql(world)}")
    if world.dirt > 0 and _snapshot_rows(connection, world) >= LEAST_ROWS_FOR_STORIES:
        connection.execute(f"insert into merges {_stories_sql(world)}")


def _profiles_sql(world: World) -> str:
    """One row per profile: of most customers, and of half of their aliases."""
    has_two = f"alias_count > 0 and {world.uniform('customer_key', 'profiles alias')} < 0.5"
    return f"""
with identified as (
    select *, unnest(case when {has_two} then [{MAIN}, {ALIAS}] else [{MAIN}] end) as identity
    from people
    where has_profile
)
select
    customer_key, identity, customer_key * 4 + identity as profile_key, acquired_at, enrolled_at, channel, owner,
    segment, erased_at is not null as is_erased,
    {month_sql(world, "acquired_at")} as month,
    {arrival_sql(world, "acquired_at", "(customer_key * 4 + identity)", "customers")} as arrival,
    case when erased_at is null then {kind_sql(world, "customers", "(customer_key * 4 + identity)")} end as kind
from identified
order by arrival, profile_key
"""


def _merges_sql(world: World) -> str:
    """One row per version of a merge: its months in the monthly extracts are [first_month, last_month].

    Columns: alias_id, customer_id, valid_from, valid_to, updated_at, first_month, last_month, is_erased, kind, fate,
    rejected_column, reason: of its first appearance; each later one is a copy.
    """
    last = world.months - 1
    main, alias, second = (
        customer_id_sql("customer_key"),
        "'A' || lpad(cast(customer_key as varchar), 9, '0')",
        "'B' || lpad(cast(customer_key as varchar), 9, '0')",
    )
    rest = "is_erased, kind, fate, cast(null as varchar) as rejected_column, cast(null as varchar) as reason"
    return f"""
with merged as (
    select *, erased_at is not null as is_erased, cast(null as varchar) as kind, 'accepted' as fate,
        {month_sql(world, "merged_at")} as first_month
    from people
),
parted as (
    select merged.*, {customer_id_sql("(merged.customer_key + 1)")} as other_id,
        {month_sql(world, "merged.unmerged_at")} as unmerged_month
    from merged
    join people as other on other.customer_key = merged.customer_key + 1
    where merged.unmerged_at is not null and not other.is_guest and other.erased_at is null
)
select {alias} as alias_id, {main} as customer_id, merged_at as valid_from, cast(null as timestamp) as valid_to,
    merged_at as updated_at, first_month, {last}::smallint as last_month, {rest}
from merged where alias_count > 0
union all
select {second}, {alias}, merged_at, null, merged_at, first_month, {last}, {rest}
from merged where alias_count > 1
union all
select {main}, other_id, merged_at, null, merged_at, first_month, unmerged_month - 1, is_erased,
    'unmerged', 'superseded', null, null
from parted where unmerged_month > first_month
union all
select {main}, other_id, merged_at, unmerged_at, unmerged_at, unmerged_month, {last}, is_erased,
    'unmerged', 'accepted', null, null
from parted
"""


def _stories_sql(world: World) -> str:
    """Two in a circle, an alias of two customers, and an interval that ends before it begins."""
    middle, last = world.months // 2, world.months - 1
    day = f"timestamp '{world.month_start(middle)} 12:00'"
    ids = [f"'C{key:09}'" for key in range(7)]

    circle = "'circle', 'quarantined', 'alias_id', 'leads into a circle of aliases'"
    two = "'two_customers', 'quarantined', 'alias_id', 'is an alias of two customers at the same time'"
    reversed_ = "'interval_reversed', 'quarantined', 'valid_to', 'is not after valid_from'"

    def row(alias: int, customer: int, fate: str, *, valid_to: str = "null", until: int = last) -> str:
        moment = f"{day} + interval {alias + customer} hour"
        return f"({ids[alias]}, {ids[customer]}, {moment}, {valid_to}, {moment}, {middle}, {until}, false, {fate})"

    rows = [
        row(0, 1, circle),
        row(1, 0, circle),
        row(2, 3, two),
        row(2, 4, two),
        # Delivered once: a row that breaks a rule is quarantined as often as it comes.
        row(5, 6, reversed_, valid_to=day, until=middle),
    ]
    return f"values {', '.join(rows)}"


def _snapshot_rows(connection: duckdb.DuckDBPyConnection, world: World) -> int:
    row = connection.execute("select coalesce(sum(last_month - first_month + 1), 0) from merges").fetchone()
    assert row is not None
    return int(row[0])
