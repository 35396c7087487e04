with customers as (

    select * from {{ ref('int_cohort_customers') }}

),

customer_segments as (

    select * from {{ ref('int_customer_segments') }}

),

-- Everybody in a label set has the same labels: any one of them tells which.
representatives as (

    select
        label_set_id,
        min(customer_id) as customer_id
    from customers
    group by label_set_id

),

label_set_segments as (

    select
        label_set_id,
        'all' as segment_name,
        'all' as segment_value
    from representatives

    union all

    select
        representatives.label_set_id,
        customer_segments.segment_name,
        customer_segments.segment_value
    from representatives
    inner join customer_segments
        on representatives.customer_id = customer_segments.customer_id

),

segments as (

    select
        segment_name,
        segment_value,
        row_number() over (
            order by
                segment_name,
                segment_value
        ) as segment_id
    from label_set_segments
    group by
        segment_name,
        segment_value

),

final as (

    select
        label_set_segments.label_set_id,
        segments.segment_id,
        segments.segment_name,
        segments.segment_value
    from label_set_segments
    inner join segments
        on
            label_set_segments.segment_name = segments.segment_name
            and label_set_segments.segment_value = segments.segment_value

)

select * from final
