-- Two ways to the same revenue and heads: month on month as in growth_accounting.
select
    retention.window_end_on,
    retention.revenue_amount,
    growth.revenue_amount as growth_revenue_amount,
    retention.end_count,
    growth.active_count,
    retention.new_count,
    growth.new_count as growth_new_count
from {{ ref('net_revenue_retention') }} as retention
inner join {{ ref('growth_accounting') }} as growth
    on
        growth.period_grain = 'month'
        and {{ period_start('month', 'retention.window_end_on') }} = growth.period_start_on
where
    retention.window = 'month'
    and (
        retention.revenue_amount <> growth.revenue_amount
        or retention.new_amount <> growth.new_amount
        or retention.end_count <> growth.active_count
        or retention.new_count <> growth.new_count
        or retention.start_count <> growth.retained_count + growth.churned_count
    )
