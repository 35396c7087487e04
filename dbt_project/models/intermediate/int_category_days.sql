with order_lines as (

    select * from {{ ref('int_order_lines_enriched') }}
    where is_valid_sale and customer_id is not null and {{ is_affected('customer') }}

),

orders as (

    select * from {{ ref('int_orders_enriched') }}
    where is_valid_sale and is_identified and {{ is_affected('customer') }}

),

refunds as (

    select * from {{ ref('int_refunds_spread') }}
    where {{ is_affected('customer') }}

),

data_window as (

    select data_end_on
    from {{ ref('int_data_window') }}
    where {{ 'true' if wallets_are_modelled() else 'false' }}

),

-- What of an order's amount is on none of its lines, say for delivery, is bought in no category.
bought as (

    select
        order_lines.customer_id,
        coalesce(order_lines.category, 'uncategorised') as category,
        order_lines.business_date as purchased_on,
        coalesce(order_lines.line_minor, 0) as gross_minor,
        coalesce(order_lines.line_minor, 0) - coalesce(refunds.refund_minor, 0) as net_minor
    from order_lines
    left join refunds
        on
            order_lines.order_id = refunds.order_id
            and order_lines.line_number = refunds.line_number

    union all

    select
        orders.customer_id,
        'uncategorised' as category,
        orders.business_date as purchased_on,
        orders.gross_minor,
        orders.net_minor
    from orders
    where not exists (
        select 1
        from order_lines
        where orders.order_id = order_lines.order_id
    )

),

final as (

    select
        bought.customer_id,
        bought.category,
        bought.purchased_on,
        {{ sum_bigint('bought.gross_minor') }} as gross_minor,
        {{ sum_bigint('bought.net_minor') }} as net_minor
    from bought
    inner join data_window
        on bought.purchased_on <= data_window.data_end_on
    group by
        bought.customer_id,
        bought.category,
        bought.purchased_on

)

select * from final
