with customers as (

    select * from {{ ref('int_customer_purchases') }}

),

sample_steps as (

    select greatest(cast(ceil(count(*) / {{ var('forecast_backtest_customers') }}.0) as bigint), 1) as sample_step
    from customers

),

-- By a hash of the name: the same customers from run to run, and no others because of how anybody buys.
final as (

    select customers.customer_id
    from customers
    cross join sample_steps
    where mod({{ integer_key(['customers.customer_id']) }}, sample_steps.sample_step) = 0

)

select * from final
