with purchase_days as (

    select * from {{ ref('int_purchase_days') }}
    where {{ is_affected('customer') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

-- Of the orders that count: those up to the watermark.
refunds as (

    select refunds.*
    from {{ ref('int_refunds_enriched') }} as refunds
    inner join data_window
        on refunds.ordered_on <= data_window.data_end_on
    where {{ is_affected('customer', customer_id='refunds.customer_id') }}

),

interactions as (

    select * from {{ ref('int_interactions_enriched') }}
    where {{ is_affected('customer') }}

),

events as (

    select
        customer_id,
        {{ period_start('month', 'purchased_on') }} as month,
        {{ sum_bigint('order_count') }} as order_count,
        count(*) as purchase_day_count,
        {{ sum_bigint('net_minor') }} as net_at_order_date_minor,
        {{ sum_bigint('gross_minor') }} as net_at_refund_date_minor,
        cast(0 as bigint) as interaction_count
    from purchase_days
    group by
        customer_id,
        {{ period_start('month', 'purchased_on') }}

    union all

    select
        customer_id,
        {{ period_start('month', 'business_date') }} as month,
        cast(0 as bigint) as order_count,
        cast(0 as bigint) as purchase_day_count,
        cast(0 as bigint) as net_at_order_date_minor,
        - {{ sum_bigint('refund_minor') }} as net_at_refund_date_minor,
        cast(0 as bigint) as interaction_count
    from refunds
    where is_valid_sale and customer_id is not null
    group by
        customer_id,
        {{ period_start('month', 'business_date') }}

    union all

    select
        customer_id,
        {{ period_start('month', 'business_date') }} as month,
        cast(0 as bigint) as order_count,
        cast(0 as bigint) as purchase_day_count,
        cast(0 as bigint) as net_at_order_date_minor,
        cast(0 as bigint) as net_at_refund_date_minor,
        count(*) as interaction_count
    from interactions
    where customer_id is not null
    group by
        customer_id,
        {{ period_start('month', 'business_date') }}

),

final as (

    select
        customer_id,
        month,
        {{ sum_bigint('order_count') }} as order_count,
        {{ sum_bigint('purchase_day_count') }} as purchase_day_count,
        {{ to_amount(sum_bigint('net_at_order_date_minor')) }} as net_at_order_date_amount,
        {{ to_amount(sum_bigint('net_at_refund_date_minor')) }} as net_at_refund_date_amount,
        {{ sum_bigint('interaction_count') }} as interaction_count
    from events
    group by
        customer_id,
        month

)

select * from final
