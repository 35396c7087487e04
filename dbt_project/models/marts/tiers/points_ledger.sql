with lots as (

    select * from {{ ref('int_points_lots') }}

),

taken as (

    select * from {{ ref('int_points_taken') }}
    where source_type is not null

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

entries as (

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
        {{ period_start('month', 'business_date') }} as vintage_month
    from lots

    union all

    -- From a lot, on the day of the debit, or where that is a debt, of the lot that pays it.
    select
        concat(lot_id, ' < ', source_type, coalesce(concat(':', source_id), '')) as entry_id,
        program_id,
        customer_id,
        lot_id,
        entry_type,
        source_type,
        source_id,
        - points as points,
        case when is_owed then given_at else taken_at end as occurred_at,
        case when is_owed then given_on else taken_on end as business_date,
        expires_on,
        {{ period_start('month', 'given_on') }} as vintage_month
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
        given_at as occurred_at,
        given_on as business_date,
        cast(null as date) as expires_on,
        cast(null as date) as vintage_month
    from taken
    where
        is_owed
        and lot_id is not null

),

final as (

    select
        entries.entry_id,
        entries.program_id,
        entries.customer_id,
        entries.lot_id,
        entries.entry_type,
        entries.source_type,
        entries.source_id,
        cast(entries.points as bigint) as points,
        entries.occurred_at,
        entries.business_date,
        entries.expires_on,
        entries.vintage_month
    from entries
    inner join data_window
        on entries.business_date <= data_window.data_end_on

)

select * from final
