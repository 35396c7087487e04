{# An end that is not known, as a date: intervals without one are compared like all others. #}
{% macro forever() -%}
    cast('9999-12-31' as date)
{%- endmacro %}

{# First day of the month after that of a date. #}
{% macro next_month_start(date_column) -%}
    {{ add_days('last_day(' ~ date_column ~ ')', 1) }}
{%- endmacro %}

{# Whether a day is within an interval, from a date and until another, exclusive, if that is known. #}
{% macro is_within(day, from_on, until_on) -%}
    ({{ from_on }} <= {{ day }} and coalesce({{ until_on }}, {{ forever() }}) > {{ day }})
{%- endmacro %}
