{%- set horizons = forecast_horizon_days() -%}

with scores as (

    select * from {{ ref('int_forecast_scores') }}
    where is_current

),

customers as (

    select * from {{ ref('int_customers_valued') }}

),

risks as (

    select * from {{ source('forecast', 'risk_scores') }}

),

scored as (

    select
        scores.customer_id,
        scores.model_id,
        scores.as_of_on,
        scores.is_default,
        scores.p_alive,
        {%- for days in horizons %}
        scores.expected_purchases_{{ days }}d,
        {%- endfor %}
        scores.expected_purchases_365d * scores.expected_spend_minor * customers.margin_rate as expected_margin_minor
    from scores
    inner join customers
        on scores.customer_id = customers.customer_id

),

final as (

    select
        scored.customer_id,
        scored.model_id,
        scored.as_of_on,
        scored.is_default,
        scored.p_alive,
        {%- for days in horizons %}
        scored.expected_purchases_{{ days }}d,
        {%- endfor %}
        risks.model_id as risk_model_id,
        risks.churn_risk_rate,
        nullif(concat_ws(', ', risks.reason_1, risks.reason_2, risks.reason_3), '') as top_reasons,
        {{ to_amount('cast(round(scored.expected_margin_minor) as bigint)') }} as expected_margin_amount_365d,
        {{ to_amount(
            'cast(round((1 - scored.p_alive) * scored.expected_margin_minor) as bigint)'
        ) }} as revenue_at_risk_amount
    from scored
    left join risks
        on
            scored.customer_id = risks.customer_id
            and scored.as_of_on = risks.as_of_on

)

select * from final
