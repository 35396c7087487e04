with steps as (

    select * from {{ ref('int_cohort_steps') }}

),

period_bounds as (

    select * from {{ ref('int_period_bounds') }}

),

month_facts as (

    select
        cohort_number,
        period_index,
        {{ sum_bigint('active_count') }} as customer_count,
        {{ sum_bigint('net_minor') }} as net_minor
    from steps
    where
        period_grain = 'month'
        and retention_mode = 'calendar'
    group by
        cohort_number,
        period_index

),

cohorts as (

    select
        month_facts.cohort_number,
        period_bounds.last_number,
        period_bounds.last_complete_number
    from month_facts
    cross join period_bounds
    where
        month_facts.period_index = 0
        and period_bounds.period_grain = 'month'

),

cohort_months as (

    select
        cohort_number,
        {{ integer_series('0', 'last_number - cohort_number') }} as period_index,
        last_complete_number
    from cohorts

),

final as (

    select
        {{ period_number_start("'month'", 'cohort_months.cohort_number') }} as cohort_month,
        {{ period_number_start("'month'", '(cohort_months.cohort_number + cohort_months.period_index)') }} as month,
        cohort_months.period_index,
        coalesce(month_facts.customer_count, 0) as customer_count,
        {{ to_amount('coalesce(month_facts.net_minor, 0)') }} as net_amount,
        cohort_months.cohort_number + cohort_months.period_index <= cohort_months.last_complete_number as is_complete
    from cohort_months
    left join month_facts
        on
            cohort_months.cohort_number = month_facts.cohort_number
            and cohort_months.period_index = month_facts.period_index

)

select * from final
