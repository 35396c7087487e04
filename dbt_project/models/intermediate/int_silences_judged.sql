with silences as (

    select * from {{ ref('int_customer_silences') }}

),

customers as (

    select * from {{ ref('int_customer_purchases') }}

),

priors as (

    select * from {{ ref('int_churn_priors') }}

),

complaints as (

    select * from {{ ref('int_customer_complaints') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

thresholds as (

    select
        silences.customer_id,
        customers.label_set_id,
        customers.first_purchased_on,
        silences.purchase_number,
        silences.began_on,
        silences.ended_on,
        {{ days_between('silences.began_on', 'coalesce(silences.ended_on, data_window.data_end_on)') }} as silence_days,
        silences.gap_count,
        case
            when silences.own_threshold_days is not null then 'own_gaps'
            when silences.gap_count > 0 then 'pooled_gaps'
            else 'first_repeat'
        end as threshold_basis,
        {{ threshold_days(
            'silences.own_threshold_days', 'silences.gap_count', 'silences.gap_sum_days', 'priors'
        ) }} as threshold_days,
        silences.closed_on,
        silences.initiator,
        silences.cause
    from silences
    cross join data_window
    inner join customers
        on silences.customer_id = customers.customer_id
    left join priors
        on customers.label_set_id = priors.label_set_id

),

-- A closure of somebody who had lapsed before tells why, not when.
churns as (

    select
        *,
        silence_days > 2 * threshold_days as is_lapsed,
        case
            when closed_on <= {{ add_days('began_on', '2 * threshold_days') }} then closed_on
            when silence_days > 2 * threshold_days then {{ add_days('began_on', 'threshold_days') }}
        end as churned_on
    from thresholds

),

open_complaints as (

    select
        churns.customer_id,
        churns.began_on,
        count(*) as complaint_count
    from churns
    inner join complaints
        on
            churns.customer_id = complaints.customer_id
            and complaints.complained_on <= churns.churned_on
            and complaints.complained_on >= {{ add_days('churns.churned_on', '-' ~ var('churn_complaint_days')) }}
            and (complaints.resolved_on is null or complaints.resolved_on > churns.churned_on)
    group by
        churns.customer_id,
        churns.began_on

),

final as (

    select
        churns.customer_id,
        churns.label_set_id,
        churns.first_purchased_on,
        churns.purchase_number,
        churns.began_on,
        churns.ended_on,
        churns.silence_days,
        churns.gap_count,
        churns.threshold_basis,
        churns.threshold_days,
        churns.closed_on,
        churns.is_lapsed,
        case
            when churns.ended_on is not null then null
            when churns.closed_on is not null then 'closed'
            when churns.is_lapsed then 'lapsed'
            when churns.silence_days > churns.threshold_days then 'at_risk'
            else 'active'
        end as state,
        churns.churned_on,
        coalesce(churns.initiator, 'unknown') as initiator,
        coalesce(churns.cause, 'unknown') as cause,
        open_complaints.complaint_count is not null as has_open_complaint
    from churns
    left join open_complaints
        on
            churns.customer_id = open_complaints.customer_id
            and churns.began_on = open_complaints.began_on

)

select * from final
