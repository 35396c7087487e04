-- Whoever closed the gap after the first purchase is at risk after the second, and every customer after the first.
with steps as (

    select
        from_purchase_number,
        max(at_risk_count) as subject_count,
        sum(event_count) as event_count
    from {{ ref('repeat_purchase_curves') }}
    group by from_purchase_number

),

customers as (

    select count(*) as customer_count
    from {{ ref('int_customer_purchases') }}

)

select
    first_steps.subject_count,
    first_steps.event_count,
    second_steps.subject_count as second_subject_count,
    customers.customer_count
from customers
left join steps as first_steps
    on first_steps.from_purchase_number = 1
left join steps as second_steps
    on second_steps.from_purchase_number = 2
where
    coalesce(first_steps.subject_count, 0) <> customers.customer_count
    or coalesce(first_steps.event_count, 0) <> coalesce(second_steps.subject_count, 0)
