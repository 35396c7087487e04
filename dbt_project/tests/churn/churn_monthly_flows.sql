-- base(t + 1) = base(t) + new + reactivated − churned − churned_new on a gapless spine; the parts by initiator and cause add up to
-- the total.
with totals as (

    select
        month,
        segment_name,
        segment_value,
        base_count,
        new_count,
        reactivated_count,
        churned_count,
        churned_new_count,
        lag(month) over segment_months as previous_month,
        lag(base_count + new_count + reactivated_count - churned_count - churned_new_count)
            over segment_months as expected_base_count
    from {{ ref('churn_monthly') }}
    where initiator = 'all' and cause = 'all'
    window segment_months as (
        partition by segment_name, segment_value
        order by month
    )

),

parts as (

    select
        month,
        segment_name,
        segment_value,
        sum(churned_count) as churned_count,
        sum(churned_new_count) as churned_new_count
    from {{ ref('churn_monthly') }}
    where initiator <> 'all'
    group by
        month,
        segment_name,
        segment_value

)

select
    totals.*,
    parts.churned_count as parts_count
from totals
left join parts
    on
        totals.month = parts.month
        and totals.segment_name = parts.segment_name
        and totals.segment_value = parts.segment_value
where
    totals.base_count <> coalesce(totals.expected_base_count, 0)
    or totals.previous_month <> {{ add_months('totals.month', -1) }}
    or totals.churned_count <> coalesce(parts.churned_count, 0)
    or totals.churned_new_count <> coalesce(parts.churned_new_count, 0)
    or totals.churned_count > totals.base_count
