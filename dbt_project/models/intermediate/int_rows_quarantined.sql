with staged as (

    select * from {{ ref('stg_quarantined_rows') }}

),

identities as (

    select * from {{ ref('int_identities_resolved') }}
    where reason is not null

),

final as (

    select
        table_name,
        load_id,
        source_file,
        source_row,
        source_row_count,
        rejected_column,
        rejected_value,
        reason
    from staged

    union all

    select
        'identity_map' as table_name,
        load_id,
        source_file,
        source_row,
        row_count as source_row_count,
        'alias_id' as rejected_column,
        alias_id as rejected_value,
        reason
    from identities

)

select * from final
