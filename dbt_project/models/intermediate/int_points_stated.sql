with interactions as (

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

programs as (

    select
        program_id,
        min(program_id) over () as first_program_id,
        min(valid_from_on) as first_on
    from rules
    group by program_id

),

rounded as (

    select
        customer_id,
        interaction_id,
        substring(interaction_type, 8) as entry_type,
        stated_program_id,
        -- What no points can be, such as the number of a card, is none.
        case
            when abs(score) < 1e12
                then cast(round(case interaction_type when 'points_redeemed' then - score else score end) as bigint)
        end as points,
        business_date,
        occurred_at
    from interactions

),

final as (

    select
        programs.program_id,
        rounded.customer_id,
        rounded.interaction_id,
        rounded.entry_type,
        rounded.points,
        rounded.business_date,
        rounded.occurred_at
    from rounded
    inner join data_window
        on rounded.business_date <= data_window.data_end_on
    inner join programs
        on
            coalesce(rounded.stated_program_id, programs.first_program_id) = programs.program_id
            and rounded.business_date >= programs.first_on
    inner join members
        on
            programs.program_id = members.program_id
            and rounded.customer_id = members.customer_id
            and rounded.business_date >= members.member_since_on
    where
        (rounded.entry_type = 'adjusted' and rounded.points <> 0)
        or (rounded.entry_type = 'reinstated' and rounded.points > 0)
        or (rounded.entry_type = 'redeemed' and rounded.points < 0)

)

select * from final
