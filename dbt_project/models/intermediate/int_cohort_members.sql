{%- set grains = ['week', 'month', 'quarter'] -%}
{%- set modes = ['calendar', 'rolling'] -%}

with customer_groups as (

    select
        members.*,
        {{ add_days('data_window.data_end_on', 1) }} as first_unknown_on
    from {{ ref('int_cohort_members_summed') }} as members
    cross join {{ ref('int_data_window') }} as data_window

),

indexed as (
{% for grain in grains %}{% for mode in modes %}
    select
        '{{ grain }}' as period_grain,
        '{{ mode }}' as retention_mode,
        label_set_id,
        {{ period_number(grain, 'first_purchased_on') }} as cohort_number,
        -- Period k has elapsed if the first unknown day lies in period k + 1 or later; -1: not even period 0 has.
        {{ periods_elapsed(grain, mode, 'first_purchased_on', 'first_unknown_on') }} - 1 as max_eligible_index,
        {{ periods_elapsed(grain, mode, 'first_purchased_on', 'last_purchased_on') }} as last_index,
        member_count
    from customer_groups
{% if not loop.last %}
    union all
{% endif %}{% endfor %}{% if not loop.last %}
    union all
{% endif %}{% endfor %}
),

final as (

    select
        period_grain,
        retention_mode,
        label_set_id,
        cohort_number,
        max_eligible_index,
        last_index,
        {{ sum_bigint('member_count') }} as member_count
    from indexed
    group by
        period_grain,
        retention_mode,
        label_set_id,
        cohort_number,
        max_eligible_index,
        last_index

)

select * from final
