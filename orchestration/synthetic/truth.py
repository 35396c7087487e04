"""What is known of the world, one Parquet file per fact, in the folder `truth`."""

from __future__ import annotations

from orchestration.lib.sql import literal
from orchestration.synthetic.contacts import cause_sql, initiator_sql
from orchestration.synthetic.dirt import accepted_sql
from orchestration.synthetic.sales import NOBODY, customer_id_sql
from orchestration.synthetic.tables import amount
from orchestration.synthetic.world import (
    ACQUISITION_CHANNELS,
    FORECAST_DAYS,
    SEGMENTS,
    SPEND_SHAPE,
    TIERS,
    World,
)

TIER_MONTHS = 12


def facts(world: World) -> dict[str, str]:
    """File name → SELECT. Amounts are in EUR unless named otherwise; rates are per day of business time."""
    return {
        "customers": _customers(),
        "orders": _orders(world),
        "refunds": _refunds(world),
        "wallets": _WALLETS,
        "tier_paths": _tier_paths(world),
        "merges": _MERGES,
        "dirt": "select * from dirt order by table_name, file, row, kind",
    }


def _customers() -> str:
    horizons = ", ".join(f"orders_next_{days}d" for days in FORECAST_DAYS)
    cause = "case when dropped_out_at is not null and not is_guest then {} end"
    return f"""
select
    {customer_id_sql("people.customer_key")} as customer_id,
    purchase_rate, dropout_rate, {SPEND_SHAPE} / spend_rate as mean_amount,
    acquired_at, dropped_out_at,
    {cause.format(initiator_sql("cause"))} as initiator, {cause.format(cause_sql("cause"))} as cause,
    left_after_complaint as has_left_after_complaint, left_with_owner as has_left_with_owner,
    closed_at, interviewed_at, complained_at, replied_at, resolved_at,
    {literal(list(ACQUISITION_CHANNELS))}[1 + channel] as acquisition_channel,
    {literal(list(SEGMENTS))}[1 + segment] as segment,
    case when referrals.friend_key is not null then {customer_id_sql("referrals.friend_key")} end as referred_by,
    is_guest, has_profile, enrolled_at, alias_count, erased_at,
    order_count, next_order_at, {horizons}
from people
left join referrals on referrals.customer_key = people.customer_key
order by people.customer_key
"""


def _orders(world: World) -> str:
    return f"""
select
    order_id, {customer_id_sql("customer_key")} as true_customer_id,
    identity = {NOBODY} as is_guest_order,
    ordered_at, currency, {amount("amount_minor")} as amount, {amount("euro_minor")} as amount_eur,
    status, is_erased, not is_erased and {accepted_sql(world, "orders", "kind")} as is_accepted, kind as defect
from orders
order by arrival, order_key
"""


def _refunds(world: World) -> str:
    accepted = f"not is_erased and {accepted_sql(world, 'refunds', 'kind')}"
    return f"""
select
    refund_id, order_id, {customer_id_sql("customer_key")} as true_customer_id, refunded_at,
    {amount("amount_minor")} as amount, {amount("euro_minor")} as amount_eur,
    {accepted} as is_accepted,
    {accepted} and kind is distinct from 'unknown_order' and {accepted_sql(world, "orders", "order_kind")} as is_linked,
    kind as defect
from refunds
order by arrival, order_key
"""


_WALLETS = f"""
select
    {customer_id_sql("customer_key")} as customer_id, period_start, period_end, category,
    {amount("own_minor")} as own_amount, {amount("own_minor + rival_minor")} as wallet_amount, own_share
from wallets
order by wallet_key
"""

_MERGES = """
select alias_id, customer_id, valid_from, valid_to, fate = 'accepted' and valid_to is null as is_in_force, kind
from merges
where fate <> 'superseded'
order by alias_id, customer_id, valid_from
"""


def _tier_paths(world: World) -> str:
    """Members' tiers by the rule in world.json, from the rows that a warehouse can accept: changes only.

    A member begins in the lowest tier on the day of enrolment. From the first day of each later month the tier is that
    of the net spend of the twelve calendar months before, refunds booked back to their orders.
    """
    epoch = world.start.year * 12 + world.start.month - 1
    tier = " ".join(f"when net_minor >= {bound * 100} then '{name}'" for name, bound in reversed(TIERS.items()))
    lowest = next(iter(TIERS))
    first_day = f"make_date(cast(({epoch} + month) // 12 as bigint), cast(({epoch} + month) % 12 + 1 as bigint), 1)"
    return f"""
with refunded as (
    select order_key, sum(euro_minor)::bigint as refund_minor
    from refunds
    where {accepted_sql(world, "refunds", "kind")} and kind is distinct from 'unknown_order'
    group by order_key
),
members as (
    select customer_key, enrolled_at, (year(enrolled_at) * 12 + month(enrolled_at) - 1 - {epoch}) + 1 as first_month
    from people where enrolled_at is not null and erased_at is null
),
spent as (
    select orders.customer_key, orders.month,
        sum(orders.euro_minor - coalesce(refunded.refund_minor, 0))::bigint as net_minor
    from orders
    join members on members.customer_key = orders.customer_key
    left join refunded on refunded.order_key = orders.order_key
    where orders.status = 'completed' and orders.identity <> {NOBODY} and {accepted_sql(world, "orders", "orders.kind")}
    group by all
),
steps as (
    select customer_key, month, sum(change_minor)::bigint as change_minor
    from (
        select customer_key, month + 1 as month, net_minor as change_minor from spent
        union all
        select customer_key, month + 1 + {TIER_MONTHS}, -net_minor from spent
        union all
        select customer_key, first_month, 0 from members
    )
    group by all
),
standing as (
    select customer_key, month,
        sum(change_minor) over (partition by customer_key order by month)::bigint as net_minor
    from steps
),
tiered as (
    select customer_key, cast(enrolled_at as date) as valid_from, '{lowest}' as tier from members
    union all
    select standing.customer_key, {first_day}, case {tier} else '{lowest}' end
    from standing
    join members on members.customer_key = standing.customer_key
    where standing.month >= members.first_month and standing.month < {world.months}
),
changes as (
    select *
    from tiered
    qualify tier is distinct from lag(tier) over (partition by customer_key order by valid_from)
)
select
    {customer_id_sql("customer_key")} as customer_id, tier, valid_from,
    lead(valid_from) over (partition by customer_key order by valid_from) as valid_to
from changes
order by customer_key, valid_from
"""
