-- active ≤ eligible ≤ cohort size, and a bracket of one period is that period's cell.
select
    brackets.period_grain,
    brackets.retention_mode,
    brackets.segment_name,
    brackets.segment_value,
    brackets.cohort_start_on,
    brackets.from_index,
    brackets.to_index,
    brackets.cohort_size,
    brackets.eligible_count,
    brackets.active_count,
    first_cells.active_on_or_after_count,
    last_cells.eligible_count as last_eligible_count
from {{ ref('retention_brackets') }} as brackets
left join {{ ref('retention_cohorts') }} as first_cells
    on
        brackets.period_grain = first_cells.period_grain
        and brackets.retention_mode = first_cells.retention_mode
        and brackets.segment_name = first_cells.segment_name
        and brackets.segment_value = first_cells.segment_value
        and brackets.cohort_start_on = first_cells.cohort_start_on
        and brackets.from_index = first_cells.period_index
left join {{ ref('retention_cohorts') }} as last_cells
    on
        brackets.period_grain = last_cells.period_grain
        and brackets.retention_mode = last_cells.retention_mode
        and brackets.segment_name = last_cells.segment_name
        and brackets.segment_value = last_cells.segment_value
        and brackets.cohort_start_on = last_cells.cohort_start_on
        and brackets.to_index = last_cells.period_index
where
    brackets.active_count > brackets.eligible_count
    or brackets.eligible_count > brackets.cohort_size
    or brackets.active_count > first_cells.active_on_or_after_count
    or brackets.eligible_count <> coalesce(last_cells.eligible_count, 0)
    or (brackets.from_index = brackets.to_index and brackets.active_count is distinct from first_cells.active_count)
    or first_cells.period_index is null
