with ledger as (

    select * from {{ ref('points_ledger') }}

),

taken as (

    select * from {{ ref('int_points_taken') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

summed as (

    select
        program_id,
        customer_id,
        {{ sum_where('points', "entry_type <> 'debt'") }} as balance_points,
        - {{ sum_where('points', "entry_type = 'debt'") }} as debt_points,
        {{ sum_where('points', "entry_type = 'earned'") }} as earned_points,
        {{ sum_where('points', "entry_type = 'adjusted'") }} as adjusted_points,
        {{ sum_where('points', "entry_type = 'reinstated'") }} as reinstated_points,
        - {{ sum_where('points', "entry_type = 'redeemed'") }} as redeemed_points,
        - {{ sum_where('points', "entry_type = 'expired'") }} as expired_points,
        - {{ sum_where('points', "entry_type = 'reversed'") }} as reversed_points
    from ledger
    group by
        program_id,
        customer_id

),

-- What is left of lots: what nothing but time will take.
left_over as (

    select
        taken.program_id,
        taken.customer_id,
        taken.points,
        taken.taken_on,
        min(taken.taken_on) over (partition by taken.program_id, taken.customer_id) as next_expires_on
    from taken
    inner join data_window
        on
            taken.taken_on is null
            or taken.taken_on > data_window.data_end_on
    where taken.lot_number is not null

),

open_lots as (

    select
        program_id,
        customer_id,
        count(*) as open_lot_count,
        max(next_expires_on) as next_expires_on,
        {{ sum_where('points', 'taken_on = next_expires_on') }} as next_expiring_points
    from left_over
    group by
        program_id,
        customer_id

),

final as (

    select
        summed.program_id,
        summed.customer_id,
        summed.balance_points,
        summed.debt_points,
        summed.earned_points,
        summed.adjusted_points,
        summed.reinstated_points,
        summed.redeemed_points,
        summed.expired_points,
        summed.reversed_points,
        coalesce(open_lots.open_lot_count, 0) as open_lot_count,
        coalesce(open_lots.next_expiring_points, 0) as next_expiring_points,
        open_lots.next_expires_on
    from summed
    left join open_lots
        on
            summed.program_id = open_lots.program_id
            and summed.customer_id = open_lots.customer_id

)

select * from final
