with source as (

    select * from {{ ref('stg_wallet_observations_checked') }}

),

renamed as (

    select
        customer_id,

        category,
        brand,
        coalesce(source, 'panel') as provenance,

        spend as spend_amount,
        rank as brand_rank,

        period_start as period_start_on,
        period_end as period_end_on
    from source
    where row_status = 'accepted'

)

select * from renamed
