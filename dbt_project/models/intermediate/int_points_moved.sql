with earned as (

    select * from {{ ref('int_points_earned') }}
    where {{ is_affected('customer') }}

),

refunds as (

    select * from {{ ref('int_refunds_accumulated') }}
    where {{ is_affected('customer') }}

),

interactions as (

    select * from {{ ref('int_interactions_enriched') }}
    where
        interaction_type in ('points_redeemed', 'points_adjusted', 'points_reinstated')
        and {{ is_affected('customer') }}

),

members as (

    select * from {{ ref('int_members_enrolled') }}

),

rules as (

    select * from {{ ref('int_points_rules_dated') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

first_programs as (

    select min(program_id) as program_id
    from rules

),

told as (

    select
        coalesce(interactions.stated_program_id, first_programs.program_id) as program_id,
        interactions.customer_id,
        interactions.interaction_id,
        interactions.interaction_type,
        cast(round(
            case interactions.interaction_type when 'points_redeemed' then - interactions.score else interactions.score end
        ) as bigint) as points,
        interactions.business_date,
        interactions.occurred_at
    from interactions
    cross join first_programs

),

-- Of what happens at one time, first points are given, then refunds reverse, adjustments take, and redemptions.
moved as (

    select
        program_id,
        customer_id,
        'earned' as entry_type,
        'order' as source_type,
        order_id as source_id,
        1 as event_rank,
        points,
        business_date,
        ordered_at as occurred_at
    from earned

    union all

    select
        earned.program_id,
        earned.customer_id,
        'reversed' as entry_type,
        'refund' as source_type,
        refunds.refund_id as source_id,
        2 as event_rank,
        {{ points_left('earned.points', 'refunds.left_minor', 'refunds.gross_minor') }}
        - {{ points_left('earned.points', 'refunds.left_before_minor', 'refunds.gross_minor') }} as points,
        refunds.business_date,
        refunds.refunded_at as occurred_at
    from earned
    inner join refunds
        on earned.order_id = refunds.order_id

    union all

    select
        told.program_id,
        told.customer_id,
        substring(told.interaction_type, 8) as entry_type,
        'interaction' as source_type,
        told.interaction_id as source_id,
        case
            when told.points > 0 then 1
            when told.interaction_type = 'points_adjusted' then 3
            else 4
        end as event_rank,
        told.points,
        told.business_date,
        told.occurred_at
    from told
    inner join members
        on
            told.program_id = members.program_id
            and told.customer_id = members.customer_id
            and told.business_date >= members.member_since_on
    where
        told.interaction_type = 'points_adjusted'
        or (told.interaction_type = 'points_reinstated' and told.points > 0)
        or (told.interaction_type = 'points_redeemed' and told.points < 0)

),

final as (

    select
        moved.program_id,
        moved.customer_id,
        moved.entry_type,
        moved.source_type,
        moved.source_id,
        cast(moved.event_rank as bigint) as event_rank,
        cast(moved.points as bigint) as points,
        rules.expiry_type,
        {{ add_months('moved.business_date', 'rules.expiry_months') }} as expires_on,
        moved.business_date,
        moved.occurred_at
    from moved
    inner join data_window
        on moved.business_date <= data_window.data_end_on
    inner join rules
        on
            moved.program_id = rules.program_id
            and {{ is_within('moved.business_date', 'rules.valid_from_on', 'rules.valid_to_on') }}
    where moved.points <> 0

)

select * from final
