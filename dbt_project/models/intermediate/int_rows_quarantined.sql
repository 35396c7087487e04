with staged as (

    select * from {{ ref('stg_quarantined_rows') }}

),

in_force as (

    select * from {{ ref('int_identities_in_force') }}

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
        in_force.load_id,
        in_force.source_file,
        in_force.source_row,
        cast(1 as bigint) as source_row_count,
        'alias_id' as rejected_column,
        in_force.alias_id as rejected_value,
        identities.reason
    from in_force
    inner join identities
        on in_force.alias_id = identities.alias_id

)

select * from final
