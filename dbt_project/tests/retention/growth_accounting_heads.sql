-- active(t) = new + retained + resurrected, and active(t−1) = retained(t) + churned(t), on a gapless spine.
with periods as (

    select
        period_grain,
        period_start_on,
        active_count,
        new_count,
        retained_count,
        resurrected_count,
        churned_count,
        is_complete,
        lag(active_count) over (
            partition by period_grain
            order by period_start_on
        ) as previous_active_count
    from {{ ref('growth_accounting') }}

)

select *
from periods
where
    active_count <> new_count + retained_count + resurrected_count
    or (is_complete and coalesce(previous_active_count, 0) <> retained_count + churned_count)
    or (is_complete and churned_count is null)
    or (not is_complete and churned_count is not null)
