with earned as (

    select * from {{ ref('int_points_earned') }}
    where {{ is_affected('customer') }}

),

stated as (

    select * from {{ ref('int_points_stated') }}
    where
        points > 0
        and {{ is_affected('customer') }}

),

rules as (

    select * from {{ ref('int_points_rules_dated') }}

),

given as (

    select
        program_id,
        customer_id,
        'earned' as entry_type,
        'order' as source_type,
        order_id as source_id,
        1 as lot_rank,
        points,
        business_date,
        ordered_at as occurred_at
    from earned

    union all

    select
        program_id,
        customer_id,
        entry_type,
        'interaction' as source_type,
        interaction_id as source_id,
        case entry_type when 'adjusted' then 2 else 3 end as lot_rank,
        points,
        business_date,
        occurred_at
    from stated

),

dated as (

    select
        given.*,
        rules.expiry_type,
        {{ add_months('given.business_date', 'rules.expiry_months') }} as expires_on
    from given
    inner join rules
        on
            given.program_id = rules.program_id
            and {{ is_within('given.business_date', 'rules.valid_from_on', 'rules.valid_to_on') }}

),

-- Laid end to end in the order in which they are given, lots are intervals of all points that a member was ever given. None
-- expires before one that was given earlier; with activity, what comes later moves the date for all.
final as (

    select
        program_id,
        customer_id,
        row_number() over in_order as lot_number,
        entry_type,
        source_type,
        source_id,
        expiry_type,
        points,
        cast(sum(points) over in_order as bigint) as lot_end,
        case expiry_type when 'fixed' then max(expires_on) over in_order else expires_on end as expires_on,
        business_date,
        occurred_at
    from dated
    window in_order as (
        partition by program_id, customer_id
        order by occurred_at, lot_rank, source_id
        rows between unbounded preceding and current row
    )

)

select * from final
