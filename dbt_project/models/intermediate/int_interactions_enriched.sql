with interactions as (

    select * from {{ ref('stg_interactions') }}

),

interaction_types as (

    select * from {{ ref('interaction_types') }}

),

identities as (

    select * from {{ ref('int_identities_resolved') }}
    where customer_id is not null

),

final as (

    select
        interactions.interaction_id,
        coalesce(identities.customer_id, interactions.customer_id) as customer_id,
        interactions.campaign_id,
        interactions.related_id,
        interactions.owner_id,

        interactions.interaction_type,
        coalesce(interaction_types.family, 'other') as family,
        interaction_types.direction,
        interaction_types.participation_role,
        interactions.channel,

        interactions.score,
        interactions.cost_amount,

        interaction_types.interaction_type is not null as is_known_type,
        coalesce(interaction_types.is_activity, false) as is_activity,
        coalesce(interaction_types.is_contact, false) as is_contact,
        coalesce(interaction_types.is_complaint, false) as is_complaint,
        coalesce(interaction_types.is_closure, false) as is_closure,
        interactions.interaction_type = 'exit_interview' as is_exit_interview,
        interactions.interaction_type = 'complaint_resolved' as is_resolution,

        -- Why a customer left, and who began it, as a closure or an exit interview has it.
        case
            when interaction_types.is_closure or interactions.interaction_type = 'exit_interview'
                then {{ json_text('interactions.detail', 'cause') }}
        end as stated_cause,
        case
            when interaction_types.is_closure or interactions.interaction_type = 'exit_interview'
                then {{ json_text('interactions.detail', 'initiator') }}
        end as stated_initiator,
        -- Whose points they are.
        case
            when interactions.interaction_type in ('points_redeemed', 'points_adjusted', 'points_reinstated')
                then {{ json_text('interactions.detail', 'program_id') }}
        end as stated_program_id,

        {{ business_date('interactions.occurred_at') }} as business_date,
        interactions.occurred_at
    from interactions
    left join interaction_types
        on interactions.interaction_type = interaction_types.interaction_type
    left join identities
        on interactions.customer_id = identities.alias_id
    where
        {{ is_affected(
            'interaction',
            interaction_id='interactions.interaction_id',
            customer_id='coalesce(identities.customer_id, interactions.customer_id)',
        ) }}

)

select * from final
