{%- set sums = [
    'member_count', 'active_count', 'buyer_count', 'base_count', 'churned_count', 'pending_count', 'net_minor',
    'costed_minor', 'cost_minor', 'earned_points'
] -%}

with months as (

    select * from {{ ref('int_tier_months_counted') }}

),

tiers as (

    select * from {{ ref('tiers') }}

),

-- What a point that is given costs, as today it is expected to be redeemed.
point_costs as (

    select
        recognised.program_id,
        {{ period_number_start("'month'", 'recognised.vintage_number') }} as month,
        recognised.expected_redemption_rate * recognised.point_cost_amount as point_cost_amount
    from {{ ref('int_points_recognised') }} as recognised
    inner join {{ ref('int_data_window') }} as data_window
        on recognised.month_number = {{ month_number('data_window.data_end_on') }}

),

summed as (

    select
        program_id,
        month,
        from_tier as tier,
        is_complete,
        {%- for name in sums %}
        {{ sum_bigint(name) }} as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from months
    group by
        program_id,
        month,
        from_tier,
        is_complete

),

final as (

    select
        summed.program_id,
        summed.month,
        summed.tier,
        cast(tiers.tier_rank as bigint) as tier_rank,
        summed.member_count,
        case when summed.is_complete then summed.active_count end as active_count,
        case
            when summed.is_complete then {{ ratio('summed.active_count', 'summed.member_count') }}
        end as active_member_rate,
        summed.buyer_count,
        case
            when summed.is_complete and tiers.tier is not null
                then {{ ratio('summed.buyer_count', 'summed.member_count') }}
        end as retention_rate,
        summed.base_count,
        summed.churned_count,
        {{ ratio('summed.churned_count', 'summed.base_count') }} as churn_rate,
        summed.pending_count,
        {{ ratio('summed.churned_count + summed.pending_count', 'summed.base_count') }} as possible_churn_rate,
        {{ to_amount('summed.net_minor') }} as net_amount,
        case
            when summed.costed_minor <> 0 or summed.cost_minor <> 0 then {{ to_amount('summed.costed_minor') }}
        end as costed_amount,
        case
            when summed.costed_minor <> 0 or summed.cost_minor <> 0
                then {{ to_amount('summed.costed_minor - summed.cost_minor') }}
        end as margin_amount,
        {{ to_amount('summed.member_count * ' ~ to_minor('coalesce(tiers.benefit_cost_amount, 0)')) }} as benefit_cost_amount,
        summed.earned_points,
        {{ to_amount(
            'cast(round(summed.earned_points * coalesce(point_costs.point_cost_amount, 0) * 100) as bigint)'
        ) }} as points_cost_amount,
        summed.is_complete
    from summed
    left join tiers
        on
            summed.program_id = tiers.program_id
            and summed.tier = tiers.tier
    left join point_costs
        on
            summed.program_id = point_costs.program_id
            and summed.month = point_costs.month

)

select * from final
