with source as (

    select * from {{ ref('stg_erasures_checked') }}

),

renamed as (

    select
        customer_id,

        requested_at
    from source
    where row_status = 'accepted'

)

select * from renamed
