with lots as (

    select * from {{ ref('int_points_lots') }}

),

taken as (

    select * from {{ ref('int_points_taken') }}
    where lot_number is not null and entry_type is not null

),

data_window as (

    select
        data_end_on,
        {{ month_number('data_end_on') }} as last_number,
        {{ month_number(add_days('data_end_on', 1)) }} - 1 as last_complete_number
    from {{ ref('int_data_window') }}

),

entries as (

    select
        program_id,
        {{ month_number('business_date') }} as vintage_number,
        {{ month_number('business_date') }} as month_number,
        'issued' as entry_type,
        {{ sum_bigint('points') }} as points
    from lots
    group by
        program_id,
        {{ month_number('business_date') }}

    union all

    -- A debt is paid when the lot is given.
    select
        taken.program_id,
        {{ month_number('taken.given_on') }} as vintage_number,
        {{ month_number('case when taken.is_owed then taken.given_on else taken.taken_on end') }} as month_number,
        taken.entry_type,
        {{ sum_bigint('taken.points') }} as points
    from taken
    inner join data_window
        on taken.taken_on <= data_window.data_end_on
    group by
        taken.program_id,
        {{ month_number('taken.given_on') }},
        {{ month_number('case when taken.is_owed then taken.given_on else taken.taken_on end') }},
        taken.entry_type

),

moved as (

    select
        program_id,
        vintage_number,
        month_number,
        {{ sum_where('points', "entry_type = 'issued'") }} as issued_points,
        {{ sum_where('points', "entry_type = 'redeemed'") }} as redeemed_points,
        {{ sum_where('points', "entry_type = 'expired'") }} as expired_points,
        {{ sum_where('points', "entry_type in ('reversed', 'adjusted')") }} as withdrawn_points
    from entries
    group by
        program_id,
        vintage_number,
        month_number

),

months as (

    select
        vintages.program_id,
        vintages.vintage_number,
        {{ integer_series('vintages.vintage_number', 'data_window.last_number') }} as month_number
    from (
        select distinct
            program_id,
            vintage_number
        from moved
    ) as vintages
    cross join data_window

),

accumulated as (

    select
        months.program_id,
        months.vintage_number,
        months.month_number,
        coalesce(moved.redeemed_points, 0) as redeemed_points,
        coalesce(moved.expired_points, 0) as expired_points,
        cast(sum(coalesce(moved.issued_points, 0)) over up_to_here as bigint) as total_issued_points,
        cast(sum(coalesce(moved.redeemed_points, 0)) over up_to_here as bigint) as total_redeemed_points,
        cast(sum(coalesce(moved.expired_points, 0)) over up_to_here as bigint) as total_expired_points,
        cast(sum(coalesce(moved.withdrawn_points, 0)) over up_to_here as bigint) as total_withdrawn_points
    from months
    left join moved
        on
            months.program_id = moved.program_id
            and months.vintage_number = moved.vintage_number
            and months.month_number = moved.month_number
    window up_to_here as (
        partition by months.program_id, months.vintage_number
        order by months.month_number
        rows between unbounded preceding and current row
    )

),

final as (

    select
        accumulated.program_id,
        accumulated.vintage_number,
        accumulated.month_number,
        accumulated.month_number - accumulated.vintage_number as age_months,
        accumulated.redeemed_points,
        accumulated.expired_points,
        accumulated.total_issued_points,
        accumulated.total_redeemed_points,
        accumulated.total_expired_points,
        accumulated.total_withdrawn_points,
        accumulated.total_issued_points
        - accumulated.total_redeemed_points
        - accumulated.total_expired_points
        - accumulated.total_withdrawn_points as outstanding_points,
        least(
            {{ add_days(period_number_start("'month'", 'accumulated.month_number + 1'), -1) }}, data_window.data_end_on
        ) as month_end_on,
        accumulated.month_number <= data_window.last_complete_number as is_complete
    from accumulated
    cross join data_window

)

select * from final
