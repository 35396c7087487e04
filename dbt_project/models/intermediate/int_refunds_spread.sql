with order_lines as (

    select * from {{ ref('int_order_lines_enriched') }}
    where is_valid_sale and customer_id is not null and {{ is_affected('customer') }}

),

orders as (

    select * from {{ ref('int_orders_enriched') }}
    where is_valid_sale and refund_minor > 0 and {{ is_affected('customer') }}

),

-- A refund is of an order: its lines bear it in parts that are rounded as they add up, so that all of it is borne.
bounds as (

    select
        order_lines.customer_id,
        order_lines.order_id,
        order_lines.line_number,
        orders.refund_minor,
        order_lines.line_minor,
        sum(order_lines.line_minor) over (
            partition by order_lines.order_id
            order by order_lines.line_number
            rows between unbounded preceding and current row
        ) as until_minor,
        sum(order_lines.line_minor) over (partition by order_lines.order_id) as lines_minor
    from order_lines
    inner join orders
        on order_lines.order_id = orders.order_id

),

final as (

    select
        customer_id,
        order_id,
        line_number,
        {% set until = ratio('cast(refund_minor as double) * until_minor', 'lines_minor') -%}
        {%- set before = ratio('cast(refund_minor as double) * (until_minor - line_minor)', 'lines_minor') -%}
        cast(round({{ until }}) - round({{ before }}) as bigint) as refund_minor
    from bounds

)

select * from final
