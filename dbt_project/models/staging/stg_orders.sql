with source as (

    select * from {{ ref('stg_orders_checked') }}

),

renamed as (

    select
        order_id,
        customer_id,
        store_id,
        campaign_id,
        owner_id,

        channel,
        coalesce(status, 'completed') as status,

        exchange_rate,
        {{ converted_minor('amount', 'exchange_rate') }} as gross_minor,
        {{ converted_minor('discount_amount', 'exchange_rate') }} as discount_minor,
        {{ converted_minor('cost_amount', 'exchange_rate') }} as cost_minor,

        ordered_at
    from source
    where row_status = 'accepted'

)

select * from renamed
