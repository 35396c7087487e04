with touched as (

    select * from {{ touched() }}

),

checked_orders as (

    select * from {{ ref('stg_orders_checked') }}

),

orders as (

    select * from {{ ref('stg_orders') }}

),

refunds as (

    select * from {{ ref('stg_refunds') }}

),

interactions as (

    select * from {{ ref('stg_interactions') }}

),

events as (

    select
        customer_id,
        ordered_at as happened_at
    from orders

    union all

    select
        customer_id,
        occurred_at as happened_at
    from interactions

    union all

    select
        orders.customer_id,
        refunds.refunded_at as happened_at
    from refunds
    inner join orders
        on refunds.order_id = orders.order_id

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

resolved as (

    select * from {{ ref('int_identities_resolved') }}
    where customer_id is not null

),

applied as (

    select * from raw.applied_identities

),

applied_dates as (

    select * from raw.applied_dates

),

-- Customers as the raw rows name them: of touched rows, and of all rows of touched orders.
named as (

    select touched.customer_id
    from touched
    where touched.customer_id is not null

    union

    select checked_orders.customer_id
    from checked_orders
    where
        checked_orders.customer_id is not null
        and checked_orders.order_id in (select touched.order_id from touched)

    union

    -- What the watermark moves over begins or ceases to count.
    select events.customer_id
    from events
    cross join data_window
    cross join applied_dates
    where
        events.customer_id is not null
        and data_window.data_end_on <> applied_dates.data_end_on
        and events.happened_at >= {{ business_midnight_utc(
            add_days('least(data_window.data_end_on, applied_dates.data_end_on)', 1)
        ) }}

    union

    -- Where the data now begins in another month, the customers of the one or the other month become left-truncated or cease to be.
    select orders.customer_id
    from orders
    cross join data_window
    cross join applied_dates
    where
        orders.customer_id is not null
        and {{ period_start('month', 'data_window.data_start_on') }}
        <> {{ period_start('month', 'applied_dates.data_start_on') }}
        and orders.ordered_at < {{ business_midnight_utc(add_months(period_start(
            'month', 'greatest(data_window.data_start_on, applied_dates.data_start_on)'
        ), 1)) }}

),

-- An alias that is followed elsewhere than at the last build concerns both customers.
moved as (

    select
        coalesce(applied.alias_id, resolved.alias_id) as alias_id,
        applied.customer_id as applied_customer_id,
        resolved.customer_id as resolved_customer_id
    from applied
    full outer join resolved
        on applied.alias_id = resolved.alias_id
    where applied.customer_id is distinct from resolved.customer_id

),

affected as (

    select customer_id from named
    union
    select applied.customer_id
    from named
    inner join applied
        on named.customer_id = applied.alias_id
    union
    select resolved.customer_id
    from named
    inner join resolved
        on named.customer_id = resolved.alias_id
    union
    select alias_id as customer_id from moved
    union
    select applied_customer_id as customer_id from moved
    union
    select resolved_customer_id as customer_id from moved
    {%- if relation_exists(this) %}
    union
    -- Of a build that did not go through.
    select customer_id from {{ this }}
    {%- endif %}

),

final as (

    select customer_id
    from affected
    where customer_id is not null

)

select * from final
