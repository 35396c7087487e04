{# An end that is not known, as a date: intervals without one are compared like all others. #}
{% macro forever() -%}
    cast('9999-12-31' as date)
{%- endmacro %}

{# First day of the month after that of a date. #}
{% macro next_month_start(date_column) -%}
    {{ add_days('last_day(' ~ date_column ~ ')', 1) }}
{%- endmacro %}

{# Whether a row that is valid from a date, and until another if that is known, is valid on a day. #}
{% macro is_in_force(relation, day) -%}
    ({{ relation }}.valid_from_on <= {{ day }} and coalesce({{ relation }}.valid_to_on, {{ forever() }}) > {{ day }})
{%- endmacro %}
