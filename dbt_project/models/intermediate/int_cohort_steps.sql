{%- set grains = ['week', 'month', 'quarter'] -%}
{%- set modes = ['calendar', 'rolling'] -%}

with purchase_days as (

    select * from {{ ref('int_purchase_days') }}

),

customers as (

    select * from {{ ref('int_cohort_customers') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

dated as (

    select
        customers.label_set_id,
        purchase_days.first_purchased_on,
        purchase_days.previous_purchased_on,
        purchase_days.purchased_on,
        purchase_days.net_minor,
        {{ add_days('data_window.data_end_on', 1) }} as first_unknown_on
    from purchase_days
    inner join customers
        on purchase_days.customer_id = customers.customer_id
    cross join data_window

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
        coalesce({{ periods_elapsed(grain, mode, 'first_purchased_on', 'previous_purchased_on') }}, -1) as previous_index,
        count(*) as purchase_day_count,
        {{ sum_bigint('net_minor') }} as net_minor
    from dated
    group by all
{% if not loop.last %}
    union all
{% endif %}{% endfor %}{% if not loop.last %}
    union all
{% endif %}{% endfor %}
)

select * from final
