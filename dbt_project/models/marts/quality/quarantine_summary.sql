with quarantined as (

    select * from {{ ref('int_rows_quarantined') }}

),

final as (

    select
        load_id,
        table_name,
        coalesce(rejected_column, '') as column_name,
        reason,
        {{ sum_bigint('source_row_count') }} as row_count
    from quarantined
    group by
        load_id,
        table_name,
        coalesce(rejected_column, ''),
        reason

)

select * from final
