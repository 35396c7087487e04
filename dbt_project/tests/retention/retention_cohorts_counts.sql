-- active ≤ active on or after ≤ eligible ≤ cohort size; on or after never grows while the eligible stay the same;
-- everybody eligible is active in period 0; what nobody is eligible for is unknown.
with cells as (

    select
        period_grain,
        retention_mode,
        segment_name,
        segment_value,
        cohort_start_on,
        period_index,
        cohort_size,
        eligible_count,
        active_count,
        active_on_or_after_count,
        net_amount,
        lag(eligible_count) over by_cohort as previous_eligible_count,
        lag(active_on_or_after_count) over by_cohort as previous_on_or_after_count
    from {{ ref('retention_cohorts') }}
    window by_cohort as (
        partition by period_grain, retention_mode, segment_name, segment_value, cohort_start_on
        order by period_index
    )

)

select *
from cells
where
    active_count > active_on_or_after_count
    or active_on_or_after_count > eligible_count
    or eligible_count > cohort_size
    or eligible_count > previous_eligible_count
    or (eligible_count = previous_eligible_count and active_on_or_after_count > previous_on_or_after_count)
    or (period_index = 0 and eligible_count > 0 and active_count <> eligible_count)
    or (eligible_count = 0) <> (active_count is null)
    or (eligible_count = 0) <> (net_amount is null)
