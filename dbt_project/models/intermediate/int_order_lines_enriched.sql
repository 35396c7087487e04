with order_lines as (

    select * from {{ ref('stg_order_lines') }}

),

orders as (

    select * from {{ ref('int_orders_enriched') }}

),

final as (

    select
        order_lines.order_id,
        order_lines.line_number,
        orders.customer_id,
        order_lines.product_id,

        order_lines.category,
        order_lines.brand,

        order_lines.quantity,
        {{ converted_minor('order_lines.amount', 'coalesce(orders.exchange_rate, 1)') }} as line_minor,

        coalesce(orders.is_valid_sale, false) as is_valid_sale,
        orders.order_id is not null as has_order,

        orders.business_date
    from order_lines
    left join orders
        on order_lines.order_id = orders.order_id

)

select * from final
