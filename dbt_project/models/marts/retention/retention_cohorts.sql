with members as (

    select * from {{ ref('int_cohort_members') }}

),

steps as (

    select * from {{ ref('int_cohort_steps') }}

),

label_sets as (

    select * from {{ ref('int_cohort_label_sets') }}

),

period_bounds as (

    select * from {{ ref('int_period_bounds') }}

),

-- One row shape for four facts, each booked at one index. Those that hold for all indexes up to their own
-- (member still eligible, customer still to come back, base revenue of the eligible) become running sums below.
facts as (

    select
        period_grain,
        retention_mode,
        label_set_id,
        cohort_number,
        max_eligible_index as period_index,
        member_count as eligible_until_count,
        0 as seen_until_count,
        0 as active_count,
        0 as net_minor,
        0 as base_until_minor
    from members

    union all

    select
        period_grain,
        retention_mode,
        label_set_id,
        cohort_number,
        least(last_index, max_eligible_index) as period_index,
        0 as eligible_until_count,
        member_count as seen_until_count,
        0 as active_count,
        0 as net_minor,
        0 as base_until_minor
    from members

    union all

    select
        period_grain,
        retention_mode,
        label_set_id,
        cohort_number,
        period_index,
        0 as eligible_until_count,
        0 as seen_until_count,
        active_count,
        net_minor,
        0 as base_until_minor
    from steps
    where period_index <= max_eligible_index

    union all

    select
        period_grain,
        retention_mode,
        label_set_id,
        cohort_number,
        max_eligible_index as period_index,
        0 as eligible_until_count,
        0 as seen_until_count,
        0 as active_count,
        0 as net_minor,
        net_minor as base_until_minor
    from steps
    where period_index = 0

),

label_set_facts as (

    select
        period_grain,
        retention_mode,
        label_set_id,
        cohort_number,
        period_index,
        {{ sum_bigint('eligible_until_count') }} as eligible_until_count,
        {{ sum_bigint('seen_until_count') }} as seen_until_count,
        {{ sum_bigint('active_count') }} as active_count,
        {{ sum_bigint('net_minor') }} as net_minor,
        {{ sum_bigint('base_until_minor') }} as base_until_minor
    from facts
    group by
        period_grain,
        retention_mode,
        label_set_id,
        cohort_number,
        period_index

),

segment_facts as (

    select
        label_set_facts.period_grain,
        label_set_facts.retention_mode,
        label_sets.segment_id,
        label_set_facts.cohort_number,
        label_set_facts.period_index,
        {{ sum_bigint('label_set_facts.eligible_until_count') }} as eligible_until_count,
        {{ sum_bigint('label_set_facts.seen_until_count') }} as seen_until_count,
        {{ sum_bigint('label_set_facts.active_count') }} as active_count,
        {{ sum_bigint('label_set_facts.net_minor') }} as net_minor,
        {{ sum_bigint('label_set_facts.base_until_minor') }} as base_until_minor
    from label_set_facts
    inner join label_sets
        on label_set_facts.label_set_id = label_sets.label_set_id
    group by
        label_set_facts.period_grain,
        label_set_facts.retention_mode,
        label_sets.segment_id,
        label_set_facts.cohort_number,
        label_set_facts.period_index

),

segments as (

    select distinct
        segment_id,
        segment_name,
        segment_value
    from label_sets

),

-- One integer per cohort: with the texts of the key in every grouping and sort the table took half as long again.
cohorts as (

    select
        period_grain,
        retention_mode,
        segment_id,
        cohort_number,
        {{ sum_bigint('eligible_until_count') }} as cohort_size,
        row_number() over (
            order by
                period_grain,
                retention_mode,
                segment_id,
                cohort_number
        ) as cohort_id
    from segment_facts
    group by
        period_grain,
        retention_mode,
        segment_id,
        cohort_number

),

