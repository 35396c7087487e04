with order_lines as (

    select * from {{ ref('int_order_lines_enriched') }}
    where {{ is_affected('order') }}

),

final as (

    select
        order_id,
        line_number,
        customer_id,
        business_date,
        product_id,
        category,
        brand,
        quantity,
        {{ to_amount('line_minor') }} as line_amount,
        is_valid_sale,
        has_order
    from order_lines

)

select * from final
