{%- set gap_days = days_between('purchase_days.previous_purchased_on', 'purchase_days.purchased_on') -%}

with thresholds as (

    select * from {{ ref('int_forecast_thresholds') }}
    where not is_churned

),

histories as (

    select * from {{ ref('int_forecast_histories') }}

),

purchase_days as (

    select * from {{ ref('int_purchase_days') }}

),

refunds as (

    select * from {{ ref('int_refunds_enriched') }}
    where is_valid_sale and customer_id is not null

),

interactions as (

    select * from {{ ref('int_interactions_enriched') }}
    where customer_id is not null

),

complaints as (

    select * from {{ ref('int_customer_complaints') }}

),

customers as (

    select
        histories.as_of_on,
        histories.customer_id,
        histories.repeat_count,
        histories.span_days,
        histories.tenure_days,
        thresholds.threshold_days,
        thresholds.silence_days
    from thresholds
    inner join histories
        on
            thresholds.as_of_on = histories.as_of_on
            and thresholds.customer_id = histories.customer_id

),

-- Spend is before refunds: those of a purchase may come later.
purchases as (

    select
        customers.as_of_on,
        customers.customer_id,
        max_by(
            {{ gap_days }},
            purchase_days.purchase_number
        ) as last_gap_days,
        sum({{ gap_days }} * {{ gap_days }}) as gap_squares,
        count(case when {{ is_of_last_days('purchase_days.purchased_on', 'customers.as_of_on', 30) }} then 1 end) as purchases_30d,
        count(case when {{ is_of_last_days('purchase_days.purchased_on', 'customers.as_of_on', 90) }} then 1 end) as purchases_90d,
        count(case when {{ is_of_last_days('purchase_days.purchased_on', 'customers.as_of_on', 180, 90) }} then 1 end) as purchases_90d_earlier,
        count(case when {{ is_of_last_days('purchase_days.purchased_on', 'customers.as_of_on', 365) }} then 1 end) as purchases_365d,
        {{ sum_where('purchase_days.gross_minor', is_of_last_days('purchase_days.purchased_on', 'customers.as_of_on', 90)) }} as gross_minor_90d,
        {{ sum_where('purchase_days.gross_minor', is_of_last_days('purchase_days.purchased_on', 'customers.as_of_on', 180, 90)) }} as gross_minor_90d_earlier,
        {{ sum_where('purchase_days.gross_minor', is_of_last_days('purchase_days.purchased_on', 'customers.as_of_on', 365)) }} as gross_minor_365d,
        {{ sum_bigint('purchase_days.gross_minor') }} as gross_minor
    from customers
    inner join purchase_days
        on
            customers.customer_id = purchase_days.customer_id
            and customers.as_of_on >= purchase_days.purchased_on
    group by
        customers.as_of_on,
        customers.customer_id

),

refunded as (

    select
        customers.as_of_on,
        customers.customer_id,
        {{ sum_bigint('refunds.refund_minor') }} as refund_minor
    from customers
    inner join refunds
        on
            customers.customer_id = refunds.customer_id
            and customers.as_of_on >= refunds.business_date
            and customers.as_of_on >= refunds.ordered_on
    group by
        customers.as_of_on,
        customers.customer_id

),

contacts as (

    select
        customers.as_of_on,
        customers.customer_id,
        count(case when interactions.is_activity and {{ is_of_last_days('interactions.business_date', 'customers.as_of_on', 30) }} then 1 end) as activities_30d,
        count(case when interactions.is_activity and {{ is_of_last_days('interactions.business_date', 'customers.as_of_on', 90) }} then 1 end) as activities_90d,
        count(
            case when interactions.is_activity and {{ is_of_last_days('interactions.business_date', 'customers.as_of_on', 180, 90) }} then 1 end
        ) as activities_90d_earlier,
        count(case when interactions.is_contact and {{ is_of_last_days('interactions.business_date', 'customers.as_of_on', 30) }} then 1 end) as contacts_30d,
        count(case when interactions.is_contact and {{ is_of_last_days('interactions.business_date', 'customers.as_of_on', 90) }} then 1 end) as contacts_90d,
        max(case when interactions.is_contact then interactions.business_date end) as last_contact_on,
        count(
            case when interactions.family = 'coupon' and {{ is_of_last_days('interactions.business_date', 'customers.as_of_on', 90) }} then 1 end
        ) as coupons_90d,
        count(case when interactions.interaction_type = 'unsubscribed' then 1 end) as unsubscribes_365d,
        max_by(
            interactions.score,
            case
                when interactions.score is not null
                    then concat(cast(interactions.occurred_at as {{ dbt.type_string() }}), interactions.interaction_id)
            end
        ) as last_score
    from customers
    inner join interactions
        on
            customers.customer_id = interactions.customer_id
            and customers.as_of_on >= interactions.business_date
            and {{ is_of_last_days('interactions.business_date', 'customers.as_of_on', 365) }}
    group by
        customers.as_of_on,
        customers.customer_id

),

