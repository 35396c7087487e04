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

rejected_rows as (

    select * from {{ source('contract', 'rejected_rows') }}

),

final as (

    select
        table_name,
        load_id,
        source_file,
        'read' as fate,
        rows_read as row_count
    from loaded_files

    union all

    select
        table_name,
        load_id,
        source_file,
        'filtered' as fate,
        filtered_count as row_count
    from filtered_rows

    union all

    select
        table_name,
        load_id,
        source_file,
        'erased' as fate,
        row_count
    from erased_rows

    union all

    select
        table_name,
        load_id,
        source_file,
        'quarantined' as fate,
        1 as row_count
    from rejected_rows
{%- for table in tables %}

    union all

    select
        '{{ table }}' as table_name,
        load_id,
        source_file,
        row_status as fate,
        source_row_count as row_count
    from {{ ref('stg_' ~ table ~ '_checked') }}
{%- endfor %}

)

select * from final
