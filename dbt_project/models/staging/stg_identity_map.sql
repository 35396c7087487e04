with source as (

    select * from {{ ref('stg_identity_map_checked') }}

),

renamed as (

    select
        alias_id,
        customer_id,

        source_file,
        source_row,
        load_id,

        valid_from,
        valid_to
    from source
    where row_status = 'accepted'

)

select * from renamed
