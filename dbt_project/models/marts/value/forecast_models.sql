{%- set parameters = ['r', 'alpha', 'a', 'b', 's', 'beta', 'p', 'q', 'v'] -%}

with dates as (

    select * from {{ ref('int_forecast_dates') }}

),

fitted as (

    select * from {{ source('forecast', 'model_parameters') }}

),

learnt as (

    select * from {{ source('forecast', 'risk_models') }}

),

models as (

    select
        as_of_on,
        model_id,
        model_family,
        case when model_family = 'gamma_gamma' then 'spend' else 'purchases' end as purpose,
        is_default or (model_family = 'gamma_gamma' and refusal is null) as is_chosen,
        {%- for parameter in parameters %}
        {{ parameter }},
        {%- endfor %}
        log_likelihood,
        customer_count,
        cast(null as date) as calibrated_on,
        refusal
    from fitted

    union all

    select
        as_of_on,
        model_id,
        model_id as model_family,
        'churn_risk' as purpose,
        is_chosen and refusal is null as is_chosen,
        {%- for parameter in parameters %}
        cast(null as double) as {{ parameter }},
        {%- endfor %}
        cast(null as double) as log_likelihood,
        learnt_from_count as customer_count,
        calibrated_on,
        refusal
    from learnt

),

final as (

    select
        models.model_id,
        models.as_of_on,
        models.model_family,
        models.purpose,
        {%- for parameter in parameters %}
        models.{{ parameter }},
        {%- endfor %}
        models.log_likelihood,
        models.customer_count,
        models.refusal,
        dates.is_current,
        dates.is_current and models.is_chosen as is_chosen,
        models.calibrated_on
    from models
    inner join dates
        on models.as_of_on = dates.as_of_on

)

select * from final
