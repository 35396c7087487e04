{%- set tables = [
    'orders', 'order_lines', 'refunds', 'interactions', 'customers', 'wallet_observations', 'identity_map', 'erasures',
] -%}

with rejected_rows as (

    select * from {{ source('contract', 'rejected_rows') }}

),

final as (

    select
        table_name,
        load_id,
        source_file,
        source_row,
        cast(1 as bigint) as source_row_count,
        rejected_column,
        rejected_value,
        reason
    from rejected_rows
{%- for table in tables %}

    union all

    select
        '{{ table }}' as table_name,
        load_id,
        source_file,
        source_row,
        source_row_count,
        rejected_column,
        rejected_value,
        reason
    from {{ ref('stg_' ~ table ~ '_checked') }}
    where row_status = 'quarantined'
{%- endfor %}

)

select * from final