complained as (

    select
        customers.as_of_on,
        customers.customer_id,
        count(case when {{ is_of_last_days('complaints.complained_on', 'customers.as_of_on', 180) }} then 1 end) as complaints_180d,
        count(
            case when complaints.resolved_on is null or complaints.resolved_on > customers.as_of_on then 1 end
        ) as open_complaints,
        max(complaints.complained_on) as last_complaint_on
    from customers
    inner join complaints
        on
            customers.customer_id = complaints.customer_id
            and customers.as_of_on >= complaints.complained_on
            and {{ is_of_last_days('complaints.complained_on', 'customers.as_of_on', 365) }}
    group by
        customers.as_of_on,
        customers.customer_id

),

final as (

    select
        customers.as_of_on,
        customers.customer_id,
        cast(customers.silence_days as double) as silence_days,
        cast(customers.threshold_days as double) as threshold_days,
        {{ ratio('customers.silence_days', 'customers.threshold_days') }} as silence_ratio,
        cast(customers.tenure_days as double) as tenure_days,
        cast(customers.repeat_count + 1 as double) as purchase_day_count,
        {{ ratio('customers.span_days', 'customers.repeat_count') }} as mean_gap_days,
        cast(purchases.last_gap_days as double) as last_gap_days,
        -- Standard deviation of the gaps ÷ their mean.
        sqrt(
            greatest(
                {{ ratio('purchases.gap_squares', 'customers.repeat_count') }}
                * {{ ratio('customers.repeat_count', 'customers.span_days') }}
                * {{ ratio('customers.repeat_count', 'customers.span_days') }} - 1,
                0
            )
        ) as gap_variation,
        cast(purchases.purchases_30d as double) as purchases_30d_before,
        cast(purchases.purchases_90d as double) as purchases_90d_before,
        cast(purchases.purchases_365d as double) as purchases_365d_before,
        {{ ratio('purchases.purchases_90d', 'purchases.purchases_90d_earlier') }} as purchase_trend,
        {{ ratio('purchases.gross_minor_90d', 100) }} as spend_90d_before,
        {{ ratio('purchases.gross_minor_365d', 100) }} as spend_365d_before,
        {{ ratio('purchases.gross_minor_90d', 'purchases.gross_minor_90d_earlier') }} as spend_trend,
        {{ ratio('purchases.gross_minor', '100 * (customers.repeat_count + 1)') }} as mean_spend,
        {{ ratio('coalesce(refunded.refund_minor, 0)', 'purchases.gross_minor') }} as refund_share,
        cast(coalesce(contacts.activities_30d, 0) as double) as activity_count_30d,
        cast(coalesce(contacts.activities_90d, 0) as double) as activity_count_90d,
        {{ ratio('contacts.activities_90d', 'contacts.activities_90d_earlier') }} as activity_trend,
        cast(coalesce(contacts.contacts_30d, 0) as double) as contact_count_30d,
        cast(coalesce(contacts.contacts_90d, 0) as double) as contact_count_90d,
        cast({{ days_between('contacts.last_contact_on', 'customers.as_of_on') }} as double) as days_since_contact,
        cast(coalesce(contacts.coupons_90d, 0) as double) as coupon_count_90d,
        cast(coalesce(contacts.unsubscribes_365d, 0) as double) as unsubscribe_count_365d,
        cast(contacts.last_score as double) as last_score,
        cast(coalesce(complained.complaints_180d, 0) as double) as complaint_count_180d,
        cast(coalesce(complained.open_complaints, 0) as double) as open_complaint_count,
        cast({{ days_between('complained.last_complaint_on', 'customers.as_of_on') }} as double) as days_since_complaint
    from customers
    inner join purchases
        on
            customers.as_of_on = purchases.as_of_on
            and customers.customer_id = purchases.customer_id
    left join refunded
        on
            customers.as_of_on = refunded.as_of_on
            and customers.customer_id = refunded.customer_id
    left join contacts
        on
            customers.as_of_on = contacts.as_of_on
            and customers.customer_id = contacts.customer_id
    left join complained
        on
            customers.as_of_on = complained.as_of_on
            and customers.customer_id = complained.customer_id

)

select * from final
