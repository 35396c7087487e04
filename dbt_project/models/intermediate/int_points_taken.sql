with lots as (

    select * from {{ ref('int_points_lots') }}
    where {{ is_affected('customer') }}

),

debits as (

    select * from {{ ref('int_points_debited') }}
    where {{ is_affected('customer') }}

),

rules as (

    select * from {{ ref('int_points_rules_dated') }}

),

-- Where nothing is debited, each lot goes on its own date, all of it. The others are laid against what takes them; so are
-- those with activity, whose date depends on what comes after.
parted_lots as (

    select
        lots.*,
        lots.is_kept_by_activity or debtors.customer_id is not null as is_taken_in_turn
    from lots
    left join (
        select distinct
            program_id,
            customer_id
        from debits
    ) as debtors
        on
            lots.program_id = debtors.program_id
            and lots.customer_id = debtors.customer_id

),

queued_lots as (

    select
        program_id,
        customer_id,
        lot_number,
        lot_end,
        is_kept_by_activity,
        expires_on,
        business_date,
        occurred_at
    from parted_lots
    where is_taken_in_turn

),

-- With activity, all points expire after the last day on which some were given or redeemed, unless the next such day
-- comes before.
activity_days as (

    select
        days.program_id,
        days.customer_id,
        days.business_date,
        {{ add_months('days.business_date', 'rules.expiry_months') }} as expires_on,
        lead(days.business_date) over (
            partition by days.program_id, days.customer_id
            order by days.business_date
        ) as next_date,
        max(days.lot_end) over (
            partition by days.program_id, days.customer_id
            order by days.business_date
            rows between unbounded preceding and current row
        ) as expired_end
    from (
        select
            program_id,
            customer_id,
            business_date,
            max(lot_end) as lot_end
        from (
            select
                program_id,
                customer_id,
                business_date,
                lot_end
            from queued_lots
            where is_kept_by_activity

            union all

            select
                program_id,
                customer_id,
                business_date,
                0 as lot_end
            from debits
            where entry_type = 'redeemed'
        ) as activities
        group by
            program_id,
            customer_id,
            business_date
    ) as days
    inner join rules
        on
            days.program_id = rules.program_id
            and {{ is_within('days.business_date', 'rules.valid_from_on', 'rules.valid_to_on') }}
    where rules.expiry_type = 'activity'

),

-- What expires is all that was given up to some point, as far as nothing took it before.
expiries as (

    select
        program_id,
        customer_id,
        expires_on,
        max(lot_end) as expired_end
    from queued_lots
    where expires_on is not null and not is_kept_by_activity
    group by
        program_id,
        customer_id,
        expires_on

    union all

    select
        program_id,
        customer_id,
        expires_on,
        expired_end
    from activity_days
    where
        next_date is null
        or next_date >= expires_on

),

-- In their order: of those at one time an expiry, then lots, then debits.
events as (

    select
        program_id,
        customer_id,
        0 as event_rank,
        0 as number_of_rank,
        0 as lot_end,
        0 as debit_points,
        expired_end,
        {{ business_midnight_utc('expires_on') }} as occurred_at
    from expiries

    union all

    select
        program_id,
        customer_id,
        1 as event_rank,
        lot_number as number_of_rank,
        lot_end,
        0 as debit_points,
        cast(null as bigint) as expired_end,
        occurred_at
    from queued_lots

    union all

    select
        program_id,
        customer_id,
        2 as event_rank,
        debit_number as number_of_rank,
        0 as lot_end,
        points as debit_points,
        cast(null as bigint) as expired_end,
        occurred_at
    from debits

),

summed as (

    select
        program_id,
        customer_id,
        row_number() over up_to_here as event_number,
        case event_rank when 2 then number_of_rank end as debit_number,
        expired_end,
        max(lot_end) over up_to_here as given_end,
        cast(sum(debit_points) over up_to_here as bigint) as debit_end,
        occurred_at
    from events
    window up_to_here as (
        partition by program_id, customer_id
        order by occurred_at, event_rank, number_of_rank
        rows between unbounded preceding and current row
    )

),

-- How far points are taken: a debit takes as many more, an expiry takes all up to its end. Unrolled, that is the sum of
-- the debits and the most by which any expiry so far was ahead of their sum when it came.
takings as (

    select
        program_id,
        customer_id,
        event_number,
        debit_number,
        given_end,
        debit_end + greatest(
            coalesce(
                max(expired_end - debit_end) over (
                    partition by program_id, customer_id
                    order by event_number
                    rows between unbounded preceding and current row
                ),
                0
            ), 0
        ) as taken_end,
        occurred_at
    from summed

),

-- Both lots and takings lie end to end from 0 on. Where one of either ends, a stretch ends.
ends as (

    select
        program_id,
        customer_id,
        lot_end as stretch_end,
        lot_number,
        cast(null as bigint) as event_number,
        business_date as given_on,
        cast(null as timestamp) as taken_at
    from queued_lots

    union all

    select
        program_id,
        customer_id,
        taken_end as stretch_end,
        cast(null as bigint) as lot_number,
        event_number,
        cast(null as date) as given_on,
        occurred_at as taken_at
    from takings

),

-- It is of the first lot and of the first taking that end there or later: the least of each, for all grow with the ends.
stretches as (

    select
        program_id,
        customer_id,
        stretch_end,
        stretch_end - lag(stretch_end, 1, 0) over in_order as points,
        min(lot_number) over from_here as lot_number,
        min(event_number) over from_here as event_number,
        min(given_on) over from_here as given_on,
        min(taken_at) over from_here as taken_at
    from ends
    window
        in_order as (
            partition by program_id, customer_id
            order by stretch_end, lot_number nulls last, event_number nulls last
        ),
        from_here as (
            partition by program_id, customer_id
            order by stretch_end, lot_number nulls last, event_number nulls last
            rows between current row and unbounded following
        )

),

numbered_debits as (

    select
        takings.program_id,
        takings.customer_id,
        takings.event_number,
        takings.given_end,
        debits.entry_type,
        debits.source_id
    from takings
    inner join debits
        on
            takings.program_id = debits.program_id
            and takings.customer_id = debits.customer_id
            and takings.debit_number = debits.debit_number

),

-- What was taken before it was given is debt until then.
final as (

    select
        stretches.program_id,
        stretches.customer_id,
        stretches.lot_number,
        coalesce(
            numbered_debits.entry_type, case when stretches.taken_at is not null then 'expired' end
        ) as entry_type,
        numbered_debits.source_id,
        stretches.points,
        coalesce(stretches.stretch_end > numbered_debits.given_end, false) as is_owed,
        stretches.given_on,
        {{ business_date('stretches.taken_at') }} as taken_on,
        stretches.taken_at
    from stretches
    left join numbered_debits
        on
            stretches.program_id = numbered_debits.program_id
            and stretches.customer_id = numbered_debits.customer_id
            and stretches.event_number = numbered_debits.event_number
    where stretches.points > 0

    union all

    select
        program_id,
        customer_id,
        lot_number,
        case when expires_on is not null then 'expired' end as entry_type,
        cast(null as {{ dbt.type_string() }}) as source_id,
        points,
        false as is_owed,
        business_date as given_on,
        expires_on as taken_on,
        {{ business_midnight_utc('expires_on') }} as taken_at
    from parted_lots
    where not is_taken_in_turn

)

select * from final
