with programs as (

    select * from {{ ref('tier_programs') }}

),

tiers as (

    select * from {{ ref('tiers') }}

),

rules as (

    select * from {{ ref('tier_rules') }}

),

-- A version is in force until the next one of its programme.
versions as (

    select
        program_id,
        rule_version,
        valid_from as valid_from_on,
        lead(valid_from) over (
            partition by program_id
            order by valid_from
        ) as valid_to_on,
        first_value(valid_from) over (
            partition by program_id
            order by valid_from
        ) as program_start_on
    from (
        select distinct
            program_id,
            rule_version,
            valid_from
        from rules
    ) as dated

),

final as (

    select
        rules.program_id,
        cast(rules.rule_version as bigint) as rule_version,
        cast(tiers.tier_rank as bigint) as tier_rank,
        programs.membership,
        programs.is_history_counted,

        rules.metric,
        case
            when rules.metric = 'spend' then {{ to_minor('rules.threshold') }}
            else cast(rules.threshold as bigint)
        end as threshold_units,

        -- Tiers that count over the same window share one sum.
        dense_rank() over (
            order by rules.program_id, rules.window_type, rules.window_months nulls first
        ) as window_id,
        rules.window_type,
        rules.window_months,
        -- In a window that moves, every day is judged by the version of that day; in one with an end, what was
        -- reached stands.
        rules.window_type in ('rolling_months', 'calendar_months') as is_moving,

        rules.extension_months,
        rules.grace_days,
        rules.soft_landing,
        coalesce(rules.window_months, 12) as landing_months,

        versions.valid_from_on,
        versions.valid_to_on,
        versions.program_start_on
    from rules
    inner join programs
        on rules.program_id = programs.program_id
    inner join tiers
        on
            rules.program_id = tiers.program_id
            and rules.tier = tiers.tier
    inner join versions
        on
            rules.program_id = versions.program_id
            and rules.rule_version = versions.rule_version

)

select * from final
