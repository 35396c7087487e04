with vintage_months as (

    select * from {{ ref('int_points_vintage_months') }}

),

redemptions as (

    select * from {{ ref('int_redemptions_expected') }}

),

sales as (

    select * from {{ ref('int_vintage_sales_summed') }}

),

rules as (

    select * from {{ ref('int_points_rules_dated') }}

),

-- What the past lets expect of each vintage today.
estimated as (

    select
        vintage_months.program_id,
        vintage_months.vintage_number,
        vintage_months.total_redeemed_points
        + vintage_months.outstanding_points * redemptions.expected_redeemed_share as redeemed_points,
        vintage_months.total_issued_points - vintage_months.total_withdrawn_points as kept_points
    from (
        select
            *,
            max(month_number) over (partition by program_id, vintage_number) as last_number
        from vintage_months
    ) as vintage_months
    inner join redemptions
        on
            vintage_months.program_id = redemptions.program_id
            and vintage_months.vintage_number = redemptions.vintage_number
    where vintage_months.month_number = vintage_months.last_number

),

-- What was paid is for goods and points, by their stand-alone prices; those of points by what is expected of them when
-- they are given. [IFRS 15, B39–B43]
priced as (

    select
        sales.program_id,
        sales.vintage_number,
        {{ sum_bigint('sales.net_minor') }} as net_minor,
        sum(
            cast(sales.points as double)
            * rules.point_value_amount * 100
            * coalesce(
                rules.expected_redemption_rate, {{ ratio('estimated.redeemed_points', 'estimated.kept_points') }}, 0
            )
        ) as points_minor
    from sales
    inner join rules
        on
            sales.program_id = rules.program_id
            and sales.rule_version = rules.rule_version
    left join estimated
        on
            sales.program_id = estimated.program_id
            and sales.vintage_number = estimated.vintage_number
    group by
        sales.program_id,
        sales.vintage_number

),

allocated as (

    select
        program_id,
        vintage_number,
        net_minor,
        coalesce(
            greatest(net_minor, 0) * {{ ratio('points_minor', 'greatest(net_minor, 0) + points_minor') }}, 0
        ) as allocated_minor
    from priced

),

-- Of each month's end: the points of the vintage that will ever be redeemed, by the rate that finance then expected, within
-- what was and still can be redeemed; or where none was given, by today's estimate.
expected as (

    select
        vintage_months.program_id,
        vintage_months.vintage_number,
        vintage_months.month_number,
        vintage_months.total_redeemed_points,
        vintage_months.outstanding_points,
        vintage_months.total_issued_points - vintage_months.total_withdrawn_points as kept_points,
        case
            when rules.expected_redemption_rate is null
                then greatest(estimated.redeemed_points, vintage_months.total_redeemed_points)
            else greatest(
                least(
                    rules.expected_redemption_rate
                    * (vintage_months.total_issued_points - vintage_months.total_withdrawn_points),
                    vintage_months.total_redeemed_points + vintage_months.outstanding_points
                ),
                vintage_months.total_redeemed_points
            )
        end as expected_redeemed_points,
        rules.point_cost_amount
    from vintage_months
    inner join rules
        on
            vintage_months.program_id = rules.program_id
            and {{ is_within('vintage_months.month_end_on', 'rules.valid_from_on', 'rules.valid_to_on') }}
    inner join estimated
        on
            vintage_months.program_id = estimated.program_id
            and vintage_months.vintage_number = estimated.vintage_number

),

-- Recognised as points are redeemed, in proportion to all that will be; where nothing is outstanding, all of it.
final as (

    select
        expected.program_id,
        expected.vintage_number,
        expected.month_number,
        expected.expected_redeemed_points,
        {{ ratio('expected.expected_redeemed_points', 'expected.kept_points') }} as expected_redemption_rate,
        expected.point_cost_amount,
        coalesce(allocated.net_minor, 0) as net_minor,
        cast(round(coalesce(allocated.allocated_minor, 0)) as bigint) as allocated_minor,
        cast(round(
            coalesce(allocated.allocated_minor, 0)
            * case
                when expected.outstanding_points = 0 then 1
                else coalesce({{ ratio('expected.total_redeemed_points', 'expected.expected_redeemed_points') }}, 1)
            end
        ) as bigint) as recognised_minor
    from expected
    left join allocated
        on
            expected.program_id = allocated.program_id
            and expected.vintage_number = allocated.vintage_number

)

select * from final
