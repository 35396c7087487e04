with vintage_months as (

    select * from {{ ref('int_points_vintage_months') }}

),

recognised as (

    select * from {{ ref('int_points_recognised') }}

),

data_window as (

    select {{ month_number('data_end_on') }} as last_number
    from {{ ref('int_data_window') }}

),

vintages as (

    select
        vintage_months.program_id,
        vintage_months.vintage_number,
        vintage_months.total_issued_points as issued_points,
        vintage_months.total_redeemed_points as redeemed_points,
        vintage_months.total_expired_points as expired_points,
        vintage_months.total_withdrawn_points as withdrawn_points,
        vintage_months.outstanding_points,
        vintage_months.total_issued_points - vintage_months.total_withdrawn_points as kept_points,
        recognised.expected_redemption_rate,
        recognised.expected_redeemed_points,
        recognised.expected_redeemed_points - vintage_months.total_redeemed_points as still_redeemed_points,
        recognised.point_cost_amount,
        recognised.net_minor,
        recognised.allocated_minor,
        recognised.recognised_minor
    from vintage_months
    inner join data_window
        on vintage_months.month_number = data_window.last_number
    inner join recognised
        on
            vintage_months.program_id = recognised.program_id
            and vintage_months.vintage_number = recognised.vintage_number
            and vintage_months.month_number = recognised.month_number

),

final as (

    select
        program_id,
        {{ period_number_start("'month'", 'vintage_number') }} as vintage_month,
        issued_points,
        redeemed_points,
        expired_points,
        withdrawn_points,
        outstanding_points,
        expected_redemption_rate,
        {{ ratio('still_redeemed_points', 'outstanding_points') }} as outstanding_redemption_rate,
        {{ to_amount('cast(round(still_redeemed_points * point_cost_amount * 100) as bigint)') }} as liability_amount,
        {{ to_amount('cast(round(expected_redeemed_points * point_cost_amount * 100) as bigint)') }} as expected_cost_amount,
        case when outstanding_points = 0 then {{ ratio('expired_points', 'kept_points') }} end as breakage_rate,
        {{ to_amount('net_minor') }} as sales_amount,
        {{ to_amount('allocated_minor') }} as allocated_amount,
        {{ to_amount('recognised_minor') }} as recognised_amount,
        {{ to_amount('allocated_minor - recognised_minor') }} as deferred_amount
    from vintages

)

select * from final
