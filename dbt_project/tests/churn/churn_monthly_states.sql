-- At the end of every month each customer who had bought by then is in exactly one state, in every segment that is cut.
with customers as (

    select count(*) as customer_count
    from {{ ref('int_customer_purchases') }}

),

months as (

    select
        month,
        segment_name,
        active_count + at_risk_count + lapsed_count + closed_count as state_count,
        sum(new_count) over (
            partition by segment_name, segment_value
            order by month
            rows between unbounded preceding and current row
        ) as bought_count
    from {{ ref('churn_monthly') }}
    where initiator = 'all' and is_complete

)

select
    month,
    segment_name,
    sum(state_count) as state_count,
    sum(bought_count) as bought_count
from months
cross join customers
group by
    month,
    segment_name
having sum(state_count) <> sum(bought_count) or sum(state_count) > max(customer_count)
