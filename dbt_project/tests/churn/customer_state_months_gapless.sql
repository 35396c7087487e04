-- Runs follow each other month by month, differ in state, and reach from the first purchase to the last month that is over.
with runs as (

    select
        customer_id,
        state,
        from_month,
        to_month,
        is_current,
        lag(state) over (
            partition by customer_id
            order by from_month
        ) as previous_state,
        lag(to_month) over (
            partition by customer_id
            order by from_month
        ) as previous_to_month,
        lead(from_month) over (
            partition by customer_id
            order by from_month
        ) as next_from_month
    from {{ ref('customer_state_months') }}

),

customers as (

    select
        customer_id,
        {{ period_start('month', 'first_purchased_on') }} as first_month
    from {{ ref('int_customer_purchases') }}

)

select runs.*
from runs
inner join customers
    on runs.customer_id = customers.customer_id
where
    runs.to_month < runs.from_month
    or runs.previous_state = runs.state
    or runs.from_month <> coalesce({{ add_months('runs.previous_to_month', 1) }}, customers.first_month)
    or (runs.next_from_month is null) <> runs.is_current
