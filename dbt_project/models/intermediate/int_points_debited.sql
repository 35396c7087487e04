with lots as (

    select * from {{ ref('int_points_lots') }}
    where
        entry_type = 'earned'
        and {{ is_affected('customer') }}

),

refunds as (

    select * from {{ ref('int_refunds_accumulated') }}
    where {{ is_affected('customer') }}

),

stated as (

    select * from {{ ref('int_points_stated') }}
    where
        points < 0
        and {{ is_affected('customer') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

-- Of those at one time, refunds come first, then adjustments, then redemptions.
debits as (

    select
        lots.program_id,
        lots.customer_id,
        'reversed' as entry_type,
        refunds.refund_id as source_id,
        1 as debit_rank,
        {{ points_left('lots.points', 'refunds.left_before_minor', 'refunds.gross_minor') }}
        - {{ points_left('lots.points', 'refunds.left_minor', 'refunds.gross_minor') }} as points,
        refunds.business_date,
        refunds.refunded_at as occurred_at
    from lots
    inner join refunds
        on lots.source_id = refunds.order_id
    inner join data_window
        on refunds.business_date <= data_window.data_end_on

    union all

    select
        program_id,
        customer_id,
        entry_type,
        interaction_id as source_id,
        case entry_type when 'adjusted' then 2 else 3 end as debit_rank,
        - points as points,
        business_date,
        occurred_at
    from stated

),

final as (

    select
        program_id,
        customer_id,
        row_number() over (
            partition by program_id, customer_id
            order by occurred_at, debit_rank, source_id
        ) as debit_number,
        entry_type,
        source_id,
        cast(points as bigint) as points,
        business_date,
        occurred_at
    from debits
    where points > 0

)

select * from final
