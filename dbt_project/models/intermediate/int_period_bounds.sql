{%- set grains = ['week', 'month', 'quarter'] -%}

with data_window as (

    select * from {{ ref('int_data_window') }}

),

final as (
{% for grain in grains %}
    select
        '{{ grain }}' as period_grain,
        {{ period_number(grain, 'data_start_on') }} as first_number,
        {{ period_number(grain, 'data_end_on') }} as last_number,
        -- The period of the first day that is not known yet is the first incomplete one.
        {{ period_number(grain, add_days('data_end_on', 1)) }} - 1 as last_complete_number
    from data_window
    where data_start_on is not null
{% if not loop.last %}
    union all
{% endif %}{% endfor %}
)

select * from final
