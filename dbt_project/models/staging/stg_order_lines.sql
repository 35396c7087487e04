with source as (

    select * from {{ ref('stg_order_lines_checked') }}

),

renamed as (

    select
        order_id,
        line_number,
        product_id,

        category,
        brand,

        quantity,
        amount
    from source
    where row_status = 'accepted'

)

select * from renamed
