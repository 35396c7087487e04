with rows_accounted as (

    select * from {{ ref('int_rows_accounted') }}

),

fates as (

    select
        table_name,
        load_id,
        source_file,
        {%- for fate in ['read', 'accepted', 'quarantined', 'copy', 'superseded', 'filtered', 'erased'] %}
        {{ sum_bigint("case when fate = '" ~ fate ~ "' then row_count else 0 end") }} as {{ fate }}_count
        {{- ',' if not loop.last }}
        {%- endfor %}
    from rows_accounted
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
        read_count as rows_read,
        accepted_count,
        quarantined_count,
        copy_count,
        superseded_count,
        filtered_count,
        erased_count,
        {{ ratio('quarantined_count', 'read_count') }} as quarantined_share
    from fates

)

select * from final
