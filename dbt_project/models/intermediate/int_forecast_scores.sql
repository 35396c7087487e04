{%- set horizons = forecast_horizon_days() -%}

with histories as (

    select * from {{ ref('int_forecast_histories') }}

),

parameters as (

    select * from {{ source('forecast', 'model_parameters') }}

),

nodes as (

    select * from {{ source('forecast', 'model_nodes') }}

),

purchases as (

    select
        as_of_on,
        customer_id,
        model_id,
        p_alive,
        {%- for days in horizons %}
        expected_purchases_{{ days }}d,
        {%- endfor %}
        discounted_purchases
    from {{ purchase_scores(
        'histories', 'parameters', 'nodes', horizons, var('clv_months'), var('annual_discount_rate')
    ) }} as scores

),

fitted as (

    select
        as_of_on,
        model_id,
        is_default
    from parameters

),

spends as (

    select
        as_of_on,
        p,
        q,
        v
    from parameters
    where model_family = 'gamma_gamma'

),

final as (

    select
        histories.as_of_on,
        histories.customer_id,
        purchases.model_id,
        histories.is_current,
        fitted.is_default,
        purchases.p_alive,
        {%- for days in horizons %}
        purchases.expected_purchases_{{ days }}d,
        {%- endfor %}
        purchases.discounted_purchases,
        {{ gamma_gamma_expected_spend(
            'histories.repeat_count', 'histories.repeat_minor', parameters='spends'
        ) }} as expected_spend_minor
    from histories
    inner join purchases
        on
            histories.as_of_on = purchases.as_of_on
            and histories.customer_id = purchases.customer_id
    inner join fitted
        on
            purchases.as_of_on = fitted.as_of_on
            and purchases.model_id = fitted.model_id
    left join spends
        on histories.as_of_on = spends.as_of_on

)

select * from final
