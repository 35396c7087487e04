with source as (

    select * from {{ ref('stg_interactions_checked') }}

),

renamed as (

    select
        interaction_id,
        customer_id,
        campaign_id,
        related_id,
        owner_id,

        interaction_type,
        channel,
        detail,

        score,
        cost_amount,

        occurred_at
    from source
    where row_status = 'accepted'

)

select * from renamed
