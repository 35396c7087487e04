-- Every churn that ended is one return, and the other way round.
with events as (

    select
        customer_id,
        churned_on,
        reactivated_on
    from {{ ref('churn_events') }}
    where reactivated_on is not null

),

returns as (

    select
        customer_id,
        churned_on,
        reactivated_on
    from {{ ref('reactivations') }}

)

select
    events.customer_id,
    returns.customer_id as return_customer_id
from events
full outer join returns
    on
        events.customer_id = returns.customer_id
        and events.churned_on = returns.churned_on
        and events.reactivated_on = returns.reactivated_on
where
    events.customer_id is null
    or returns.customer_id is null
