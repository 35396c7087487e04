with staged as (

    select * from {{ ref('stg_rows_accounted') }}

),

in_force as (

    select * from {{ ref('int_identities_in_force') }}

),

identities as (

    select * from {{ ref('int_identities_resolved') }}
    where reason is not null

),

rejected as (

    select
        in_force.load_id,
        in_force.source_file
    from in_force
    inner join identities
        on in_force.alias_id = identities.alias_id

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
        -1 as row_count
    from rejected

    union all

    select
        'identity_map' as table_name,
        load_id,
        source_file,
        'quarantined' as fate,
        1 as row_count
    from rejected

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
