with orders as (

    select * from {{ ref('int_orders_enriched') }}

),

customer_days as (

    select
        customer_id,
        business_date as purchased_on,
        count(*) as order_count,
        {{ sum_bigint('gross_minor') }} as gross_minor,
        {{ sum_bigint('net_minor') }} as net_minor
    from orders
    where is_valid_sale and is_identified
    group by
        customer_id,
        business_date

),

final as (

    select
        customer_id,
        purchased_on,
        order_count,
        gross_minor,
        net_minor,
        row_number() over (
            partition by customer_id
            order by purchased_on
        ) as purchase_number
    from customer_days

)

select * from final
