with refunds as (

    select * from {{ ref('int_refunds_enriched') }}
    where {{ is_affected('order') }}

),

final as (

    select
        refund_id,
        order_id,
        customer_id,
        refunded_at,
        business_date,
        {{ to_amount('refund_minor') }} as refund_amount,
        is_valid_sale,
        has_order
    from refunds

)

select * from final
