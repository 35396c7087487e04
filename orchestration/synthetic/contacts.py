"""What happens besides buying: visits, campaigns, service, surveys, membership, referrals, trials, closures."""

from __future__ import annotations

import duckdb

from orchestration.lib.sql import literal
from orchestration.synthetic.dirt import kind_sql
from orchestration.synthetic.sales import MAIN, NOBODY, arrival_sql, customer_id_sql, month_sql
from orchestration.synthetic.world import (
    ACQUISITION_CHANNELS,
    CAMPAIGN_EVERY_MONTHS,
    CAMPAIGN_FIRST_DAY,
    CHURN_CAUSES,
    World,
)

NPS_EVERY_MONTHS = 6
PROSPECT_SHARE = 0.03


def create(connection: duckdb.DuckDBPyConnection, world: World) -> None:
    """Tables `referrals` and `interactions` (by month of arrival)."""
    connection.execute(f"create table referrals as {_referrals_sql()}")
    connection.execute(f"create table interactions as {_interactions_sql(world)}")


def cause_sql(column: str) -> str:
    return f"{literal(list(CHURN_CAUSES))}[1 + {column}]"


def initiator_sql(column: str) -> str:
    return f"{literal([initiator for initiator, _ in CHURN_CAUSES.values()])}[1 + {column}]"


def _referrals_sql() -> str:
    """Who was brought by a friend: only by one who was there before and had not left."""
    channel = list(ACQUISITION_CHANNELS).index("referral")
    return f"""
select guest.customer_key, friend.customer_key as friend_key, friend.erased_at is not null as is_erased,
    guest.acquired_at - interval 1 day as referred_at
from people as guest
join people as friend on friend.customer_key = guest.friend_key
where guest.channel = {channel} and not guest.is_guest and not friend.is_guest
    and friend.acquired_at < guest.acquired_at - interval 1 day
    and (friend.dropped_out_at is null or friend.dropped_out_at > guest.acquired_at)
    and guest.erased_at is null
"""


def _interactions_sql(world: World) -> str:
    parts = "\nunion all by name\n".join(
        [*_around_orders(world), *_campaigns(world), *_service(world), *_membership(world), *_endings()]
    )
    return f"""
with happened as (
{parts}
)
select
    interaction_id, customer_key, coalesce(identity, {MAIN}) as identity, prospect_id, occurred_at, interaction_type,
    channel, campaign, related_id, owner, score, cost_minor, detail, coalesce(is_erased, false) as is_erased,
    {month_sql(world, "occurred_at")} as month,
    {arrival_sql(world, "occurred_at", "interaction_id", "interactions")} as arrival,
    case when not coalesce(is_erased, false) then {kind_sql(world, "interactions", "interaction_id")} end as kind
from happened
where occurred_at >= timestamp '{world.start}' and occurred_at < {world.end_sql}
order by arrival, occurred_at, interaction_id
"""


