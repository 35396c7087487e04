-- What a month's matrix takes from a tier is what the month before left in it; at last it leaves the members of today.
with movements as (

    select
        program_id,
        month,
        from_tier,
        to_tier,
        member_count
    from {{ ref('tier_movements') }}

),

left_in as (

    select
        program_id,
        {{ add_months('month', 1) }} as month,
        to_tier as tier,
        sum(member_count) as member_count
    from movements
    group by
        program_id,
        month,
        to_tier

),

taken_from as (

    select
        program_id,
        month,
        from_tier as tier,
        sum(member_count) as member_count
    from movements
    where from_tier <> 'new'
    group by
        program_id,
        month,
        from_tier

    union all

    -- After the last month.
    select
        members.program_id,
        {{ add_months('data_window.last_month', 1) }} as month,
        members.tier,
        count(*) as member_count
    from {{ ref('member_tiers') }} as members
    cross join {{ ref('int_data_window') }} as data_window
    group by
        members.program_id,
        {{ add_months('data_window.last_month', 1) }},
        members.tier

)

select
    left_in.*,
    taken_from.program_id as taken_program_id,
    taken_from.month as taken_month,
    taken_from.tier as taken_tier,
    taken_from.member_count as taken_count
from left_in
full outer join taken_from
    on
        left_in.program_id = taken_from.program_id
        and left_in.month = taken_from.month
        and left_in.tier = taken_from.tier
where left_in.member_count is distinct from taken_from.member_count
