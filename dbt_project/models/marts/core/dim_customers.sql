with customers as (

    select * from {{ ref('int_customers_labelled') }}
    where {{ is_affected('customer') }}

),

purchases as (

    select * from {{ ref('int_customer_purchases') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

final as (

    select
        customers.customer_id,
        purchases.first_purchased_on as first_order_on,
        purchases.last_purchased_on as last_order_on,
        {{ period_start('month', 'purchases.first_purchased_on') }} as cohort_month,
        coalesce(purchases.order_count, 0) as order_count,
        coalesce(purchases.purchase_day_count, 0) as purchase_day_count,
        {{ to_amount('coalesce(purchases.net_minor, 0)') }} as net_amount,
        customers.acquisition_channel,
        customers.first_category,
        customers.customer_segment,
        customers.owner_id,
        customers.enrolled_on,
        case
            when purchases.purchase_day_count is null then 'prospect'
            when purchases.purchase_day_count = 1 then 'one_time'
            else 'repeat'
        end as lifecycle_stage,
        coalesce(
            {{ period_start('month', 'purchases.first_purchased_on') }} = data_window.first_month, false
        ) as is_left_truncated
    from customers
    cross join data_window
    left join purchases
        on customers.customer_id = purchases.customer_id

)

select * from final
