{%- set grains = ['week', 'month', 'quarter'] -%}
{%- set modes = ['calendar', 'rolling'] -%}

with purchase_days as (

    {{ signed_rows('int_purchase_days') }}

),

customers as (

    {{ signed_rows('int_customer_purchases') }}

),

-- One pass for all grains and modes: a customer enters a period with the first of the purchase days in it.
final as (

    select
        customers.label_set_id,
        purchase_days.first_purchased_on,
        purchase_days.purchased_on,
        {{ sum_bigint('purchase_days.row_sign') }} as purchase_day_count,
        {{ sum_bigint('purchase_days.row_sign * purchase_days.net_minor') }} as net_minor,
        {%- for grain in grains %}{% for mode in modes %}
        {{ sum_bigint(
            'case when coalesce('
            ~ periods_elapsed(grain, mode, 'purchase_days.first_purchased_on', 'purchase_days.previous_purchased_on')
            ~ ', -1) < '
            ~ periods_elapsed(grain, mode, 'purchase_days.first_purchased_on', 'purchase_days.purchased_on')
            ~ ' then purchase_days.row_sign else 0 end'
        ) }} as {{ mode }}_{{ grain }}_count{{ ',' if not (loop.last and grain == grains[-1]) }}
        {%- endfor %}{% endfor %}
    from purchase_days
    inner join customers
        on
            purchase_days.customer_id = customers.customer_id
            and purchase_days.row_sign = customers.row_sign
    group by
        customers.label_set_id,
        purchase_days.first_purchased_on,
        purchase_days.purchased_on

)

select * from final
