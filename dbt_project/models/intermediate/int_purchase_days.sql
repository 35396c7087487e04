with orders as (

    select * from {{ ref('int_orders_enriched') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

-- After the watermark only part of the purchases is there: they would pass for a quiet time.
customer_days as (

    select
        orders.customer_id,
        orders.business_date as purchased_on,
        count(*) as order_count,
        {{ sum_bigint('orders.gross_minor') }} as gross_minor,
        {{ sum_bigint('orders.net_minor') }} as net_minor,
        {{ sum_where('orders.net_minor', 'orders.cost_minor is not null') }} as costed_minor,
        {{ sum_where('orders.cost_minor', 'orders.cost_minor is not null') }} as cost_minor
    from orders
    inner join data_window
        on orders.business_date <= data_window.data_end_on
    where
        orders.is_valid_sale and orders.is_identified
        and {{ is_affected('customer', customer_id='orders.customer_id') }}
    group by
        orders.customer_id,
        orders.business_date

),

-- The one window over all purchases. With the purchase before at hand, "first in its period" is a comparison,
-- and no count of distinct customers per period is needed downstream.
final as (

    select
        customer_id,
        purchased_on,
        order_count,
        gross_minor,
        net_minor,
        costed_minor,
        cost_minor,
        row_number() over (
            partition by customer_id
            order by purchased_on
        ) as purchase_number,
        first_value(purchased_on) over (
            partition by customer_id
            order by purchased_on
        ) as first_purchased_on,
        lag(purchased_on) over (
            partition by customer_id
            order by purchased_on
        ) as previous_purchased_on
    from customer_days

)

select * from final
