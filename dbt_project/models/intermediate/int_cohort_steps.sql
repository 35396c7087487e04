{%- set grains = ['week', 'month', 'quarter'] -%}
{%- set modes = ['calendar', 'rolling'] -%}

with cohort_days as (

    select
        cohort_days.*,
        {{ add_days('data_window.data_end_on', 1) }} as first_unknown_on
    from {{ ref('int_cohort_days_summed') }} as cohort_days
    cross join {{ ref('int_data_window') }} as data_window

),

final as (
{% for grain in grains %}{% for mode in modes %}
    select
        '{{ grain }}' as period_grain,
        '{{ mode }}' as retention_mode,
        label_set_id,
        {{ period_number(grain, 'first_purchased_on') }} as cohort_number,
        {{ periods_elapsed(grain, mode, 'first_purchased_on', 'first_unknown_on') }} - 1 as max_eligible_index,
        {{ periods_elapsed(grain, mode, 'first_purchased_on', 'purchased_on') }} as period_index,
        {{ sum_bigint(mode ~ '_' ~ grain ~ '_count') }} as active_count,
        {{ sum_bigint('net_minor') }} as net_minor
    from cohort_days
    group by all
{% if not loop.last %}
    union all
{% endif %}{% endfor %}{% if not loop.last %}
    union all
{% endif %}{% endfor %}
)

select * from final
