with dates as (

    select * from {{ ref('int_forecast_dates') }}

),

customers as (

    select * from {{ ref('int_customer_purchases') }}

),

purchase_days as (

    select * from {{ ref('int_purchase_days') }}

),

refunds as (

    select * from {{ ref('int_refunds_enriched') }}
    where is_valid_sale and customer_id is not null

),

sampled as (

    select * from {{ ref('int_customers_sampled') }}

),

sampled_customers as (

    select customers.*
    from customers
    inner join sampled
        on customers.customer_id = sampled.customer_id

),

-- What was paid back after a date was not known by then.
later_refunds as (

    select
        dates.as_of_on,
        refunds.customer_id,
        {{ sum_where('refunds.refund_minor', 'refunds.ordered_on = customers.first_purchased_on') }} as first_minor,
        {{ sum_where('refunds.refund_minor', 'refunds.ordered_on > customers.first_purchased_on') }} as repeat_minor
    from refunds
    inner join sampled_customers as customers
        on refunds.customer_id = customers.customer_id
    inner join dates
        on
            not dates.is_current
            and refunds.ordered_on <= dates.as_of_on
            and refunds.business_date > dates.as_of_on
    group by
        dates.as_of_on,
        refunds.customer_id

),

past_purchases as (

    select
        dates.as_of_on,
        purchase_days.customer_id,
        min(purchase_days.first_purchased_on) as first_purchased_on,
        max(purchase_days.purchased_on) as last_purchased_on,
        count(*) - 1 as repeat_count,
        {{ sum_where('purchase_days.net_minor', 'purchase_days.purchase_number = 1') }} as first_minor,
        {{ sum_where('purchase_days.net_minor', 'purchase_days.purchase_number > 1') }} as repeat_minor
    from purchase_days
    inner join sampled_customers
        on purchase_days.customer_id = sampled_customers.customer_id
    inner join dates
        on
            not dates.is_current
            and purchase_days.purchased_on <= dates.as_of_on
    group by
        dates.as_of_on,
        purchase_days.customer_id

),

combined as (

    select
        dates.as_of_on,
        dates.is_current,
        customers.customer_id,
        customers.label_set_id,
        customers.first_purchased_on,
        customers.last_purchased_on,
        customers.purchase_day_count - 1 as repeat_count,
        customers.first_net_minor as first_minor,
        customers.net_minor - customers.first_net_minor as repeat_minor
    from customers
    inner join dates
        on dates.is_current

    union all

    select
        past_purchases.as_of_on,
        false as is_current,
        past_purchases.customer_id,
        sampled_customers.label_set_id,
        past_purchases.first_purchased_on,
        past_purchases.last_purchased_on,
        past_purchases.repeat_count,
        past_purchases.first_minor + coalesce(later_refunds.first_minor, 0) as first_minor,
        past_purchases.repeat_minor + coalesce(later_refunds.repeat_minor, 0) as repeat_minor
    from past_purchases
    inner join sampled_customers
        on past_purchases.customer_id = sampled_customers.customer_id
    left join later_refunds
        on
            past_purchases.as_of_on = later_refunds.as_of_on
            and past_purchases.customer_id = later_refunds.customer_id

),

final as (

    select
        as_of_on,
        is_current,
        customer_id,
        label_set_id,
        first_purchased_on,
        last_purchased_on,
        repeat_count,
        {{ days_between('first_purchased_on', 'last_purchased_on') }} as span_days,
        {{ days_between('first_purchased_on', 'as_of_on') }} as tenure_days,
        first_minor,
        repeat_minor
    from combined

)

select * from final
