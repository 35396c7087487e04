with qualified as (

    select * from {{ ref('int_tiers_qualified') }}
    where {{ is_affected('customer') }}

),

rules as (

    select * from {{ ref('int_tier_rules_dated') }}

),

spans as (

    select
        qualified.*,
        rules.extension_months,
        rules.grace_days,
        rules.soft_landing,
        rules.landing_months,
        -- What a refund took back leaves nothing.
        case
            when qualified.ended_by = 'refunded' then qualified.qualified_until_on
            else {{ add_days(
                add_months('qualified.qualified_until_on', 'rules.extension_months'), 'rules.grace_days'
            ) }}
        end as expires_on
    from qualified
    inner join rules
        on
            qualified.program_id = rules.program_id
            and qualified.rule_version = rules.rule_version
            and qualified.tier_rank = rules.tier_rank

),

-- Landing on base: a lower tier whose metric was lost while a higher one was valid has no validity of its own.
overshadowed as (

    select distinct
        lower.program_id,
        lower.customer_id,
        lower.rule_version,
        lower.tier_rank,
        lower.qualified_from_on
    from spans as lower
    inner join spans as higher
        on
            lower.program_id = higher.program_id
            and lower.customer_id = higher.customer_id
            and lower.tier_rank < higher.tier_rank
            and lower.qualified_until_on >= higher.qualified_from_on
            and lower.qualified_until_on < coalesce(higher.expires_on, {{ forever() }})
    where lower.soft_landing = 'base'

),

-- Whoever holds a tier holds all below it; landing one down, each of these a window longer than the one above.
levels as (

    select
        spans.*,
        {{ integer_series('cast(1 as bigint)', 'spans.tier_rank') }} as level_rank,
        coalesce(spans.ended_by = 'refunded', false) or overshadowed.customer_id is not null as is_cut
    from spans
    left join overshadowed
        on
            spans.program_id = overshadowed.program_id
            and spans.customer_id = overshadowed.customer_id
            and spans.rule_version = overshadowed.rule_version
            and spans.tier_rank = overshadowed.tier_rank
            and spans.qualified_from_on = overshadowed.qualified_from_on

),

valid as (

    select
        *,
        case
            when is_cut then qualified_until_on
            when soft_landing = 'one_down' then {{ add_months(
                'qualified_until_on', 'extension_months + landing_months * (tier_rank - level_rank)'
            ) }}
            else {{ add_months('qualified_until_on', 'extension_months') }}
        end as valid_until_on
    from levels

),

final as (

    select
        program_id,
        customer_id,
        rule_version,
        tier_rank,
        level_rank,
        qualified_from_on as granted_from_on,
        qualified_until_on,
        valid_until_on,
        case
            when is_cut then valid_until_on
            else {{ add_days('valid_until_on', 'grace_days') }}
        end as granted_until_on,
        started_by,
        ended_by
    from valid

)

select * from final
