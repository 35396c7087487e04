-- Cohorts hold every customer once: by grain and mode, and by segment of any label, as many as there are.
with sizes as (

    select
        period_grain,
        retention_mode,
        segment_name,
        sum(cohort_size) as customer_count
    from {{ ref('retention_cohorts') }}
    where period_index = 0
    group by
        period_grain,
        retention_mode,
        segment_name

),

customers as (

    select count(*) as customer_count
    from {{ ref('int_customer_purchases') }}

)

select
    sizes.period_grain,
    sizes.retention_mode,
    sizes.segment_name,
    sizes.customer_count,
    customers.customer_count as expected_count
from sizes
cross join customers
where sizes.customer_count <> customers.customer_count
