{%- set grains = ['week', 'month', 'quarter'] -%}
{%- set modes = ['calendar', 'rolling'] -%}

with members as (

    select * from {{ ref('int_cohort_members') }}

),

bracket_sums as (

    select
        sums.*,
        {{ add_days('data_window.data_end_on', 1) }} as first_unknown_on
    from {{ ref('int_cohort_brackets_summed') }} as sums
    cross join {{ ref('int_data_window') }} as data_window

),

label_sets as (

    select * from {{ ref('int_cohort_label_sets') }}

),

brackets as (

    select * from {{ ref('retention_bracket_bounds') }}

),

period_bounds as (

    select * from {{ ref('int_period_bounds') }}

),

entrants as (
{% for grain in grains %}{% for mode in modes %}
    select
        period_grain,
        retention_mode,
        label_set_id,
        {{ period_number(grain, 'first_purchased_on') }} as cohort_number,
        from_index,
        to_index,
        active_count
    from bracket_sums
    where
        period_grain = '{{ grain }}'
        and retention_mode = '{{ mode }}'
        and {{ periods_elapsed(grain, mode, 'first_purchased_on', 'first_unknown_on') }} - 1 >= to_index
{% if not loop.last %}
    union all
{% endif %}{% endfor %}{% if not loop.last %}
    union all
{% endif %}{% endfor %}
),

label_set_facts as (

    select
        members.period_grain,
        members.retention_mode,
        members.label_set_id,
        members.cohort_number,
        brackets.from_index,
        brackets.to_index,
        members.member_count,
        case when members.max_eligible_index >= brackets.to_index then members.member_count else 0 end as eligible_count,
        0 as active_count
    from members
    inner join brackets
        on members.period_grain = brackets.period_grain

    union all

    select
        period_grain,
        retention_mode,
        label_set_id,
        cohort_number,
        from_index,
        to_index,
        0 as member_count,
        0 as eligible_count,
        active_count
    from entrants

),

segment_facts as (

    select
        label_set_facts.period_grain,
        label_set_facts.retention_mode,
        label_sets.segment_name,
        label_sets.segment_value,
        label_set_facts.cohort_number,
        label_set_facts.from_index,
        label_set_facts.to_index,
        {{ sum_bigint('label_set_facts.member_count') }} as cohort_size,
        {{ sum_bigint('label_set_facts.eligible_count') }} as eligible_count,
        {{ sum_bigint('label_set_facts.active_count') }} as active_count
    from label_set_facts
    inner join label_sets
        on label_set_facts.label_set_id = label_sets.label_set_id
    group by
        label_set_facts.period_grain,
        label_set_facts.retention_mode,
        label_sets.segment_name,
        label_sets.segment_value,
        label_set_facts.cohort_number,
        label_set_facts.from_index,
        label_set_facts.to_index

),

-- Brackets that have not begun are left out, those that nobody has lived through yet are unknown.
known as (

    select
        segment_facts.period_grain,
        segment_facts.retention_mode,
        segment_facts.segment_name,
        segment_facts.segment_value,
        {{ period_number_start('segment_facts.period_grain', 'segment_facts.cohort_number') }} as cohort_start_on,
        cast(segment_facts.from_index as bigint) as from_index,
        cast(segment_facts.to_index as bigint) as to_index,
        segment_facts.cohort_size,
        segment_facts.eligible_count,
        case when segment_facts.eligible_count > 0 then segment_facts.active_count end as active_count,
        segment_facts.cohort_number = period_bounds.first_number as is_left_truncated
    from segment_facts
    inner join period_bounds
        on
            segment_facts.period_grain = period_bounds.period_grain
            and segment_facts.cohort_number + segment_facts.from_index <= period_bounds.last_number

),

final as (

    select
        period_grain,
        retention_mode,
        segment_name,
        segment_value,
        cohort_start_on,
        {{ period_label('period_grain', 'cohort_start_on') }} as cohort_label,
        from_index,
        to_index,
        cohort_size,
        eligible_count,
        active_count,
        {{ ratio('active_count', 'eligible_count') }} as retention_rate,
        eligible_count = cohort_size as is_complete,
        is_left_truncated
    from known

)

select * from final
