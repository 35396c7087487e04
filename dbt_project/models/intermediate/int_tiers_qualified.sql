with amounts as (

    select * from {{ ref('int_qualifying_amounts_dated') }}
    where {{ is_affected('customer') }}

),

rules as (

    select * from {{ ref('int_tier_rules_dated') }}

),

-- Within a day what adds comes first, then what leaves the window, then refunds: so a sum passes a threshold upwards and
-- downwards at most once, and downwards by a refund only where it would not have without one.
changes as (

    select
        window_id,
        customer_id,
        window_number,
        counts_from_on as changed_on,
        case when is_refund then 3 else 1 end as rank_of_day,
        spend_minor,
        order_count,
        purchase_day_count,
        point_count
    from amounts

    union all

    select
        window_id,
        customer_id,
        window_number,
        counts_until_on as changed_on,
        case when is_refund then 1 else 2 end as rank_of_day,
        - spend_minor as spend_minor,
        - order_count as order_count,
        - purchase_day_count as purchase_day_count,
        - point_count as point_count
    from amounts
    where counts_until_on is not null

),

totals as (

    select
        *,
        cast(sum(spend_minor) over up_to_here as bigint) as total_spend_minor,
        cast(sum(order_count) over up_to_here as bigint) as total_order_count,
        cast(sum(purchase_day_count) over up_to_here as bigint) as total_purchase_day_count,
        cast(sum(point_count) over up_to_here as bigint) as total_point_count
    from changes
    window up_to_here as (
        partition by window_id, customer_id, window_number
        order by changed_on, rank_of_day, spend_minor, order_count, point_count
        rows between unbounded preceding and current row
    )

),

measured as (

    select
        totals.customer_id,
        totals.window_number,
        totals.changed_on,
        totals.rank_of_day,
        rules.program_id,
        rules.rule_version,
        rules.tier_rank,
        rules.threshold_units,
        {{ metric_units('rules.metric', 'totals.total_') }} as total_units,
        {{ metric_units('rules.metric', 'totals.') }} as changed_units
    from totals
    inner join rules
        on totals.window_id = rules.window_id

),

-- Of all changes of a sum, those with which it passes a threshold: up and down by turns.
crossings as (

    select
        customer_id,
        window_number,
        program_id,
        rule_version,
        tier_rank,
        changed_on,
        rank_of_day,
        total_units >= threshold_units as is_reached
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
        coalesce(lead(rank_of_day) over spell = 3, false) as is_refunded
    from crossings
    window spell as (
        partition by program_id, customer_id, rule_version, tier_rank, window_number
        order by changed_on, rank_of_day
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
        and coalesce(spells.lost_on, {{ forever() }}) > greatest(spells.reached_on, rules.valid_from_on)
        and spells.reached_on < coalesce(rules.valid_to_on, {{ forever() }})

)

select * from final
