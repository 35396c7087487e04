with data_window as (

    select * from {{ ref('int_data_window') }}

),

-- Whole years, so that a calendar filter in a BI tool has no holes.
days as (

    {{ day_spine(
        "(select " ~ period_start('year', 'first_event_on') ~ " from data_window)",
        "(select " ~ add_days(add_months(period_start('year', 'data_end_on'), 12), -1) ~ " from data_window)"
    ) }}

),

final as (

    select
        days.day as date_on,
        {{ period_start('week', 'days.day') }} as week_start_on,
        {{ period_start('month', 'days.day') }} as month,
        {{ period_start('quarter', 'days.day') }} as quarter_start_on,
        cast(year(days.day) as integer) as year_number,
        cast(month(days.day) as integer) as month_number,
        {{ iso_weekday('days.day') }} as iso_weekday,
        {{ year_month('days.day') }} as month_label,
        {{ iso_weekday('days.day') }} >= 6 as is_weekend,
        days.day between data_window.data_start_on and data_window.data_end_on as is_in_data
    from days
    cross join data_window

)

select * from final
