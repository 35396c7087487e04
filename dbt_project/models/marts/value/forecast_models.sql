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

wallets as (

    select * from {{ source('forecast', 'wallet_models') }}

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
        cast(null as {{ dbt.type_string() }}) as basis,
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
        cast(null as {{ dbt.type_string() }}) as basis,
        refusal
    from learnt

),

dated as (

    select
        models.*,
        dates.is_current
    from models
    inner join dates
        on models.as_of_on = dates.as_of_on

    union all

    select
        period_end_on as as_of_on,
        model_id,
        model_id as model_family,
        'wallet' as purpose,
        is_chosen,
        {%- for parameter in parameters %}
        cast(null as double) as {{ parameter }},
        {%- endfor %}
        cast(null as double) as log_likelihood,
        learnt_from_count as customer_count,
        cast(null as date) as calibrated_on,
        basis,
        refusal,
        is_current
    from wallets

),

final as (

    select
        model_id,
        as_of_on,
        model_family,
        purpose,
        {%- for parameter in parameters %}
        {{ parameter }},
        {%- endfor %}
        log_likelihood,
        customer_count,
        refusal,
        is_current,
        is_current and is_chosen as is_chosen,
        calibrated_on,
        basis
    from dated

)

select * from final
