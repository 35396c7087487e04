{# Name of a period by its grain (a column) and first day: '1997-W03' (ISO week), '1997-01', '1997-Q1'. #}
{% macro period_label(grain_column, start_column) -%}
    {%- set text = dbt.type_string() -%}
    {#- An ISO week belongs to the year of its Thursday. -#}
    {%- set thursday = add_days(start_column, 3) -%}
    case {{ grain_column }}
        when 'week' then cast(year({{ thursday }}) as {{ text }}) || '-W'
            || lpad(cast({{ integer_quotient('dayofyear(' ~ thursday ~ ') - 1', 7) }} + 1 as {{ text }}), 2, '0')
        when 'month' then {{ year_month(start_column) }}
        when 'quarter' then cast(year({{ start_column }}) as {{ text }}) || '-Q'
            || cast({{ integer_quotient('month(' ~ start_column ~ ') - 1', 3) }} + 1 as {{ text }})
    end
{%- endmacro %}
