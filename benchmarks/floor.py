"""The marts by hand-written DuckDB SQL (floor.sql): what the product is measured against."""

from __future__ import annotations

from pathlib import Path

import duckdb

from orchestration.lib.sql import literal

_MODES = [(grain, mode) for grain in ("week", "month", "quarter") for mode in ("calendar", "rolling")]
_COHORT_START = {
    "week": "cast(date_trunc('week', first_on) as date)",
    "month": "cast(date_trunc('month', first_on) as date)",
    "quarter": "cast(date_trunc('quarter', first_on) as date)",
}
_SUMS = [
    "base_count", "base_minor", "base_current_minor", "kept_minor", "new_minor", "resurrected_minor",
    "start_count", "end_count", "new_count",
]  # fmt: skip


def build(files: str, target: Path, folder: Path) -> None:
    """Reads the orders and leaves the marts in a DuckDB file; `folder` is for what does not fit in memory."""
    with duckdb.connect(config={"temp_directory": str(folder / "spill"), "threads": 2}) as connection:
        connection.execute("set TimeZone = 'UTC'; set preserve_insertion_order = false")
        connection.execute(f"attach {literal(str(target))} as marts")
        # One by one: given all at once, DuckDB takes windows of one name in two statements for a repetition.
        for statement in script(files).split(";\n"):
            connection.execute(statement)
        connection.execute("checkpoint marts")


def script(files: str) -> str:
    """All statements of the floor."""
    reader = f"read_parquet({literal(files)})"
    if files.endswith(".csv"):
        columns = "{'order_id': 'varchar', 'customer_id': 'varchar', 'ordered_at': 'timestamp', "
        columns += "'amount': 'decimal(18, 4)', 'status': 'varchar'}"
        reader = f"read_csv({literal(files)}, header = true, auto_detect = false, delim = ',', columns = {columns})"
    pair_columns = "".join(
        f",\n    count(*) filter (where previous_on is null or period_index('{grain}', {mode == 'rolling'}, first_on,"
        f" previous_on) < period_index('{grain}', {mode == 'rolling'}, first_on, purchased_on))"
        f" as new_{grain}{'_rolling' if mode == 'rolling' else ''}"
        for grain, mode in _MODES
    )
    values = {
        "orders": reader,
        "marts": "marts",
        "pair_columns": pair_columns,
        "cohorts": "\n".join(_cohorts(grain, mode) for grain, mode in _MODES),
        "growth": "\n".join(_growth(grain) for grain in ("week", "month")),
        "interval_sums": ",\n        ".join(f"coalesce(cast(sum({name}) as bigint), 0) as {name}" for name in _SUMS),
    }
    text = (Path(__file__).parent / "floor.sql").read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text


def _cohorts(grain: str, mode: str) -> str:
    rolling = mode == "rolling"
    start = _COHORT_START[grain]
    last = f"period_index('{grain}', false, cohort_start_on, data_end_on)"
    return f"""
insert into marts.retention.retention_cohorts
with groups as (
    select
        {start} as cohort_start_on, member_count,
        period_index('{grain}', {rolling}, first_on, first_unknown_on) - 1 as until_index,
        period_index('{grain}', {rolling}, first_on, last_on) as last_index
    from members, bounds
),
cells as (
    select cohort_start_on, k, sum(eligible) as eligible, sum(seen) as seen, sum(active) as active, sum(minor) as minor
    from (
        select cohort_start_on, until_index as k, member_count as eligible, 0 as seen, 0 as active, 0 as minor
        from groups
        union all
        select cohort_start_on, least(last_index, until_index), 0, member_count, 0, 0 from groups
        union all
        select {start}, period_index('{grain}', {rolling}, first_on, purchased_on) as k, 0, 0,
            new_{grain}{"_rolling" if rolling else ""}, minor
        from pairs, bounds
        where k < period_index('{grain}', {rolling}, first_on, first_unknown_on)
    )
    group by all
),
sizes as (
    select cohort_start_on, sum(member_count) as cohort_size from groups group by all
),
spine as (
    select cohort_start_on, cohort_size, unnest(range({last} + 1)) as k from sizes, bounds
),
filled as (
    select
        cohort_start_on, k, cohort_size, coalesce(active, 0) as active, coalesce(minor, 0) as minor,
        sum(coalesce(eligible, 0)) over from_here_on as eligible, sum(coalesce(seen, 0)) over from_here_on as seen
    from spine left join cells using (cohort_start_on, k)
    window from_here_on as (partition by cohort_start_on order by k desc)
)
select '{grain}', '{mode}', cohort_start_on, k, cohort_size, eligible,
    case when eligible > 0 then active end, case when eligible > 0 then seen end,
    cast(case when eligible > 0 then minor end * 0.01::decimal(3, 2) as decimal(18, 2))
from filled;"""


def _growth(grain: str) -> str:
    if grain == "week":
        number = "cast(({} - date '0001-01-01') // 7 as integer)"
        start = "cast(date '0001-01-01' + number * 7 as date)"
    else:
        number, start = "month_of({})", "make_date(number // 12, number % 12 + 1, 1)"
    return f"""
insert into marts.retention.growth_accounting
with present as (
    select
        {grain}_number as number, count(*) as active_count,
        count(*) filter (where previous_number is null) as new_count,
        count(*) filter (where previous_number = {grain}_number - 1) as retained_count,
        count(*) filter (where previous_number < {grain}_number - 1) as resurrected_count,
        sum(minor) as minor,
        sum(minor) filter (where previous_number is null) as new_minor,
        sum(minor) filter (where previous_number < {grain}_number - 1) as resurrected_minor,
        sum(greatest(minor - previous_minor, 0)) filter (where previous_number = {grain}_number - 1)
            as expansion_minor,
        sum(greatest(previous_minor - minor, 0)) filter (where previous_number = {grain}_number - 1)
            as contraction_minor
    from {grain}s
    group by all
),
absent as (
    select {grain}_number + 1 as number, count(*) as churned_count, sum(minor) as churned_minor
    from {grain}s
    where next_number is distinct from {grain}_number + 1
    group by all
),
spine as (
    select unnest(range({number.format("data_start_on")}, {number.format("data_end_on")} + 1)) as number,
        {number.format("first_unknown_on")} - 1 as last_complete
    from bounds
),
filled as (
    select number, number <= last_complete as is_complete, columns(* exclude (number, last_complete))
    from spine left join present using (number) left join absent using (number)
)
select '{grain}', {start.replace("number", "cast(number as integer)")},
    coalesce(active_count, 0), coalesce(new_count, 0), coalesce(retained_count, 0), coalesce(resurrected_count, 0),
    case when is_complete then coalesce(churned_count, 0) end,
    {_amount("minor")}, {_amount("new_minor")}, {_amount("resurrected_minor")},
    case when is_complete then {_amount("expansion_minor")} end,
    case when is_complete then {_amount("contraction_minor")} end,
    case when is_complete then {_amount("churned_minor")} end
from filled;"""


def _amount(minor: str) -> str:
    return f"cast(coalesce({minor}, 0) * 0.01::decimal(3, 2) as decimal(18, 2))"
