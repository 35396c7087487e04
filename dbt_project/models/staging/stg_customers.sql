with source as (

    select * from {{ ref('stg_customers_checked') }}

),

renamed as (

    select
        customer_id,
        owner_id,

        acquisition_channel,
        segment as customer_segment,
        email,
        phone,
        name,

        has_email_consent,
        has_phone_consent,
        has_profiling_consent,

        birth_date as born_on,
        enrolled_at,
        updated_at
    from source
    where row_status = 'accepted'

)

select * from renamed
