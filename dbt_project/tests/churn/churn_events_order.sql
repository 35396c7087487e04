-- A customer churns after a purchase day, comes back later than that, and churns again only after having come back.
with events as (

    select
        customer_id,
        last_order_on,
        churned_on,
        reactivated_on,
        lag(reactivated_on) over (
            partition by customer_id
            order by churned_on
        ) as previous_reactivated_on,
        lag(churned_on) over (
            partition by customer_id
            order by churned_on
        ) as previous_churned_on
    from {{ ref('churn_events') }}

)

select *
from events
where
    churned_on < last_order_on
    or reactivated_on < churned_on
    or (previous_churned_on is not null and previous_reactivated_on is null)
    or previous_reactivated_on > last_order_on
