with touched as (

    select * from {{ touched() }}

),

orders as (

    select * from {{ ref('stg_orders') }}

),

resolved as (

    select * from {{ ref('int_identities_resolved') }}
    where customer_id is not null

),

customers_affected as (

    select * from {{ ref('int_customers_affected') }}

),

final as (

    select touched.order_id
    from touched
    where touched.order_id is not null

    union

    select orders.order_id
    from orders
    left join resolved
        on orders.customer_id = resolved.alias_id
    where
        coalesce(resolved.customer_id, orders.customer_id)
        in (select customers_affected.customer_id from customers_affected)

)

select * from final
