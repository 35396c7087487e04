{#
  Number of the calendar period (week, month, quarter) that holds a date. Consecutive periods differ by 1, so that
  "the period before" and "k periods later" are integer arithmetic. Weeks count from Monday, 1 January of the year 1.
#}
{% macro period_number(grain, date_column) -%}
    {%- if grain == 'week' -%}
        {{ integer_quotient(days_between("cast('0001-01-01' as date)", date_column), 7) }}
    {%- elif grain == 'month' -%}
        cast({{ month_number(date_column) }} as bigint)
    {%- elif grain == 'quarter' -%}
        cast({{ integer_quotient(month_number(date_column), 3) }} as bigint)
    {%- else -%}
        {{ exceptions.raise_compiler_error("period_number: unknown grain '" ~ grain ~ "'") }}
    {%- endif -%}
{%- endmacro %}

{# First day of the period with that number, the grain being a column. #}
{% macro period_number_start(grain_column, number_column) -%}
    case {{ grain_column }}
        when 'week' then {{ add_days("cast('0001-01-01' as date)", number_column ~ ' * 7') }}
        when 'month' then {{ add_months("cast('0001-01-01' as date)", number_column ~ ' - 12') }}
        when 'quarter' then {{ add_months("cast('0001-01-01' as date)", number_column ~ ' * 3 - 12') }}
    end
{%- endmacro %}
