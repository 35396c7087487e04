with ledger as (

    select * from {{ ref('points_ledger') }}

),

recognised as (

    select
        program_id,
        month_number,
        {{ sum_bigint('recognised_minor') }} as recognised_minor,
        {{ sum_bigint('allocated_minor - recognised_minor') }} as deferred_minor
    from {{ ref('int_points_recognised') }}
    group by
        program_id,
        month_number

),

data_window as (

    select
        {{ month_number('data_end_on') }} as last_number,
        {{ month_number(add_days('data_end_on', 1)) }} - 1 as last_complete_number
    from {{ ref('int_data_window') }}

),

summed as (

    select
        program_id,
        {{ month_number('business_date') }} as month_number,
        {{ sum_where('points', "entry_type = 'earned'") }} as earned_points,
        {{ sum_where('points', "entry_type = 'adjusted'") }} as adjusted_points,
        {{ sum_where('points', "entry_type = 'reinstated'") }} as reinstated_points,
        - {{ sum_where('points', "entry_type = 'redeemed'") }} as redeemed_points,
        - {{ sum_where('points', "entry_type = 'expired'") }} as expired_points,
        - {{ sum_where('points', "entry_type = 'reversed'") }} as reversed_points,
        {{ sum_where('points', "entry_type <> 'debt'") }} as moved_points,
        - {{ sum_where('points', "entry_type = 'debt'") }} as owed_points
    from ledger
    group by
        program_id,
        {{ month_number('business_date') }}

),

months as (

    select
        first_months.program_id,
        {{ integer_series('first_months.first_number', 'data_window.last_number') }} as month_number
    from (
        select
            program_id,
            min(month_number) as first_number
        from summed
        group by program_id
    ) as first_months
    cross join data_window

),

accumulated as (

    select
        months.program_id,
        months.month_number,
        coalesce(summed.earned_points, 0) as earned_points,
        coalesce(summed.adjusted_points, 0) as adjusted_points,
        coalesce(summed.reinstated_points, 0) as reinstated_points,
        coalesce(summed.redeemed_points, 0) as redeemed_points,
        coalesce(summed.expired_points, 0) as expired_points,
        coalesce(summed.reversed_points, 0) as reversed_points,
        coalesce(summed.moved_points, 0) as moved_points,
        cast(sum(coalesce(summed.moved_points, 0)) over up_to_here as bigint) as closing_points,
        cast(sum(coalesce(summed.owed_points, 0)) over up_to_here as bigint) as debt_points
    from months
    left join summed
        on
            months.program_id = summed.program_id
            and months.month_number = summed.month_number
    window up_to_here as (
        partition by months.program_id
        order by months.month_number
        rows between unbounded preceding and current row
    )

),

final as (

    select
        accumulated.program_id,
        {{ period_number_start("'month'", 'accumulated.month_number') }} as month,
        accumulated.closing_points - accumulated.moved_points as opening_points,
        accumulated.earned_points,
        accumulated.adjusted_points,
        accumulated.reinstated_points,
        accumulated.redeemed_points,
        accumulated.expired_points,
        accumulated.reversed_points,
        accumulated.closing_points,
        accumulated.debt_points,
        {{ to_amount('coalesce(recognised.recognised_minor, 0) - lag(coalesce(recognised.recognised_minor, 0), 1, 0) over (
            partition by accumulated.program_id
            order by accumulated.month_number
        )') }} as recognised_amount,
        {{ to_amount('coalesce(recognised.deferred_minor, 0)') }} as deferred_amount,
        accumulated.month_number <= data_window.last_complete_number as is_complete
    from accumulated
    cross join data_window
    left join recognised
        on
            accumulated.program_id = recognised.program_id
            and accumulated.month_number = recognised.month_number

)

select * from final
