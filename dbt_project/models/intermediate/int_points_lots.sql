with moved as (

    select * from {{ ref('int_points_moved') }}
    where
        points > 0
        and {{ is_affected('customer') }}

),

-- Laid end to end in the order in which they are given, lots are intervals of all points that a member was ever given.
numbered as (

    select
        program_id,
        customer_id,
        row_number() over given as lot_number,
        entry_type,
        source_type,
        source_id,
        expiry_type,
        points,
        cast(sum(points) over given as bigint) as lot_end,
        max(expires_on) over given as last_expires_on,
        expires_on,
        business_date,
        occurred_at
    from moved
    window given as (
        partition by program_id, customer_id
        order by occurred_at, source_type, source_id
        rows between unbounded preceding and current row
    )

),

final as (

    select
        program_id,
        customer_id,
        lot_number,
        concat(program_id, ':', source_type, ':', source_id) as lot_id,
        entry_type,
        source_type,
        source_id,
        expiry_type,
        points,
        lot_end,
        -- No lot expires before one that was given earlier. With activity, what comes later moves the date for all.
        case expiry_type when 'fixed' then last_expires_on else expires_on end as expires_on,
        business_date,
        occurred_at
    from numbered

)

select * from final
