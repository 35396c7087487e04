{%- set horizons = forecast_horizon_days() -%}

with scores as (

    select * from {{ ref('int_forecast_scores') }}
    where not is_current

),

outcomes as (

    select * from {{ ref('int_forecast_outcomes') }}

),

risk_quality as (

    select * from {{ source('forecast', 'risk_quality') }}

),

wallet_quality as (

    select * from {{ source('forecast', 'wallet_quality') }}

),

-- What was said of customers before days that have passed since.
forecasts as (

{% for days in horizons %}
    select
        scores.model_id,
        scores.as_of_on,
        {{ days }} as horizon_days,
        scores.expected_purchases_{{ days }}d as expected_purchases,
        scores.expected_purchases_{{ days }}d * scores.expected_spend_minor as expected_minor,
        outcomes.purchases_{{ days }}d as purchase_day_count,
        outcomes.net_minor_{{ days }}d as net_minor
    from scores
    inner join outcomes
        on
            scores.as_of_on = outcomes.as_of_on
            and scores.customer_id = outcomes.customer_id
    where outcomes.purchases_{{ days }}d is not null
{% if not loop.last %}
    union all
{% endif %}
{%- endfor %}
),

totals as (

    select
        model_id,
        as_of_on,
        horizon_days,
        sum(expected_purchases) as expected_purchases,
        sum(expected_minor) as expected_minor,
        {{ sum_bigint('purchase_day_count') }} as purchase_day_count,
        {{ sum_bigint('net_minor') }} as net_minor,
        count(*) as customer_count
    from forecasts
    group by
        model_id,
        as_of_on,
        horizon_days

),

-- Bins of about equally many customers; those of whom the same was said are in the same.
equal_forecasts as (

    select
        model_id,
        as_of_on,
        horizon_days,
        expected_purchases,
        {{ sum_bigint('purchase_day_count') }} as purchase_day_count,
        count(*) as customer_count
    from forecasts
    group by
        model_id,
        as_of_on,
        horizon_days,
        expected_purchases

),

placed as (

    select
        *,
        cast(sum(customer_count) over (
            partition by model_id, as_of_on, horizon_days
            order by expected_purchases asc nulls last
            rows between unbounded preceding and current row
        ) as bigint) as customers_so_far,
        cast(sum(customer_count) over (partition by model_id, as_of_on, horizon_days) as bigint) as customers_in_all
    from equal_forecasts

),

binned as (

    select
        *,
        1 + {{ integer_quotient(
            '10 * (2 * customers_so_far - customer_count)', '2 * customers_in_all'
        ) }} as bin_number
    from placed

),

bins as (

    select
        model_id,
        as_of_on,
        horizon_days,
        bin_number,
        {{ ratio('sum(customer_count * expected_purchases)', 'sum(customer_count)') }} as expected_purchases,
        {{ ratio('sum(purchase_day_count)', 'sum(customer_count)') }} as purchases,
        {{ sum_bigint('customer_count') }} as customer_count
    from binned
    group by
        model_id,
        as_of_on,
        horizon_days,
        bin_number

),

final as (

    select
        model_id,
        as_of_on,
        concat('purchases_', cast(horizon_days as {{ dbt.type_string() }}), 'd') as measure,
        'all' as bin,
        expected_purchases as forecast,
        cast(purchase_day_count as double) as actual,
        customer_count
    from totals

    union all

    select
        model_id,
        as_of_on,
        concat('revenue_', cast(horizon_days as {{ dbt.type_string() }}), 'd') as measure,
        'all' as bin,
        expected_minor / 100 as forecast,
        cast(net_minor as double) / 100 as actual,
        customer_count
    from totals
    where expected_minor is not null

    union all

    select
        model_id,
        as_of_on,
        concat('purchases_', cast(horizon_days as {{ dbt.type_string() }}), 'd_calibration') as measure,
        lpad(cast(bin_number as {{ dbt.type_string() }}), 2, '0') as bin,
        expected_purchases as forecast,
        purchases as actual,
        customer_count
    from bins

    union all

    select
        model_id,
        as_of_on,
        measure,
        bin,
        forecast,
        actual,
        customer_count
    from risk_quality

    union all

    select
        model_id,
        as_of_on,
        measure,
        bin,
        forecast,
        actual,
        customer_count
    from wallet_quality

)

select * from final