cohort_facts as (

    select
        cohorts.cohort_id,
        segment_facts.period_index,
        segment_facts.eligible_until_count,
        segment_facts.seen_until_count,
        segment_facts.active_count,
        segment_facts.net_minor,
        segment_facts.base_until_minor
    from segment_facts
    inner join cohorts
        on
            segment_facts.period_grain = cohorts.period_grain
            and segment_facts.retention_mode = cohorts.retention_mode
            and segment_facts.segment_id = cohorts.segment_id
            and segment_facts.cohort_number = cohorts.cohort_number

),

cohort_periods as (

    select
        cohorts.cohort_id,
        {{ integer_series('0', 'period_bounds.last_number - cohorts.cohort_number') }} as period_index
    from cohorts
    inner join period_bounds
        on cohorts.period_grain = period_bounds.period_grain

),

counted as (

    select
        cohort_periods.cohort_id,
        cohort_periods.period_index,
        coalesce(cohort_facts.active_count, 0) as active_count,
        coalesce(cohort_facts.net_minor, 0) as net_minor,
        cast(coalesce(sum(cohort_facts.eligible_until_count) over from_here_on, 0) as bigint) as eligible_count,
        cast(coalesce(sum(cohort_facts.seen_until_count) over from_here_on, 0) as bigint) as active_on_or_after_count,
        cast(coalesce(sum(cohort_facts.base_until_minor) over from_here_on, 0) as bigint) as base_minor
    from cohort_periods
    left join cohort_facts
        on
            cohort_periods.cohort_id = cohort_facts.cohort_id
            and cohort_periods.period_index = cohort_facts.period_index
    window from_here_on as (
        partition by cohort_periods.cohort_id
        order by cohort_periods.period_index desc
        rows between unbounded preceding and current row
    )

),

named_cohorts as (

    select
        cohorts.cohort_id,
        cohorts.period_grain,
        cohorts.retention_mode,
        segments.segment_name,
        segments.segment_value,
        {{ period_number_start('cohorts.period_grain', 'cohorts.cohort_number') }} as cohort_start_on,
        cohorts.cohort_size,
        cohorts.cohort_number = period_bounds.first_number as is_left_truncated
    from cohorts
    inner join segments
        on cohorts.segment_id = segments.segment_id
    inner join period_bounds
        on cohorts.period_grain = period_bounds.period_grain

),

labelled_cohorts as (

    select
        cohort_id,
        period_grain,
        retention_mode,
        segment_name,
        segment_value,
        cohort_start_on,
        {{ period_label('period_grain', 'cohort_start_on') }} as cohort_label,
        cohort_size,
        is_left_truncated
    from named_cohorts

),

-- A period that no member has lived through yet is unknown, not zero.
known as (

    select
        cohort_id,
        period_index,
        eligible_count,
        case when eligible_count > 0 then active_count end as active_count,
        case when eligible_count > 0 then active_on_or_after_count end as active_on_or_after_count,
        case when eligible_count > 0 then net_minor end as net_minor,
        case when eligible_count > 0 then base_minor end as base_minor
    from counted

),

final as (

    select
        labelled_cohorts.period_grain,
        labelled_cohorts.retention_mode,
        labelled_cohorts.segment_name,
        labelled_cohorts.segment_value,
        labelled_cohorts.cohort_start_on,
        labelled_cohorts.cohort_label,
        known.period_index,
        labelled_cohorts.cohort_size,
        known.eligible_count,
        known.active_count,
        known.active_on_or_after_count,
        {{ ratio('known.active_count', 'known.eligible_count') }} as retention_rate,
        {{ ratio('known.active_on_or_after_count', 'known.eligible_count') }} as on_or_after_rate,
        {{ to_amount('known.net_minor') }} as net_amount,
        {{ to_amount('known.base_minor') }} as base_net_amount,
        {{ ratio('known.net_minor', 'known.base_minor') }} as revenue_retention_rate,
        known.eligible_count = labelled_cohorts.cohort_size as is_complete,
        labelled_cohorts.is_left_truncated
    from known
    inner join labelled_cohorts
        on known.cohort_id = labelled_cohorts.cohort_id

)

select * from final
