with histories as (

    select * from {{ ref('int_forecast_histories') }}

),

purchase_days as (

    select * from {{ ref('int_purchase_days') }}

),

priors as (

    select * from {{ ref('int_forecast_priors') }}

),

interactions as (

    select * from {{ ref('int_interactions_enriched') }}

),

silences as (

    select * from {{ ref('int_silences_judged') }}
    where ended_on is null

),

own_thresholds as (

    select
        histories.as_of_on,
        histories.customer_id,
        {{ clamped_threshold(
            percentile(days_between('purchase_days.previous_purchased_on', 'purchase_days.purchased_on'), 0.9)
        ) }} as own_threshold_days
    from histories
    inner join purchase_days
        on
            histories.customer_id = purchase_days.customer_id
            and histories.as_of_on >= purchase_days.purchased_on
    where
        not histories.is_current
        and histories.repeat_count >= {{ var('churn_own_gaps') }}
        and purchase_days.purchase_number > 1
    group by
        histories.as_of_on,
        histories.customer_id

),

closures as (

    select
        histories.as_of_on,
        histories.customer_id,
        count(*) as closure_count
    from histories
    inner join interactions
        on
            histories.customer_id = interactions.customer_id
            and histories.last_purchased_on <= interactions.business_date
            and histories.as_of_on >= interactions.business_date
    where not histories.is_current and interactions.is_closure
    group by
        histories.as_of_on,
        histories.customer_id

),

past as (

    select
        histories.as_of_on,
        histories.customer_id,
        {{ threshold_days(
            'own_thresholds.own_threshold_days', 'histories.repeat_count', 'histories.span_days', 'priors'
        ) }} as threshold_days,
        {{ days_between('histories.last_purchased_on', 'histories.as_of_on') }} as silence_days,
        closures.closure_count is not null as is_closed
    from histories
    left join own_thresholds
        on
            histories.as_of_on = own_thresholds.as_of_on
            and histories.customer_id = own_thresholds.customer_id
    left join closures
        on
            histories.as_of_on = closures.as_of_on
            and histories.customer_id = closures.customer_id
    left join priors
        on
            histories.as_of_on = priors.as_of_on
            and histories.label_set_id = priors.label_set_id
    where not histories.is_current

),

final as (

    select
        as_of_on,
        customer_id,
        threshold_days,
        silence_days,
        is_closed or silence_days > 2 * threshold_days as is_churned
    from past

    union all

    select
        histories.as_of_on,
        histories.customer_id,
        silences.threshold_days,
        silences.silence_days,
        silences.closed_on is not null or silences.is_lapsed as is_churned
    from histories
    inner join silences
        on histories.customer_id = silences.customer_id
    where histories.is_current

)

select * from final
