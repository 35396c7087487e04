with lots as (

    select
        *,
        concat(program_id, ':', source_type, ':', source_id) as lot_id,
        {{ period_start('month', 'business_date') }} as vintage_month
    from (
        select
            *,
            {{ points_source('entry_type') }} as source_type
        from {{ ref('int_points_lots') }}
    ) as sourced

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

-- Whatever has happened by data_end. A debt is paid when the lot is given.
taken as (

    select
        taken.program_id,
        taken.customer_id,
        lots.lot_id,
        taken.entry_type,
        {{ points_source('taken.entry_type') }} as source_type,
        taken.source_id,
        taken.points,
        taken.is_owed,
        taken.taken_at,
        taken.taken_on,
        case when taken.is_owed then lots.occurred_at else taken.taken_at end as paid_at,
        case when taken.is_owed then lots.business_date else taken.taken_on end as paid_on,
        lots.expires_on,
        lots.vintage_month
    from {{ ref('int_points_taken') }} as taken
    inner join data_window
        on taken.taken_on <= data_window.data_end_on
    left join lots
        on
            taken.program_id = lots.program_id
            and taken.customer_id = lots.customer_id
            and taken.lot_number = lots.lot_number

),

final as (

    select
        lot_id as entry_id,
        program_id,
        customer_id,
        lot_id,
        entry_type,
        source_type,
        source_id,
        points,
        occurred_at,
        business_date,
        expires_on,
        vintage_month
    from lots

    union all

    select
        concat(lot_id, ' < ', source_type, case when source_id is null then '' else concat(':', source_id) end) as entry_id,
        program_id,
        customer_id,
        lot_id,
        entry_type,
        source_type,
        source_id,
        - points as points,
        paid_at as occurred_at,
        paid_on as business_date,
        expires_on,
        vintage_month
    from taken
    where lot_id is not null

    union all

    select
        concat(program_id, ':', source_type, ':', source_id, ' debt') as entry_id,
        program_id,
        customer_id,
        cast(null as {{ dbt.type_string() }}) as lot_id,
        'debt' as entry_type,
        source_type,
        source_id,
        - {{ sum_bigint('points') }} as points,
        taken_at as occurred_at,
        taken_on as business_date,
        cast(null as date) as expires_on,
        cast(null as date) as vintage_month
    from taken
    where is_owed
    group by
        program_id,
        customer_id,
        source_type,
        source_id,
        taken_at,
        taken_on

    union all

    select
        concat(lot_id, ' < ', source_type, ':', source_id, ' debt') as entry_id,
        program_id,
        customer_id,
        cast(null as {{ dbt.type_string() }}) as lot_id,
        'debt' as entry_type,
        source_type,
        source_id,
        points,
        paid_at as occurred_at,
        paid_on as business_date,
        cast(null as date) as expires_on,
        cast(null as date) as vintage_month
    from taken
    where is_owed and lot_id is not null

)

select * from final
