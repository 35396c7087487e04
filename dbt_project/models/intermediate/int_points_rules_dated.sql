with rules as (

    select * from {{ ref('points_rules') }}

),

earn_rules as (

    select * from {{ ref('earn_rules') }}
    where applies_to = 'order'

),

final as (

    select
        rules.program_id,
        cast(rules.rule_version as bigint) as rule_version,
        rules.expiry_type,
        rules.expiry_months,
        rules.order_cap,
        rules.day_cap,
        rules.month_cap,
        cast(earn_rules.multiplier * 1000000 as bigint) as unit_micropoints,
        cast(rules.point_value_amount as double) as point_value_amount,
        cast(rules.point_cost_amount as double) as point_cost_amount,
        cast(rules.expected_redemption_rate as double) as expected_redemption_rate,
        rules.valid_from as valid_from_on,
        lead(rules.valid_from) over (
            partition by rules.program_id
            order by rules.valid_from
        ) as valid_to_on
    from rules
    inner join earn_rules
        on
            rules.program_id = earn_rules.program_id
            and rules.rule_version = earn_rules.rule_version

)

select * from final
