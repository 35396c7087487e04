with orders as (

    select * from {{ ref('int_orders_enriched') }}
    where {{ is_affected('order') }}

),

-- Orders that do not count have no number: only the others are sorted.
numbered as (

    select
        order_id,
        row_number() over (
            partition by customer_id
            order by ordered_at, order_id
        ) as order_number
    from orders
    where is_valid_sale and is_identified

),

final as (

    select
        orders.order_id,
        orders.customer_id,
        orders.ordered_at,
        orders.business_date,
        orders.status,
        {{ to_amount('orders.gross_minor') }} as gross_amount,
        {{ to_amount('orders.refund_minor') }} as refund_amount,
        {{ to_amount('orders.net_minor') }} as net_amount,
        {{ to_amount('orders.discount_minor') }} as discount_amount,
        {{ to_amount('orders.cost_minor') }} as cost_amount,
        orders.is_valid_sale,
        orders.is_identified,
        numbered.order_number,
        orders.channel,
        orders.store_id,
        orders.campaign_id,
        orders.owner_id
    from orders
    left join numbered
        on orders.order_id = numbered.order_id

)

select * from final
