{%- set grains = ['week', 'month', 'quarter'] -%}

with purchase_days as (

    select * from {{ ref('int_purchase_days') }}
    where {{ is_affected('customer') }}

),

customer_periods as (
{% for grain in grains %}
    select
        '{{ grain }}' as period_grain,
        customer_id,
        {{ period_number(grain, 'purchased_on') }} as period_number,
        {{ sum_bigint('net_minor') }} as net_minor
    from purchase_days
    group by all
{% if not loop.last %}
    union all
{% endif %}{% endfor %}
),

final as (

    select
        period_grain,
        customer_id,
        period_number,
        net_minor,
        lag(period_number) over (
            partition by period_grain, customer_id
            order by period_number
        ) as previous_period_number,
        lag(net_minor) over (
            partition by period_grain, customer_id
            order by period_number
        ) as previous_net_minor,
        lead(period_number) over (
            partition by period_grain, customer_id
            order by period_number
        ) as next_period_number
    from customer_periods

)

select * from final
