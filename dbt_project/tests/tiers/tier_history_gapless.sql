-- From the beginning of membership to the end of the data each day of a member has exactly one tier, and each row
-- differs from the one before.
with history as (

    select
        program_id,
        customer_id,
        tier,
        is_override,
        valid_from,
        valid_to,
        lag(tier) over member_rows as previous_tier,
        lag(is_override) over member_rows as is_after_override,
        lag(valid_to) over member_rows as previous_to,
        lead(valid_from) over member_rows as next_from
    from {{ ref('tier_history') }}
    window member_rows as (
        partition by program_id, customer_id
        order by valid_from
    )

),

members as (

    select
        members.program_id,
        members.customer_id,
        members.member_since_on
    from {{ ref('int_members_enrolled') }} as members
    inner join {{ ref('int_data_window') }} as data_window
        on members.member_since_on <= data_window.data_end_on

)

select
    members.program_id as member_program_id,
    members.customer_id as member_customer_id,
    members.member_since_on,
    history.*
from history
full outer join members
    on
        history.program_id = members.program_id
        and history.customer_id = members.customer_id
where
    history.customer_id is null
    or members.customer_id is null
    or history.valid_from <> coalesce(history.previous_to, members.member_since_on)
    or history.valid_to is distinct from history.next_from
    or history.valid_to <= history.valid_from
    or (history.tier = history.previous_tier and history.is_override = history.is_after_override)
