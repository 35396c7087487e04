with refunds as (

    select * from {{ ref('stg_refunds') }}

),

orders as (

    select * from {{ ref('int_orders_enriched') }}

),

final as (

    select
        refunds.refund_id,
        refunds.order_id,
        orders.customer_id,

        {{ converted_minor('refunds.amount', 'coalesce(orders.exchange_rate, 1)') }} as refund_minor,

        coalesce(orders.is_valid_sale, false) as is_valid_sale,
        orders.order_id is not null as has_order,

        orders.business_date as ordered_on,
        {{ business_date('refunds.refunded_at') }} as business_date,
        refunds.refunded_at
    from refunds
    left join orders
        on refunds.order_id = orders.order_id

)

select * from final
