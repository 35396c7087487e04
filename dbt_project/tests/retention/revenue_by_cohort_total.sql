-- Revenue by cohort adds up to the month's revenue and heads in growth_accounting.
with months as (

    select
        month,
        sum(net_amount) as net_amount,
        sum(customer_count) as customer_count
    from {{ ref('revenue_by_cohort') }}
    group by month

)

select
    growth.period_start_on,
    growth.revenue_amount,
    growth.active_count,
    months.net_amount,
    months.customer_count
from {{ ref('growth_accounting') }} as growth
left join months
    on growth.period_start_on = months.month
where
    growth.period_grain = 'month'
    and (
        coalesce(months.net_amount, 0) <> growth.revenue_amount
        or coalesce(months.customer_count, 0) <> growth.active_count
    )
