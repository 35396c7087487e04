-- Each grain has every period from the first of the data to the one that holds data_end, once.
with periods as (

    select
        period_grain,
        period_start_on,
        case period_grain
            when 'week' then {{ period_number('week', 'period_start_on') }}
            when 'month' then {{ period_number('month', 'period_start_on') }}
        end as period_number
    from {{ ref('growth_accounting') }}

),

spans as (

    select
        period_grain,
        min(period_number) as first_number,
        max(period_number) as last_number,
        count(*) as period_count
    from periods
    group by period_grain

)

select
    bounds.period_grain,
    bounds.first_number,
    bounds.last_number,
    spans.first_number as first_row_number,
    spans.last_number as last_row_number,
    spans.period_count
from {{ ref('int_period_bounds') }} as bounds
left join spans
    on bounds.period_grain = spans.period_grain
where
    bounds.period_grain in ('week', 'month')
    and (
        spans.first_number is distinct from bounds.first_number
        or spans.last_number is distinct from bounds.last_number
        or spans.period_count is distinct from bounds.last_number - bounds.first_number + 1
    )