def _around_orders(world: World) -> list[str]:
    def uniform(purpose: str) -> str:
        return world.uniform("order_key", f"contacts {purpose}")

    order = "customer_key, identity, is_erased"
    return [
        f"""select 'V' || order_key as interaction_id, {order},
            ordered_at - to_seconds(cast(600 + 6000 * {uniform("visit at")} as bigint)) as occurred_at,
            case when channel = 'store' then 'visit' else 'page_view' end as interaction_type, channel,
            cast(null as varchar) as prospect_id, cast(null as smallint) as campaign,
            cast(null as varchar) as related_id,
            cast(null as integer) as owner, cast(null as double) as score, cast(null as bigint) as cost_minor,
            cast(null as varchar) as detail
        from orders where {uniform("visit")} < 0.15""",
        f"""select 'K' || order_key as interaction_id, {order},
            ordered_at + to_seconds(cast(-432000 * ln({uniform("voice at")}) as bigint)) as occurred_at,
            case when {uniform("voice")} < 0.015 then 'reviewed' when {uniform("voice")} < 0.02 then 'posted'
                when {uniform("voice")} < 0.025 then 'followed' when {uniform("voice")} < 0.028 then 'suggested'
                else 'co_created' end as interaction_type,
            'web' as channel, order_id as related_id,
            case when {uniform("voice")} < 0.015 then 1 + floor(5 * sqrt({uniform("stars")})) end as score
        from orders where identity <> {NOBODY} and {uniform("voice")} < 0.03""",
        f"""select 'D' || order_key as interaction_id, {order}, ordered_at as occurred_at,
            'points_redeemed' as interaction_type, channel, order_id as related_id,
            100.0 * (1 + floor(3 * {uniform("points")})) as score
        from orders where is_member and identity <> {NOBODY} and {uniform("redeems")} < 0.03""",
        f"""select 'T' || order_key as interaction_id, {order}, ordered_at + interval 2 day as occurred_at,
            'call_made' as interaction_type, 'phone' as channel, order_id as related_id, owner, 250 as cost_minor
        from orders where identity <> {NOBODY} and {uniform("call")} < 0.05""",
        f"""select 'U' || order_key as interaction_id, {order}, ordered_at as occurred_at,
            'coupon_redeemed' as interaction_type, channel, campaign, order_id as related_id
        from orders where identity <> {NOBODY} and campaign is not null""",
    ]


