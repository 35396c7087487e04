with orders as (

    select * from {{ ref('int_orders_rated') }}
    where {{ is_affected('customer') }}

),

paths as (

    select * from {{ ref('int_tier_paths_walked') }}
    where {{ is_affected('customer') }}

),

tiers as (

    select * from {{ ref('tiers') }}

),

stated as (

    select * from {{ ref('int_points_stated') }}
    where
        points > 0
        and {{ is_affected('customer') }}

),

rules as (

    select * from {{ ref('int_points_rules_dated') }}

),

earn_rules as (

    select * from {{ ref('earn_rules') }}
    where applies_to = 'tier'

),

-- An order that enrols or upgrades is rated by the tier before it.
rated as (

    select
        orders.program_id,
        orders.order_id,
        orders.customer_id,
        orders.rule_version,
        rules.order_cap,
        rules.day_cap,
        rules.month_cap,
        orders.gross_minor,
        orders.net_minor,
        {{ integer_quotient(
            'orders.base_micropoints * ' ~ thousandths('earn_rules.multiplier'), 1000000000
        ) }} as tier_points,
        orders.business_date,
        orders.ordered_at
    from orders
    inner join rules
        on
            orders.program_id = rules.program_id
            and orders.rule_version = rules.rule_version
    inner join paths
        on
            orders.program_id = paths.program_id
            and orders.customer_id = paths.customer_id
            and {{ is_within('orders.business_date', 'paths.held_from_on', 'paths.held_until_on') }}
    inner join tiers
        on
            paths.program_id = tiers.program_id
            and tiers.tier_rank = case
                when paths.held_from_on = orders.business_date and paths.change_reason in ('enrolled', 'upgraded')
                    then coalesce(paths.previous_rank, 0)
                else paths.tier_rank
            end
    left join earn_rules
        on
            orders.program_id = earn_rules.program_id
            and orders.rule_version = earn_rules.rule_version
            and tiers.tier = earn_rules.value

),

given as (

    select
        program_id,
        customer_id,
        order_id as source_id,
        1 as lot_rank,
        capped_points as points,
        gross_minor,
        net_minor,
        business_date,
        ordered_at as occurred_at
    from {{ capped_points('rated', 'tier_points', [
        'program_id', 'order_id', 'customer_id', 'rule_version', 'gross_minor', 'net_minor', 'business_date', 'ordered_at',
    ]) }} as capped
    where capped_points > 0

    union all

    select
        program_id,
        customer_id,
        interaction_id as source_id,
        case entry_type when 'adjusted' then 2 else 3 end as lot_rank,
        points,
        cast(null as bigint) as gross_minor,
        cast(null as bigint) as net_minor,
        business_date,
        occurred_at
    from stated

),

dated as (

    select
        given.*,
        rules.rule_version,
        rules.expiry_type = 'activity' as is_kept_by_activity,
        {{ add_months('given.business_date', 'rules.expiry_months') }} as expires_on
    from given
    inner join rules
        on
            given.program_id = rules.program_id
            and {{ is_within('given.business_date', 'rules.valid_from_on', 'rules.valid_to_on') }}

),

-- Laid end to end in the order in which they are given, lots are intervals of all points that a member was ever given. None
-- expires before one that was given earlier; with activity, what comes later moves the date for all.
final as (

    select
        program_id,
        customer_id,
        row_number() over in_order as lot_number,
        case lot_rank when 1 then 'earned' when 2 then 'adjusted' else 'reinstated' end as entry_type,
        source_id,
        rule_version,
        is_kept_by_activity,
        points,
        cast(sum(points) over in_order as bigint) as lot_end,
        gross_minor,
        net_minor,
        case when is_kept_by_activity then expires_on else max(expires_on) over in_order end as expires_on,
        business_date,
        occurred_at
    from dated
    window in_order as (
        partition by program_id, customer_id
        order by occurred_at, lot_rank, source_id
        rows between unbounded preceding and current row
    )

)

select * from final
