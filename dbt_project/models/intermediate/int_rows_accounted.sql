with staged as (

    select * from {{ ref('stg_rows_accounted') }}

),

identities as (

    select * from {{ ref('int_identities_resolved') }}
    where reason is not null

),

fates as (

    select
        table_name,
        load_id,
        source_file,
        fate,
        row_count
    from staged

    union all

    -- Staging accepted these; the chain of aliases did not.
    select
        'identity_map' as table_name,
        load_id,
        source_file,
        'accepted' as fate,
        - row_count as row_count
    from identities

    union all

    select
        'identity_map' as table_name,
        load_id,
        source_file,
        'quarantined' as fate,
        row_count
    from identities

),

final as (

    select
        table_name,
        load_id,
        source_file,
        fate,
        {{ sum_bigint('row_count') }} as row_count
    from fates
    group by
        table_name,
        load_id,
        source_file,
        fate

)

select * from final
