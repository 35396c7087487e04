with source as (

    select * from {{ ref('stg_refunds_checked') }}

),

renamed as (

    select
        refund_id,
        order_id,

        amount,

        refunded_at
    from source
    where row_status = 'accepted'

)

select * from renamed
