with purchase_days as (

    select * from {{ ref('int_purchase_days') }}
    where {{ is_affected('customer') }}

),

customers as (

    select * from {{ ref('int_customers_labelled') }}

),

purchases as (

    select
        customer_id,
        min(purchased_on) as first_purchased_on,
        min(case when purchase_number = 2 then purchased_on end) as second_purchased_on,
        max(purchased_on) as last_purchased_on,
        count(*) as purchase_day_count,
        {{ sum_bigint('order_count') }} as order_count,
        {{ sum_bigint('net_minor') }} as net_minor,
        {{ sum_where('net_minor', 'purchase_number = 1') }} as first_net_minor,
        {{ sum_bigint('costed_minor') }} as costed_minor,
        {{ sum_bigint('cost_minor') }} as cost_minor
    from purchase_days
    group by customer_id

),

final as (

    select
        purchases.customer_id,
        customers.label_set_id,
        purchases.first_purchased_on,
        purchases.second_purchased_on,
        purchases.last_purchased_on,
        purchases.purchase_day_count,
        purchases.order_count,
        purchases.net_minor,
        purchases.first_net_minor,
        purchases.costed_minor,
        purchases.cost_minor
    from purchases
    inner join customers
        on purchases.customer_id = customers.customer_id

)

select * from final
