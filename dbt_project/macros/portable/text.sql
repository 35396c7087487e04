{# md5 over columns as text, NULL told apart from empty. #}
{% macro row_fingerprint(columns) -%}
    md5(concat(
        {%- for column in columns -%}
        coalesce(concat('=', cast({{ column }} as {{ dbt.type_string() }})), '-'), '|'{{ ', ' if not loop.last }}
        {%- endfor -%}
    ))
{%- endmacro %}
