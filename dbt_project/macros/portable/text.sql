{# md5 over columns as text, NULL told apart from empty. #}
{% macro row_fingerprint(columns) -%}
    md5(concat(
        {%- for column in columns -%}
        coalesce(concat('=', cast({{ column }} as {{ dbt.type_string() }})), '-'), '|'{{ ', ' if not loop.last }}
        {%- endfor -%}
    ))
{%- endmacro %}

{# The same as a BIGINT, of its first 60 bits: for groups by texts that are few, as groups by one integer. 0 for no columns. #}
{% macro integer_key(columns) -%}
    {{ return(adapter.dispatch('integer_key')(columns) if columns else 'cast(0 as bigint)') }}
{%- endmacro %}
{% macro default__integer_key(columns) -%}
    cast(concat('0x', substring({{ row_fingerprint(columns) }}, 1, 15)) as bigint)
{%- endmacro %}
{% macro spark__integer_key(columns) -%}
    cast(conv(substring({{ row_fingerprint(columns) }}, 1, 15), 16, 10) as bigint)
{%- endmacro %}
