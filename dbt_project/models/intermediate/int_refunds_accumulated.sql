with refunds as (

    select * from {{ ref('int_refunds_enriched') }}
    where is_valid_sale and customer_id is not null

),

orders as (

    select * from {{ ref('int_orders_enriched') }}

),

-- An order's refund is not before the order, whatever its clock says.
dated as (

    select
        refunds.refund_id,
        refunds.order_id,
        refunds.customer_id,
        refunds.refund_minor,
        orders.gross_minor,
        greatest(refunds.business_date, orders.business_date) as business_date,
        greatest(refunds.refunded_at, orders.ordered_at) as refunded_at
    from refunds
    inner join orders
        on refunds.order_id = orders.order_id

),

accumulated as (

    select
        *,
        cast(sum(refund_minor) over (
            partition by order_id
            order by refunded_at, refund_id
            rows between unbounded preceding and current row
        ) as bigint) as refunded_minor
    from dated

),

final as (

    select
        refund_id,
        order_id,
        customer_id,
        gross_minor,
        greatest(gross_minor - refunded_minor + refund_minor, 0) as left_before_minor,
        greatest(gross_minor - refunded_minor, 0) as left_minor,
        business_date,
        refunded_at
    from accumulated
    where gross_minor > 0

)

select * from final
