with moved as (

    select * from {{ ref('int_points_moved') }}
    where {{ is_affected('customer') }}

),

lots as (

    select * from {{ ref('int_points_lots') }}
    where {{ is_affected('customer') }}

),

-- With activity, all points expire after the last day on which some were given or redeemed, unless the next such day
-- comes before.
activity_days as (

    select
        program_id,
        customer_id,
        business_date,
        max(expires_on) as expires_on,
        lead(business_date) over (
            partition by program_id, customer_id
            order by business_date
        ) as next_date
    from moved
    where
        expiry_type = 'activity'
        and (points > 0 or entry_type = 'redeemed')
    group by
        program_id,
        customer_id,
        business_date

),

-- What expires is all that was given up to some point, as far as nothing took it before.
expiries as (

    select
        program_id,
        customer_id,
        expires_on,
        max(lot_end) as expired_end
    from lots
    where expiry_type = 'fixed'
    group by
        program_id,
        customer_id,
        expires_on

    union all

    select
        lots.program_id,
        lots.customer_id,
        activity_days.expires_on,
        max(lots.lot_end) as expired_end
    from activity_days
    inner join lots
        on
            activity_days.program_id = lots.program_id
            and activity_days.customer_id = lots.customer_id
            and activity_days.business_date >= lots.business_date
    where
        activity_days.next_date is null
        or activity_days.next_date >= activity_days.expires_on
    group by
        lots.program_id,
        lots.customer_id,
        activity_days.expires_on

),

events as (

    select
        program_id,
        customer_id,
        entry_type,
        source_type,
        source_id,
        event_rank,
        greatest(points, 0) as given_points,
        greatest(- points, 0) as debit_points,
        cast(null as bigint) as expired_end,
        business_date,
        occurred_at
    from moved

    union all

    select
        program_id,
        customer_id,
        'expired' as entry_type,
        'expiry' as source_type,
        cast(null as {{ dbt.type_string() }}) as source_id,
        0 as event_rank,
        0 as given_points,
        0 as debit_points,
        expired_end,
        expires_on as business_date,
        {{ business_midnight_utc('expires_on') }} as occurred_at
    from expiries

),

summed as (

    select
        program_id,
        customer_id,
        row_number() over up_to_here as event_number,
        entry_type,
        source_type,
        source_id,
        expired_end,
        cast(sum(given_points) over up_to_here as bigint) as given_end,
        cast(sum(debit_points) over up_to_here as bigint) as debit_end,
        business_date,
        occurred_at
    from events
    window up_to_here as (
        partition by program_id, customer_id
        order by occurred_at, event_rank, source_type, source_id nulls first
        rows between unbounded preceding and current row
    )

),

-- How far points are taken: a debit takes as many more, an expiry takes all up to its end. Unrolled, that is the sum of
-- the debits and the most by which any expiry so far was ahead of their sum when it came.
ends as (

    select
        program_id,
        customer_id,
        event_number,
        entry_type,
        source_type,
        source_id,
        given_end,
        debit_end + greatest(coalesce(max(expired_end - debit_end) over up_to_here, 0), 0) as taken_end,
        business_date,
        occurred_at
    from summed
    window up_to_here as (
        partition by program_id, customer_id
        order by event_number
        rows between unbounded preceding and current row
    )

),

takings as (

    select *
    from (
        select
            *,
            lag(taken_end, 1, 0) over (
                partition by program_id, customer_id
                order by event_number
            ) as taken_start
        from ends
    ) as linked
    where taken_end > taken_start

),

-- Both lots and takings lie end to end from 0 on: where one of either ends, a stretch ends, which is of the first lot and of
-- the first taking that end there or later.
stretch_ends as (

    select
        program_id,
        customer_id,
        stretch_end,
        min(lot_number) as lot_number,
        min(event_number) as event_number
    from (
        select
            program_id,
            customer_id,
            lot_end as stretch_end,
            lot_number,
            cast(null as bigint) as event_number
        from lots

        union all

        select
            program_id,
            customer_id,
            taken_end as stretch_end,
            cast(null as bigint) as lot_number,
            event_number
        from takings
    ) as all_ends
    group by
        program_id,
        customer_id,
        stretch_end

),

stretches as (

    select
        program_id,
        customer_id,
        stretch_end,
        stretch_end - lag(stretch_end, 1, 0) over (
            partition by program_id, customer_id
            order by stretch_end
        ) as points,
        min(lot_number) over from_here as lot_number,
        min(event_number) over from_here as event_number
    from stretch_ends
    window from_here as (
        partition by program_id, customer_id
        order by stretch_end
        rows between current row and unbounded following
    )

),

-- What was taken before it was given is debt until then.
final as (

    select
        stretches.program_id,
        stretches.customer_id,
        lots.lot_id,
        takings.entry_type,
        takings.source_type,
        takings.source_id,
        stretches.points,
        coalesce(stretches.stretch_end > takings.given_end, false) as is_owed,
        lots.expires_on,
        lots.business_date as given_on,
        lots.occurred_at as given_at,
        takings.business_date as taken_on,
        takings.occurred_at as taken_at
    from stretches
    left join lots
        on
            stretches.program_id = lots.program_id
            and stretches.customer_id = lots.customer_id
            and stretches.lot_number = lots.lot_number
    left join takings
        on
            stretches.program_id = takings.program_id
            and stretches.customer_id = takings.customer_id
            and stretches.event_number = takings.event_number

)

select * from final