def _campaigns(world: World) -> list[str]:
    count = -(-world.months // CAMPAIGN_EVERY_MONTHS)
    months = [world.month_start(number * CAMPAIGN_EVERY_MONTHS) for number in range(count)]
    starts = ", ".join(
        f"({number}, timestamp '{month.replace(day=CAMPAIGN_FIRST_DAY)} 09:00')" for number, month in enumerate(months)
    )
    waves = ", ".join(
        f"({number}, timestamp '{world.month_start((number + 1) * NPS_EVERY_MONTHS - 1).replace(day=10)} 10:00')"
        for number in range(world.months // NPS_EVERY_MONTHS)
    )
    key = "(customer_key * 1000 + number)"

    def uniform(purpose: str) -> str:
        return world.uniform(key, f"contacts {purpose}")

    reached = f"""from people cross join (values {starts}) as campaigns (number, begins_at)
        where not is_guest and acquired_at < begins_at
            and (dropped_out_at is null or dropped_out_at > begins_at - interval 60 day)
            and {uniform("sent")} < 0.2"""
    columns = """customer_key, erased_at is not null as is_erased, cast(number as smallint) as campaign,
            'email' as channel"""
    sent_id = f"'E' || {key}"
    answers = [
        f"""select '{prefix}' || {key} as interaction_id, {columns},
            begins_at + to_seconds(cast({seconds} - 40000 * ln({uniform(kind)}) as bigint)) as occurred_at,
            '{kind}' as interaction_type, {sent_id} as related_id
        {reached} and {uniform("opened at all")} < {share}"""
        for prefix, kind, seconds, share in (
            ("EO", "opened", 600, 0.35),
            ("EC", "clicked", 900, 0.1),
            ("EU", "unsubscribed", 1200, 0.01),
        )
    ]
    asked = [
        f"""select 'N' || {key} as interaction_id, customer_key, erased_at is not null as is_erased,
            wave_at + to_seconds(cast(500000 * {uniform("nps at")} as bigint)) as occurred_at,
            'nps_answered' as interaction_type, 'email' as channel,
            case when complained_at < wave_at and resolved_at is null then floor(6 * {uniform("nps")})
                else floor(11 * {uniform("nps")} ** 0.35) end as score,
            '{{"wave": ' || number || '}}' as detail
        from people cross join (values {waves}) as waves (number, wave_at)
        where not is_guest and acquired_at < wave_at and (dropped_out_at is null or dropped_out_at > wave_at)
            and {uniform("nps answers")} < 0.05"""
    ]
    return [
        f"""select {sent_id} as interaction_id, {columns}, begins_at as occurred_at,
            case when number % 2 = 0 then 'email_sent' else 'coupon_received' end as interaction_type, 2 as cost_minor
        {reached}""",
        *answers,
        *(asked if waves else []),
    ]


def _service(world: World) -> list[str]:
    person = "customer_key, erased_at is not null as is_erased"
    return [
        f"""select 'X' || customer_key as interaction_id, {person}, complained_at as occurred_at,
            'complaint' as interaction_type, 'phone' as channel, owner
        from people where complained_at is not null""",
        f"""select 'XR' || customer_key as interaction_id, {person}, replied_at as occurred_at,
            'reply' as interaction_type, 'phone' as channel, 'X' || customer_key as related_id, owner, 400 as cost_minor
        from people where replied_at is not null""",
        f"""select 'XS' || customer_key as interaction_id, {person}, resolved_at as occurred_at,
            'complaint_resolved' as interaction_type, 'phone' as channel, 'X' || customer_key as related_id, owner,
            900 as cost_minor
        from people where resolved_at is not null""",
        f"""select 'W' || customer_key as interaction_id, {person}, owner_left_at as occurred_at,
            'owner_changed' as interaction_type, owner - 1 as owner,
            '{{"from_owner": "' || {owner_id_sql("owner")} || '"}}' as detail
        from people where not is_guest and owner_left_at is not null and acquired_at < owner_left_at
            and (dropped_out_at is null or dropped_out_at > owner_left_at) and owner_left_at < {world.end_sql}""",
    ]


def _membership(world: World) -> list[str]:
    person = "customer_key, erased_at is not null as is_erased"
    prospects = int(world.customers * PROSPECT_SHARE)
    begins = world.uniform("number", "contacts prospect")
    prospect = "'P' || lpad(cast(number as varchar), 9, '0') as prospect_id"
    begun = f"timestamp '{world.start}' + to_seconds(cast({world.days * 86400} * {begins} as bigint))"
    return [
        f"""select 'M' || customer_key as interaction_id, {person}, enrolled_at as occurred_at,
            'enrolled' as interaction_type, 'app' as channel
        from people where enrolled_at is not null""",
        f"""select 'F' || referrals.customer_key as interaction_id, friend_key as customer_key, is_erased,
            referred_at as occurred_at, 'referral' as interaction_type, 'app' as channel,
            {customer_id_sql("referrals.customer_key")} as related_id
        from referrals""",
        f"""select 'TS' || customer_key as interaction_id, {person}, acquired_at - interval 14 day as occurred_at,
            'trial_started' as interaction_type, 'web' as channel
        from people where tries_first""",
        f"""select 'TC' || customer_key as interaction_id, {person}, acquired_at as occurred_at,
            'trial_converted' as interaction_type, 'web' as channel, 'TS' || customer_key as related_id
        from people where tries_first""",
        f"""select 'PS' || number as interaction_id, {prospect}, {begun} as occurred_at,
            'trial_started' as interaction_type, 'web' as channel
        from range({prospects}) as prospects (number)""",
        f"""select 'PE' || number as interaction_id, {prospect}, {begun} + interval 14 day as occurred_at,
            'trial_ended' as interaction_type, 'web' as channel, 'PS' || number as related_id
        from range({prospects}) as prospects (number)""",
    ]


def _endings() -> list[str]:
    person = "customer_key, erased_at is not null as is_erased"
    detail = f"""'{{"cause": "' || {cause_sql("cause")} || '", "initiator": "' || {initiator_sql("cause")} || '"}}'
            as detail"""
    return [
        f"""select 'Z' || customer_key as interaction_id, {person}, closed_at as occurred_at,
            case when {initiator_sql("cause")} = 'company' then 'account_closed_by_company' else 'account_closed' end
                as interaction_type,
            'web' as channel, {detail}
        from people where closed_at is not null""",
        f"""select 'ZI' || customer_key as interaction_id, {person}, interviewed_at as occurred_at,
            'exit_interview' as interaction_type, 'phone' as channel, {detail}
        from people where interviewed_at is not null""",
    ]


def owner_id_sql(owner: str) -> str:
    return f"'S' || lpad(cast({owner} as varchar), 5, '0')"
