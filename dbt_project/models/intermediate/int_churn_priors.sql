{#- The share of gaps that a threshold is to be longer than. -#}
{%- set share = 0.9 -%}

with label_sets as (

    select * from {{ ref('int_cohort_label_sets') }}
    where segment_name in ('all', '{{ var("churn_segment_label") }}')

),

first_gaps as (

    select * from {{ ref('int_first_gaps_summed') }}

),

customer_days as (

    select * from {{ ref('int_cohort_days_summed') }}

),

members as (

    select * from {{ ref('int_cohort_members_summed') }}

),

-- All gaps of a customer add up to the time from the first to the last purchase day.
gap_sums as (

    select
        label_set_id,
        sum(purchase_day_count) as purchase_day_count,
        cast(0 as bigint) as customer_count,
        cast(0 as bigint) as gap_sum_days
    from customer_days
    group by label_set_id

    union all

    select
        label_set_id,
        cast(0 as bigint) as purchase_day_count,
        sum(member_count) as customer_count,
        sum(member_count * {{ days_between('first_purchased_on', 'last_purchased_on') }}) as gap_sum_days
    from members
    group by label_set_id

),

segment_gaps as (

    select
        label_sets.segment_name,
        label_sets.segment_value,
        {{ sum_bigint('gap_sums.purchase_day_count - gap_sums.customer_count') }} as gap_count,
        {{ sum_bigint('gap_sums.gap_sum_days') }} as gap_sum_days
    from gap_sums
    inner join label_sets
        on gap_sums.label_set_id = label_sets.label_set_id
    group by
        label_sets.segment_name,
        label_sets.segment_value

),

segment_first_gaps as (

    select
        label_sets.segment_name,
        label_sets.segment_value,
        first_gaps.gap_days,
        {{ sum_bigint('first_gaps.customer_count') }} as customer_count
    from first_gaps
    inner join label_sets
        on first_gaps.label_set_id = label_sets.label_set_id
    group by
        label_sets.segment_name,
        label_sets.segment_value,
        first_gaps.gap_days

),

ranked as (

    select
        segment_name,
        segment_value,
        gap_days,
        sum(customer_count) over (
            partition by segment_name, segment_value
            order by gap_days
            rows between unbounded preceding and current row
        ) as customers_to_here,
        {{ share }} * (sum(customer_count) over (partition by segment_name, segment_value) - 1) as place
    from segment_first_gaps

),

-- Linear interpolation between the two gaps around the place, as of a sorted list that counts from 0.
percentiles as (

    select
        segment_name,
        segment_value,
        max(customers_to_here) as first_gap_count,
        cast(
            min(case when customers_to_here > floor(place) then gap_days end)
            + (max(place) - floor(max(place))) * (
                min(case when customers_to_here > ceil(place) then gap_days end)
                - min(case when customers_to_here > floor(place) then gap_days end)
            ) as decimal(18, 6)
        ) as first_gap_percentile_days
    from ranked
    group by
        segment_name,
        segment_value

),

-- The segment's own figures where it has enough gaps, those of everybody otherwise.
chosen as (

    select
        label_sets.label_set_id,
        label_sets.segment_name,
        segment_gaps.gap_count,
        segment_gaps.gap_sum_days,
        percentiles.first_gap_count,
        percentiles.first_gap_percentile_days
    from label_sets
    inner join segment_gaps
        on
            label_sets.segment_name = segment_gaps.segment_name
            and label_sets.segment_value = segment_gaps.segment_value
    left join percentiles
        on
            label_sets.segment_name = percentiles.segment_name
            and label_sets.segment_value = percentiles.segment_value

),

final as (

    select
        label_set_id,
        {{ own_or_everybodys(ratio('gap_sum_days', 'gap_count'), 'gap_count') }} as mean_gap_days,
        {{ own_or_everybodys(
            'first_gap_percentile_days', 'first_gap_count'
        ) }} as first_gap_percentile_days
    from chosen
    group by label_set_id

)

select * from final
