-- Month by month, a tier's members and revenue are what the matrix takes from it.
with moved as (

    select
        program_id,
        month,
        from_tier as tier,
        sum(member_count) as member_count,
        sum(net_amount) as net_amount
    from {{ ref('tier_movements') }}
    group by
        program_id,
        month,
        from_tier

)

select
    economics.program_id,
    economics.month,
    economics.tier,
    economics.member_count,
    economics.net_amount,
    moved.program_id as moved_program_id,
    moved.month as moved_month,
    moved.tier as moved_tier,
    moved.member_count as moved_count,
    moved.net_amount as moved_amount
from {{ ref('tier_economics') }} as economics
full outer join moved
    on
        economics.program_id = moved.program_id
        and economics.month = moved.month
        and economics.tier = moved.tier
where
    economics.member_count is distinct from moved.member_count
    or economics.net_amount is distinct from moved.net_amount
