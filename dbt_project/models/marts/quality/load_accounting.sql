{%- set tables = [
    'orders', 'order_lines', 'refunds', 'interactions', 'customers', 'wallet_observations', 'identity_map', 'erasures',
] -%}

with loaded_files as (

    select * from {{ source('contract', 'loaded_files') }}

),

filtered_rows as (

    select * from {{ source('contract', 'filtered_rows') }}

),

erased_rows as (

    select * from {{ source('contract', 'erased_rows') }}

),

quarantined as (

    select * from {{ ref('int_rows_quarantined') }}

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
        rows_read,
        cast(0 as bigint) as accepted_count,
        cast(0 as bigint) as quarantined_count,
        cast(0 as bigint) as copy_count,
        cast(0 as bigint) as superseded_count,
        cast(0 as bigint) as filtered_count,
        cast(0 as bigint) as erased_count
    from loaded_files

    union all

    select table_name, load_id, source_file, 0, 0, 0, 0, 0, filtered_count, 0
    from filtered_rows

    union all

    select table_name, load_id, source_file, 0, 0, 0, 0, 0, 0, row_count
    from erased_rows

    union all

    select table_name, load_id, source_file, 0, 0, source_row_count, 0, 0, 0, 0
    from quarantined

    union all

    -- Staging accepted these; the chain of aliases did not.
    select 'identity_map', load_id, source_file, 0, - row_count, 0, 0, 0, 0, 0
    from identities
{%- for table in tables %}

    union all

    select
        '{{ table }}',
        load_id,
        source_file,
        0,
        case when row_status = 'accepted' then source_row_count else 0 end,
        0,
        case when row_status = 'copy' then source_row_count else 0 end,
        case when row_status = 'superseded' then source_row_count else 0 end,
        0,
        0
    from {{ ref('stg_' ~ table ~ '_checked') }}
{%- endfor %}

),

summed as (

    select
        table_name,
        load_id,
        source_file,
        {{ sum_bigint('rows_read') }} as rows_read,
        {{ sum_bigint('accepted_count') }} as accepted_count,
        {{ sum_bigint('quarantined_count') }} as quarantined_count,
        {{ sum_bigint('copy_count') }} as copy_count,
        {{ sum_bigint('superseded_count') }} as superseded_count,
        {{ sum_bigint('filtered_count') }} as filtered_count,
        {{ sum_bigint('erased_count') }} as erased_count
    from fates
    group by
        table_name,
        load_id,
        source_file

),

final as (

    select
        table_name,
        load_id,
        source_file,
        rows_read,
        accepted_count,
        quarantined_count,
        copy_count,
        superseded_count,
        filtered_count,
        erased_count,
        {{ ratio('quarantined_count', 'rows_read') }} as quarantined_share
    from summed

)

select * from final
