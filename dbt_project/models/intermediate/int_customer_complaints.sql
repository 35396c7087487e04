with interactions as (

    select * from {{ ref('int_interactions_enriched') }}
    where
        customer_id is not null
        and (is_complaint or is_resolution)
        and {{ is_affected('customer') }}

),

complaints as (

    select * from interactions
    where is_complaint

),

resolutions as (

    select * from interactions
    where is_resolution

),

-- A resolution that names no complaint settles all that the customer had until then.
settled as (

    select
        complaints.interaction_id,
        min(resolutions.business_date) as resolved_on
    from complaints
    inner join resolutions
        on
            complaints.customer_id = resolutions.customer_id
            and complaints.occurred_at <= resolutions.occurred_at
            and complaints.interaction_id = coalesce(resolutions.related_id, complaints.interaction_id)
    group by complaints.interaction_id

),

final as (

    select
        complaints.interaction_id,
        complaints.customer_id,
        complaints.business_date as complained_on,
        settled.resolved_on
    from complaints
    left join settled
        on complaints.interaction_id = settled.interaction_id

)

select * from final
