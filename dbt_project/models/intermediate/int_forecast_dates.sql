{%- set step_days = var('forecast_backtest_days') -%}

with data_window as (

    select * from {{ ref('int_data_window') }}
    where data_end_on is not null and {{ 'true' if var('forecast_models') else 'false' }}

),

steps as (

    select
        data_start_on,
        data_end_on,
        {{ integer_series(0, var('forecast_backtest_count')) }} as backtest_number
    from data_window

),

dates as (

    select
        {{ add_days('data_end_on', '-' ~ step_days ~ ' * backtest_number') }} as as_of_on,
        cast(backtest_number as bigint) as backtest_number,
        data_start_on
    from steps

),

final as (

    select
        as_of_on,
        backtest_number,
        backtest_number = 0 as is_current
    from dates
    where backtest_number = 0 or as_of_on >= {{ add_days('data_start_on', step_days) }}

)

select * from final
