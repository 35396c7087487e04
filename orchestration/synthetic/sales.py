"""What people buy and give back: orders, their lines and refunds, drawn in DuckDB by hashes of their keys."""

from __future__ import annotations

import duckdb

from orchestration.lib.sql import literal
from orchestration.synthetic.dirt import kind_sql
from orchestration.synthetic.world import (
    CAMPAIGN_EVERY_MONTHS,
    CAMPAIGN_FIRST_DAY,
    CAMPAIGN_LAST_DAY,
    CATEGORIES,
    CURRENCIES,
    FAVOURITE_SHARES,
    SPEND_SHAPE,
    Clock,
    World,
)

MAIN, ALIAS, SECOND_ALIAS, NOBODY = range(4)
FOREIGN_SHARES = {"DEM": 0.012, "FRF": 0.008}
LATE_SHARE = 0.05


def create(connection: duckdb.DuckDBPyConnection, world: World) -> None:
    """Tables `orders` (by month of arrival) and `refunds`. Amounts are minor units."""
    slots = world.clock.slots()  # noqa: F841 (read by DuckDB)
    connection.execute("create table clock as select * from slots")
    connection.execute(f"create table orders as {_orders_sql(world)}")
    connection.execute(f"create table refunds as {_refunds_sql(world)}")


def month_sql(world: World, moment: str) -> str:
    """SQL: months from the world's start to a moment."""
    first = world.start.year * 12 + world.start.month
    return f"cast(year({moment}) * 12 + month({moment}) - {first} as smallint)"


def arrival_sql(world: World, moment: str, key: str, table: str) -> str:
    """SQL: the month whose file a row comes in; of some rows a later one than their own."""
    delay = f"1 + cast(floor(-ln({world.uniform(key, f'{table} delay')}) * 0.8) as smallint)"
    late = f"{world.uniform(key, f'{table} late')} < {LATE_SHARE * world.dirt}"
    return f"""cast(least({world.months - 1}, {month_sql(world, moment)} + case when {late} then {delay} else 0 end)
        as smallint)"""


def euro_sql(amount: str, currency: str) -> str:
    """SQL: minor units of a currency in minor units of EUR, rounded half away from zero."""
    rates = " ".join(f"when '{name}' then cast({rate} as decimal(18, 8))" for name, rate in CURRENCIES.items())
    return f"""case when {currency} = 'EUR' then {amount}
        else cast(round(cast({amount} as decimal(18, 0)) * case {currency} {rates} end, 0) as bigint) end"""


def customer_id_sql(key: str, identity: str | int = MAIN) -> str:
    """SQL: the id under which a person appears."""
    number = f"lpad(cast({key} as varchar), 9, '0')"
    if identity == MAIN:
        return f"'C' || {number}"
    return f"case {identity} when 0 then 'C' || {number} when 1 then 'A' || {number} when 2 then 'B' || {number} end"


def order_id_sql(key: str) -> str:
    return f"'O' || lpad(cast({key} as varchar), 10, '0')"


def category_sql(customer_key: str, rank: str) -> str:
    """SQL: a person's favourite category of that rank (0, 1, 2): three different ones."""
    count = len(CATEGORIES)
    base = f"(hash(xor(hash({customer_key}), 7::ubigint)) % {count})::integer"
    step = f"(1 + hash(xor(hash({customer_key}), 8::ubigint)) % 3)::integer"
    return f"{literal(list(CATEGORIES))}[1 + ({base} + {step} * ({rank})) % {count}]"


