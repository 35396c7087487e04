with histories as (

    select * from {{ ref('int_forecast_histories') }}
    where not is_current

),

customers as (

    select * from {{ ref('int_customer_purchases') }}

),

label_sets as (

    select * from {{ ref('int_cohort_label_sets') }}
    where segment_name in ('all', '{{ var("churn_segment_label") }}')

),

segments as (

    select
        histories.as_of_on,
        label_sets.segment_name,
        label_sets.segment_value,
        sum(histories.repeat_count) as gap_count,
        {{ ratio('sum(histories.span_days)', 'sum(histories.repeat_count)') }} as mean_gap_days,
        count(case when histories.repeat_count > 0 then 1 end) as first_gap_count,
        {{ percentile(
            'case when histories.repeat_count > 0 then '
            ~ days_between('customers.first_purchased_on', 'customers.second_purchased_on') ~ ' end', 0.9
        ) }} as first_gap_percentile_days
    from histories
    inner join customers
        on histories.customer_id = customers.customer_id
    inner join label_sets
        on histories.label_set_id = label_sets.label_set_id
    group by
        histories.as_of_on,
        label_sets.segment_name,
        label_sets.segment_value

),

-- The segment's own figures where it has enough gaps, those of everybody otherwise.
final as (

    select
        segments.as_of_on,
        label_sets.label_set_id,
        {{ own_or_everybodys('segments.mean_gap_days', 'segments.gap_count', 'segments.segment_name') }} as mean_gap_days,
        {{ own_or_everybodys(
            'segments.first_gap_percentile_days', 'segments.first_gap_count', 'segments.segment_name'
        ) }} as first_gap_percentile_days
    from segments
    inner join label_sets
        on
            segments.segment_name = label_sets.segment_name
            and segments.segment_value = label_sets.segment_value
    group by
        segments.as_of_on,
        label_sets.label_set_id

)

select * from final
