with overrides as (

    select * from {{ ref('tier_overrides') }}

),

tiers as (

    select * from {{ ref('tiers') }}

),

members as (

    select * from {{ ref('int_members_enrolled') }}

),

identities as (

    select * from {{ ref('int_identities_resolved') }}
    where customer_id is not null

),

named as (

    select
        overrides.program_id,
        coalesce(identities.customer_id, overrides.customer_id) as customer_id,
        cast(tiers.tier_rank as bigint) as tier_rank,
        overrides.valid_from,
        overrides.valid_to
    from overrides
    inner join tiers
        on
            overrides.program_id = tiers.program_id
            and overrides.tier = tiers.tier
    left join identities
        on overrides.customer_id = identities.alias_id

),

-- Overrides of one customer do not overlap, but those of two ids of one customer may: the later one takes over.
followed as (

    select
        *,
        lead(valid_from) over (
            partition by program_id, customer_id
            order by valid_from, coalesce(valid_to, {{ forever() }}), tier_rank
        ) as next_from
    from named

),

dated as (

    select
        followed.program_id,
        followed.customer_id,
        followed.tier_rank,
        greatest(followed.valid_from, members.member_since_on) as valid_from_on,
        -- NULL where there is neither.
        least(followed.valid_to, followed.next_from) as valid_to_on
    from followed
    inner join members
        on
            followed.program_id = members.program_id
            and followed.customer_id = members.customer_id

),

final as (

    select
        program_id,
        customer_id,
        tier_rank,
        valid_from_on,
        valid_to_on
    from dated
    where valid_to_on is null or valid_from_on < valid_to_on

)

select * from final
