with orders as (

    select * from {{ ref('stg_orders') }}
    where {{ is_affected('order') }}

),

refunds as (

    select * from {{ ref('stg_refunds') }}

),

identities as (

    select * from {{ ref('int_identities_resolved') }}
    where customer_id is not null

),

-- A refund is in its order's currency and converted at its order's rate, so that a full refund leaves nothing.
refunded as (

    select
        refunds.order_id,
        {{ sum_bigint(converted_minor('refunds.amount', 'orders.exchange_rate')) }} as refund_minor
    from refunds
    inner join orders
        on refunds.order_id = orders.order_id
    group by refunds.order_id

),

final as (

    select
        orders.order_id,
        coalesce(identities.customer_id, orders.customer_id) as customer_id,
        orders.store_id,
        orders.campaign_id,
        orders.owner_id,

        orders.channel,
        orders.status,

        orders.exchange_rate,
        orders.gross_minor,
        orders.discount_minor,
        orders.cost_minor,
        coalesce(refunded.refund_minor, 0) as refund_minor,
        case
            when orders.status = 'completed' then orders.gross_minor - coalesce(refunded.refund_minor, 0)
            else 0
        end as net_minor,

        orders.status = 'completed' as is_valid_sale,
        orders.customer_id is not null as is_identified,

        {{ business_date('orders.ordered_at') }} as business_date,
        orders.ordered_at
    from orders
    left join identities
        on orders.customer_id = identities.alias_id
    left join refunded
        on orders.order_id = refunded.order_id

)

select * from final
