with amounts as (

    select * from {{ ref('int_qualifying_amounts_dated') }}
    where {{ is_affected('customer') }}

),

rules as (

    select * from {{ ref('int_tier_rules_dated') }}

),

changes as (

    select
        window_id,
        customer_id,
        window_number,
        counts_from_on as changed_on,
        spend_minor,
        order_count,
        purchase_day_count,
        point_count,
        refund_minor,
        refund_points
    from amounts

    union all

    select
        window_id,
        customer_id,
        window_number,
        counts_until_on as changed_on,
        - spend_minor as spend_minor,
        - order_count as order_count,
        - purchase_day_count as purchase_day_count,
        - point_count as point_count,
        0 as refund_minor,
        0 as refund_points
    from amounts
    where counts_until_on is not null

),

days as (

    select
        window_id,
        customer_id,
        window_number,
        changed_on,
        {{ sum_bigint('spend_minor') }} as spend_minor,
        {{ sum_bigint('order_count') }} as order_count,
        {{ sum_bigint('purchase_day_count') }} as purchase_day_count,
        {{ sum_bigint('point_count') }} as point_count,
        {{ sum_bigint('refund_minor') }} as refund_minor,
        {{ sum_bigint('refund_points') }} as refund_points
    from changes
    group by
        window_id,
        customer_id,
        window_number,
        changed_on

),

totals as (

    select
        *,
        cast(sum(spend_minor) over up_to_here as bigint) as total_spend_minor,
        cast(sum(order_count) over up_to_here as bigint) as total_order_count,
        cast(sum(purchase_day_count) over up_to_here as bigint) as total_purchase_day_count,
        cast(sum(point_count) over up_to_here as bigint) as total_point_count
    from days
    window up_to_here as (
        partition by window_id, customer_id, window_number
        order by changed_on
        rows between unbounded preceding and current row
    )

),

measured as (

    select
        totals.customer_id,
        totals.window_number,
        totals.changed_on,
        rules.program_id,
        rules.rule_version,
        rules.tier_rank,
        rules.threshold_units,
        {{ metric_units('rules.metric', 'totals.total_') }} as total_units,
        {{ metric_units('rules.metric', 'totals.') }} as changed_units,
        case rules.metric
            when 'spend' then totals.refund_minor
            when 'points' then totals.refund_points
            else 0
        end as refund_units
    from totals
    inner join rules
        on totals.window_id = rules.window_id

),

-- Of all days on which a sum changes, those on which it passes a threshold: up and down by turns.
crossings as (

    select
        customer_id,
        window_number,
        program_id,
        rule_version,
        tier_rank,
        changed_on,
        total_units >= threshold_units as is_reached,
        total_units + refund_units >= threshold_units as is_reached_but_for_refunds
    from measured
    where (total_units >= threshold_units) <> (total_units - changed_units >= threshold_units)

),

spells as (

    select
        customer_id,
        program_id,
        rule_version,
        tier_rank,
        is_reached,
        changed_on as reached_on,
        lead(changed_on) over spell as lost_on,
        coalesce(lead(is_reached_but_for_refunds) over spell, false) as is_refunded
    from crossings
    window spell as (
        partition by program_id, customer_id, rule_version, tier_rank, window_number
        order by changed_on
    )

),

-- Reached before its version was in force, it counts from then on. Where every day is judged by the version of that
-- day, it counts until the next one.
final as (

    select
        spells.program_id,
        spells.customer_id,
        spells.rule_version,
        spells.tier_rank,
        greatest(spells.reached_on, rules.valid_from_on) as qualified_from_on,
        case
            when rules.is_moving then least(spells.lost_on, coalesce(rules.valid_to_on, spells.lost_on))
            else spells.lost_on
        end as qualified_until_on,
        case when spells.reached_on >= rules.valid_from_on then 'reached' else 'rule_changed' end as started_by,
        case
            when rules.is_moving and rules.valid_to_on < spells.lost_on then 'rule_changed'
            when spells.is_refunded then 'refunded'
            when spells.lost_on is not null then 'window_ended'
        end as ended_by
    from spells
    inner join rules
        on
            spells.program_id = rules.program_id
            and spells.rule_version = rules.rule_version
            and spells.tier_rank = rules.tier_rank
    where
        spells.is_reached
        and coalesce(spells.lost_on, {{ forever() }}) > rules.valid_from_on
        and spells.reached_on < coalesce(rules.valid_to_on, {{ forever() }})

)

select * from final
