with customers as (

    select * from {{ ref('int_customer_purchases') }}

),

stepped as (

    select
        customer_id,
        greatest(cast(ceil(count(*) over () / {{ var('forecast_backtest_customers') }}.0) as bigint), 1) as sample_step
    from customers

),

-- By a hash of the name: the same customers from run to run, and no others because of how anybody buys.
final as (

    select customer_id
    from stepped
    where mod({{ integer_key(['customer_id']) }}, sample_step) = 0

)

select * from final
