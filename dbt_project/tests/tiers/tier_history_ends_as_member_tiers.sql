-- The open row of a member is the tier of today.
with history as (

    select
        program_id,
        customer_id,
        tier,
        is_override,
        valid_from
    from {{ ref('tier_history') }}
    where valid_to is null

)

select
    members.*,
    history.customer_id as history_customer_id,
    history.tier as last_tier,
    history.valid_from
from {{ ref('member_tiers') }} as members
full outer join history
    on
        members.program_id = history.program_id
        and members.customer_id = history.customer_id
where
    history.tier is distinct from members.tier
    or history.is_override is distinct from members.is_override
    or history.valid_from is distinct from members.tier_since_on
