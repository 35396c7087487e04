-- GRR ≤ min(1, NRR), as amounts and so without rounding. Where returns exceed purchases in a customer's period, GRR takes
-- it as 0 and NRR as less than nothing: then only GRR ≤ 1 holds. The parts make up the revenue.
with negative_periods as (

    select count(*) as period_count
    from {{ ref('int_customer_periods') }}
    where net_minor < 0

)

select
    retention.window_end_on,
    retention.base_amount,
    retention.base_current_amount,
    retention.kept_amount,
    retention.revenue_amount,
    retention.crr_rate
from {{ ref('net_revenue_retention') }} as retention
cross join negative_periods
where
    retention.kept_amount > retention.base_amount
    or retention.grr_rate > 1
    or (negative_periods.period_count = 0 and retention.kept_amount > retention.base_current_amount)
    or retention.revenue_amount
    <> retention.base_current_amount + retention.resurrected_amount + retention.new_amount
    or retention.crr_rate < 0
    or retention.new_count > retention.end_count
