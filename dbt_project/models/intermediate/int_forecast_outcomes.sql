{%- set horizons = forecast_horizon_days() -%}

with histories as (

    select * from {{ ref('int_forecast_histories') }}
    where not is_current

),

thresholds as (

    select * from {{ ref('int_forecast_thresholds') }}

),

purchase_days as (

    select * from {{ ref('int_purchase_days') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

purchases as (

    select
        histories.as_of_on,
        histories.customer_id,
        min(purchase_days.purchased_on) as next_purchased_on
        {%- for days in horizons %}
        {%- set is_within = 'purchase_days.purchased_on <= ' ~ add_days('histories.as_of_on', days) %},
        count(case when {{ is_within }} then 1 end) as purchases_{{ days }}d,
        {{ sum_where('purchase_days.net_minor', is_within) }} as net_minor_{{ days }}d
        {%- endfor %}
    from histories
    inner join purchase_days
        on
            histories.customer_id = purchase_days.customer_id
            and histories.as_of_on < purchase_days.purchased_on
    group by
        histories.as_of_on,
        histories.customer_id

),

final as (

    select
        histories.as_of_on,
        histories.customer_id,
        {{ add_days('histories.as_of_on', 'thresholds.threshold_days') }} as label_known_on,
        case
            when {{ add_days('histories.as_of_on', 'thresholds.threshold_days') }} <= data_window.data_end_on
                then coalesce(
                    purchases.next_purchased_on > {{ add_days('histories.as_of_on', 'thresholds.threshold_days') }}, true
                )
        end as is_lost
        {%- for days in horizons %}
        {%- for column in ['purchases', 'net_minor'] %},
        case
            when {{ add_days('histories.as_of_on', days) }} <= data_window.data_end_on
                then coalesce(purchases.{{ column }}_{{ days }}d, 0)
        end as {{ column }}_{{ days }}d
        {%- endfor %}
        {%- endfor %}
    from histories
    cross join data_window
    inner join thresholds
        on
            histories.as_of_on = thresholds.as_of_on
            and histories.customer_id = thresholds.customer_id
    left join purchases
        on
            histories.as_of_on = purchases.as_of_on
            and histories.customer_id = purchases.customer_id

)

select * from final
