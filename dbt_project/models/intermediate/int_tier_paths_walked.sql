with granted as (

    select * from {{ ref('int_tiers_granted') }}
    where {{ is_affected('customer') }}

),

members as (

    select * from {{ ref('int_members_enrolled') }}
    where {{ is_affected('customer') }}

),

overrides as (

    select * from {{ ref('int_tier_overrides_resolved') }}
    where {{ is_affected('customer') }}

),

-- Per level the times in which it is granted without a gap, from all that overlaps or touches: one begins where
-- nothing before reaches to, and ends with the farthest that is reached before the next. Of several that begin one, a
-- purchase comes before a rule.
reached as (

    select
        program_id,
        customer_id,
        level_rank,
        granted_from_on,
        started_by,
        max(coalesce(granted_until_on, {{ forever() }})) over (
            partition by program_id, customer_id, level_rank
            order by granted_from_on, started_by, rule_version, tier_rank
            rows between unbounded preceding and 1 preceding
        ) as reached_until_on,
        max(coalesce(granted_until_on, {{ forever() }})) over (
            partition by program_id, customer_id, level_rank
            order by granted_from_on, started_by, rule_version, tier_rank
            rows between unbounded preceding and unbounded following
        ) as last_until_on
    from granted

),

held as (

    select
        program_id,
        customer_id,
        level_rank,
        started_by,
        granted_from_on as held_from_on,
        coalesce(
            lead(reached_until_on) over (
                partition by program_id, customer_id, level_rank
                order by granted_from_on
            ),
            last_until_on
        ) as held_until_on
    from reached
    where reached_until_on is null or reached_until_on < granted_from_on

),

-- A tier's rank is the number of levels that are held: each adds one while it lasts. An override adds its rank and one,
-- so that none is zero.
steps as (

    select
        program_id,
        customer_id,
        member_since_on as changed_on,
        0 as level_step,
        0 as override_step
    from members

    union all

    select
        program_id,
        customer_id,
        held_from_on as changed_on,
        1 as level_step,
        0 as override_step
    from held

    union all

    select
        program_id,
        customer_id,
        held_until_on as changed_on,
        -1 as level_step,
        0 as override_step
    from held
    where held_until_on < {{ forever() }}

    union all

    select
        program_id,
        customer_id,
        valid_from_on as changed_on,
        0 as level_step,
        tier_rank + 1 as override_step
    from overrides

    union all

    select
        program_id,
        customer_id,
        valid_to_on as changed_on,
        0 as level_step,
        -1 - tier_rank as override_step
    from overrides
    where valid_to_on is not null

),

days as (

    select
        program_id,
        customer_id,
        changed_on,
        sum(level_step) as level_step,
        sum(override_step) as override_step
    from steps
    group by
        program_id,
        customer_id,
        changed_on

),

ranked as (

    select
        program_id,
        customer_id,
        changed_on,
        row_number() over up_to_here = 1 as is_first,
        cast(sum(level_step) over up_to_here as bigint) as earned_rank,
        cast(sum(level_step) over up_to_here - level_step as bigint) as earned_before,
        cast(nullif(sum(override_step) over up_to_here, 0) - 1 as bigint) as override_rank,
        cast(nullif(sum(override_step) over up_to_here - override_step, 0) - 1 as bigint) as override_before
    from days
    window up_to_here as (
        partition by program_id, customer_id
        order by changed_on
        rows between unbounded preceding and current row
    )

),

compared as (

    select
        program_id,
        customer_id,
        changed_on,
        coalesce(override_rank, earned_rank) as tier_rank,
        override_rank is not null as is_override,
        case when not is_first then coalesce(override_before, earned_before) end as previous_rank,
        override_before is not null as is_after_override
    from ranked

),

changes as (

    select
        program_id,
        customer_id,
        tier_rank,
        previous_rank,
        is_override,
        is_after_override,
        changed_on as held_from_on,
        lead(changed_on) over (
            partition by program_id, customer_id
            order by changed_on
        ) as held_until_on
    from compared
    where
        tier_rank is distinct from previous_rank
        or is_override is distinct from is_after_override

),

-- Why a level ended, where several grants did so on one day: purchases before rules before refunds.
ended as (

    select
        program_id,
        customer_id,
        level_rank,
        granted_until_on,
        max(ended_by) as ended_by
    from granted
    where granted_until_on is not null
    group by
        program_id,
        customer_id,
        level_rank,
        granted_until_on

),

final as (

    select
        changes.program_id,
        changes.customer_id,
        changes.tier_rank,
        changes.previous_rank,
        case
            when changes.previous_rank is null then 'enrolled'
            when changes.is_override then 'override'
            when changes.is_after_override then 'override_ended'
            when changes.tier_rank > changes.previous_rank and held.started_by = 'reached' then 'upgraded'
            when changes.tier_rank > changes.previous_rank then 'rule_changed'
            when ended.ended_by = 'window_ended' then 'expired'
            else ended.ended_by
        end as change_reason,
        changes.is_override,
        changes.held_from_on,
        changes.held_until_on
    from changes
    left join held
        on
            changes.program_id = held.program_id
            and changes.customer_id = held.customer_id
            and changes.tier_rank = held.level_rank
            and changes.held_from_on = held.held_from_on
    left join ended
        on
            changes.program_id = ended.program_id
            and changes.customer_id = ended.customer_id
            and changes.previous_rank = ended.level_rank
            and changes.held_from_on = ended.granted_until_on

)

select * from final
