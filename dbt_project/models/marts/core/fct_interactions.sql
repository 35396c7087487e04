with interactions as (

    select * from {{ ref('int_interactions_enriched') }}
    where {{ is_affected('interaction') }}

),

final as (

    select
        interaction_id,
        customer_id,
        occurred_at,
        business_date,
        interaction_type,
        family,
        direction,
        participation_role,
        channel,
        campaign_id,
        related_id,
        owner_id,
        score,
        cast(cost_amount as decimal(18, 2)) as cost_amount,
        is_known_type,
        is_activity,
        is_contact,
        is_complaint,
        is_closure
    from interactions

)

select * from final
