{#
  Every row of a contract table with its fate: accepted, copy (equal to an accepted one), superseded (replaced by a
  copy with a later updated_at) or quarantined (with column, value and reason).

  table:    contract table; its required columns, rules and key stand under vars.contract.
  relation: CTE or table with the contract's columns; the mapped rows by default.
  rules:    further rules, {condition, column, reason}; a row that meets one is quarantined.
  carried:  further columns of the relation that come out as they are.
#}
{% macro checked_rows(table, relation=none, rules=[], carried=[]) -%}
{%- set contract = var('contract')[table] -%}
{%- set relation = relation or source('contract', table) -%}
{%- set columns = contract.columns.keys() | list -%}
{%- set origin = ['source_file', 'source_row', 'load_id', 'source_row_count'] -%}
with mapped as (

    select * from {{ relation }}
    {%- if is_incremental() %}
    where {{ is_of_touched_file() }}
    {%- endif %}

),

-- A row cannot have happened after the data's end, or after it was loaded; a day is granted for clocks.
load_limits as (

    select
        load_id,
        max({{ business_midnight_utc(add_days(
            "cast('" ~ var('data_end') ~ "' as date)" if var('data_end') else business_date('loaded_at'), 2
        )) }}) as first_future_at
    from {{ source('contract', 'loaded_files') }}
    group by load_id

),

ruled as (

    {%- set all_rules = [] -%}
    {%- for column, meta in contract.columns.items() -%}
        {%- if meta.required -%}
            {%- do all_rules.append({
                'condition': 'mapped.' ~ column ~ ' is null',
                'column': column,
                'reason': 'is required and missing',
            }) -%}
        {%- endif -%}
        {%- if meta.rule == 'not_negative' -%}
            {%- do all_rules.append({
                'condition': 'mapped.' ~ column ~ ' < 0',
                'column': column,
                'reason': 'is negative',
            }) -%}
        {%- elif meta.rule == 'not_in_future' -%}
            {%- do all_rules.append({
                'condition': 'mapped.' ~ column ~ ' >= load_limits.first_future_at',
                'column': column,
                'reason': 'lies in the future, more than a day after the end of the data',
            }) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set all_rules = all_rules + rules %}
    select
        {%- for column in origin + columns + carried %}
        mapped.{{ column }},
        {%- endfor %}
        case
            when mapped.reason is not null then mapped.rejected_column
            {%- for rule in all_rules %}
            when {{ rule.condition }} then '{{ rule.column }}'
            {%- endfor %}
        end as rejected_column,
        case
            when mapped.reason is not null then mapped.rejected_value
            {%- for rule in all_rules %}
            when {{ rule.condition }} then cast(mapped.{{ rule.column }} as {{ dbt.type_string() }})
            {%- endfor %}
        end as rejected_value,
        case
            when mapped.reason is not null then mapped.reason
            {%- for rule in all_rules %}
            when {{ rule.condition }} then '{{ rule.reason }}'
            {%- endfor %}
        end as reason
    from mapped
    left join load_limits
        on mapped.load_id = load_limits.load_id

),

{%- if is_incremental() %}

-- Rows of other files that share a key with a row that came or went are judged again with it.
touched_keys as (

    select {{ contract.key | join(', ') }} from ruled
    union
    select {{ contract.key | join(', ') }} from {{ this }}
    where {{ is_of_touched_file() }}

),

standing as (

    select
        {%- for column in origin + columns + carried %}
        standing.{{ column }},
        {%- endfor %}
        case when not standing.is_conflict then standing.rejected_column end as rejected_column,
        case when not standing.is_conflict then standing.rejected_value end as rejected_value,
        case when not standing.is_conflict then standing.reason end as reason
    from {{ this }} as standing
    inner join touched_keys
        on
            standing.{{ contract.key[0] }} = touched_keys.{{ contract.key[0] }}
        {%- for column in contract.key[1:] %}
            and standing.{{ column }} is not distinct from touched_keys.{{ column }}
        {%- endfor %}
    where not {{ is_of_touched_file() }}

),

candidates as (

    select * from ruled
    union all
    select * from standing

),
{%- else %}

candidates as (

    select * from ruled

),
{%- endif %}

-- Only rows whose key comes twice are compared: a fingerprint of every row would cost more than all else here.
repeated_keys as (

    select {{ contract.key | join(', ') }}
    from candidates
    where reason is null
    group by {{ contract.key | join(', ') }}
    having count(*) > 1

),

repeated as (

    select
        candidates.source_file,
        candidates.source_row,
        {%- for column in contract.key %}
        candidates.{{ column }},
        {%- endfor %}
        candidates.updated_at,
        concat(candidates.source_file, ', row ', cast(candidates.source_row as {{ dbt.type_string() }})) as place,
        {{ row_fingerprint(qualified('candidates', columns)) }} as fingerprint
    from candidates
    inner join repeated_keys
        on
        {%- for column in contract.key %}
            {{ 'and ' if not loop.first }}candidates.{{ column }} is not distinct from repeated_keys.{{ column }}
        {%- endfor %}
    where candidates.reason is null

),

numbered as (

    select
        repeated.*,
        row_number() over (
            partition by {{ contract.key | join(', ') }}, fingerprint
            order by source_file nulls first, source_row nulls first
        ) as copy_number,
        rank() over (
            partition by {{ contract.key | join(', ') }}
            order by updated_at desc nulls last
        ) as recency_rank
    from repeated

),

judged as (

    select
        source_file,
        source_row,
        case
            when copy_number > 1 then 'copy'
            when recency_rank > 1 then 'superseded'
            when latest_count > 1 then 'quarantined'
        end as row_status,
        case
            when copy_number = 1 and recency_rank = 1 and latest_count > 1
                then concat(
                    'two different rows have this key and neither is later by updated_at; the other is ',
                    case when place = first_place then last_place else first_place end
                )
        end as reason
    from (
        select
            numbered.*,
            count(case when copy_number = 1 and recency_rank = 1 then 1 end) over (
                partition by {{ contract.key | join(', ') }}
            ) as latest_count,
            min(case when copy_number = 1 and recency_rank = 1 then place end) over (
                partition by {{ contract.key | join(', ') }}
            ) as first_place,
            max(case when copy_number = 1 and recency_rank = 1 then place end) over (
                partition by {{ contract.key | join(', ') }}
            ) as last_place
        from numbered
    ) as counted

),

final as (

    select
        {%- for column in origin + columns + carried %}
        candidates.{{ column }},
        {%- endfor %}
        case
            when candidates.reason is not null then 'quarantined'
            else coalesce(judged.row_status, 'accepted')
        end as row_status,
        case when judged.reason is not null then '{{ contract.key[0] }}' else candidates.rejected_column end as rejected_column,
        case
            when judged.reason is not null then cast(candidates.{{ contract.key[0] }} as {{ dbt.type_string() }})
            else candidates.rejected_value
        end as rejected_value,
        coalesce(candidates.reason, judged.reason) as reason,
        judged.reason is not null as is_conflict
    from candidates
    -- By equality alone: a condition on one side makes DuckDB compare all rows with all (1.6 million orders, 156 s).
    left join judged
        on
            candidates.source_row = judged.source_row
            and candidates.source_file = judged.source_file

)

select * from final
{%- endmacro %}

{% macro qualified(relation, columns) %}
    {%- set names = [] -%}
    {%- for column in columns -%}{%- do names.append(relation ~ '.' ~ column) -%}{%- endfor -%}
    {{ return(names) }}
{% endmacro %}