def _orders_sql(world: World) -> str:
    def uniform(purpose: str) -> str:
        return world.uniform("order_key", f"orders {purpose}")

    first, second = FOREIGN_SHARES.values()
    spend = world.erlang("order_key", "orders spend", SPEND_SHAPE)
    return f"""
with numbered as (
    select *, unnest(range(order_count)) as ordinal
    from people
),
drawn as (
    select *,
        first_order_key + ordinal as order_key,
        case when ordinal = 0 then acquired
            else acquired + {world.uniform("(first_order_key + ordinal)", "orders moment")} * (active_until - acquired)
        end as moment
    from numbered
),
timed as (
    select drawn.*,
        case when moment < next_starts then day + (moment - starts) / weight
            else day + 1 + (moment - next_starts) / next_weight end as calendar_day
    from drawn
    join clock on clock.slot = cast(floor(moment * {Clock.SLOTS_PER_DAY}) as bigint)
),
dated as (
    select *,
        timestamp '{world.start}' + to_seconds(cast(floor(calendar_day) as bigint) * 86400 + {Clock.OPENS_AT}
            + cast(floor((calendar_day - floor(calendar_day)) * {Clock.OPEN_SECONDS}) as bigint)) as ordered_at,
        case when {uniform("zero")} < 0.003 then 0
            else greatest(50, cast(round({spend} / spend_rate * 100) as bigint)) end as planned_minor,
        case when {uniform("currency")} < {first} then 'DEM'
            when {uniform("currency")} < {first + second} then 'FRF' else 'EUR' end as currency
    from timed
),
priced as (
    select *,
        case currency when 'DEM' then cast(round(planned_minor / 0.51129188) as bigint)
            when 'FRF' then cast(round(planned_minor / 0.15244902) as bigint) else planned_minor end as amount_minor,
        {month_sql(world, "ordered_at")} as month
    from dated
),
attributed as (
    select
        order_key, customer_key, ordinal, ordered_at, month, currency, amount_minor,
        cast(case
            when is_guest or (ordinal > 0 and {uniform("guest")} < 0.015) then {NOBODY}
            when alias_count > 0 and {uniform("identity")} < 0.3 then {ALIAS}
            when alias_count > 1 and {uniform("identity")} < 0.5 then {SECOND_ALIAS}
            else {MAIN} end as tinyint) as identity,
        {euro_sql("amount_minor", "currency")} as euro_minor,
        case when {uniform("status")} < 0.03 then 'cancelled'
            when {uniform("status")} < 0.035 then 'test' else 'completed' end as status,
        case when {uniform("channel")} < 0.5 then 'store'
            when {uniform("channel")} < 0.8 then 'web' else 'app' end as channel,
        case when {uniform("channel")} < 0.5
            then 'S' || lpad(cast(hash(xor(hash(customer_key), 9::ubigint)) % 40 as varchar), 2, '0') end as store_id,
        case when month % {CAMPAIGN_EVERY_MONTHS} = 0
            and day(ordered_at) between {CAMPAIGN_FIRST_DAY} and {CAMPAIGN_LAST_DAY} and {uniform("campaign")} < 0.3
            then cast(month // {CAMPAIGN_EVERY_MONTHS} as smallint) end as campaign,
        case when ordered_at >= owner_left_at then owner - 1 else owner end as owner,
        cast(round(amount_minor * (0.55 + 0.15 * {uniform("cost")})) as bigint) as cost_minor,
        cast(1 + cast({uniform("two lines")} < 0.45 as integer) + cast({uniform("three lines")} < 0.2 as integer)
            + cast({uniform("four lines")} < 0.1 as integer) as tinyint) as line_count,
        enrolled_at is not null and ordered_at >= enrolled_at as is_member,
        {arrival_sql(world, "ordered_at", "order_key", "orders")} as arrival,
        case when erased_at is null then {kind_sql(world, "orders", "order_key")} end as kind,
        erased_at is not null as is_erased_customer
    from priced
)
select * exclude (is_erased_customer),
    -- Whose order a guest's was cannot be known, so nobody can erase it.
    is_erased_customer and identity <> {NOBODY} as is_erased,
    case when campaign is null then 0 else cast(round(amount_minor / 9.0) as bigint) end as discount_minor,
    {order_id_sql("order_key")} as order_id
from attributed
order by arrival, order_key
"""


def _refunds_sql(world: World) -> str:
    """Weeks to months after the order; what would come after the data's end did not come."""

    def uniform(purpose: str) -> str:
        return world.uniform("order_key", f"refunds {purpose}")

    return f"""
with drawn as (
    select
        order_key, order_id, customer_key, currency, is_erased, kind as order_kind,
        ordered_at + to_seconds(cast(86400 * (2 - 35 * ln({uniform("moment")})) as bigint)) as refunded_at,
        case when {uniform("full")} < 0.6 then amount_minor
            else greatest(1, cast(round(amount_minor * (0.1 + 0.8 * {uniform("part")})) as bigint)) end as amount_minor
    from orders
    where status = 'completed' and amount_minor > 0 and {uniform("happens")} < 0.04
)
select *,
    'R' || lpad(cast(order_key as varchar), 10, '0') as refund_id,
    {euro_sql("amount_minor", "currency")} as euro_minor,
    {arrival_sql(world, "refunded_at", "order_key", "refunds")} as arrival,
    {month_sql(world, "refunded_at")} as month,
    case when not is_erased then {kind_sql(world, "refunds", "order_key")} end as kind
from drawn
where refunded_at < {world.end_sql}
order by arrival, order_key
"""


def lines_sql(world: World, condition: str) -> str:
    """SELECT: lines of the orders that meet a condition; they sum to the order's amount."""
    key = "(order_key * 4 + line_number)"
    first_share, second_share, _ = FAVOURITE_SHARES
    favourite = world.uniform(key, "lines category")
    two_shares = first_share + second_share
    rank = f"case when {favourite} < {first_share} then 0 when {favourite} < {two_shares} then 1 else 2 end"
    main = f"cast(round(amount_minor * (0.4 + 0.3 * {world.uniform('order_key', 'lines main')})) as bigint)"
    return f"""
select
    order_key, order_id, customer_key, identity, month, arrival, currency, is_erased, line_number,
    {key} as line_key,
    {category_sql("customer_key", rank)} as category,
    cast(1 + floor(-ln({world.uniform(key, "lines quantity")})) as integer) as quantity,
    case
        when line_count = 1 then amount_minor
        when line_number = 1 then main_minor
        when line_number < line_count then (amount_minor - main_minor) // (line_count - 1)
        else amount_minor - main_minor - (line_count - 2) * ((amount_minor - main_minor) // (line_count - 1))
    end as amount_minor
from (
    select order_key, order_id, customer_key, identity, month, arrival, currency, is_erased, amount_minor,
        line_count, {main} as main_minor, unnest(range(1, line_count + 1)) as line_number
    from orders
    where {condition}
)
"""
