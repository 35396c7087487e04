-- Every customer with a purchase day has a state, and the open silence is theirs alone.
with states as (

    select
        customer_id,
        recency_days,
        gap_count
    from {{ ref('customer_states') }}

),

customers as (

    select
        customer_id,
        purchase_day_count
    from {{ ref('int_customer_purchases') }}

)

select
    states.customer_id as state_customer_id,
    customers.customer_id,
    states.gap_count,
    customers.purchase_day_count
from states
full outer join customers
    on states.customer_id = customers.customer_id
where
    states.customer_id is null
    or customers.customer_id is null
    or states.gap_count <> customers.purchase_day_count - 1
    or states.recency_days < 0
