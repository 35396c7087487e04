{# The days ahead that are forecast, and compared with what came; columns of marts are named after them. #}
{% macro forecast_horizon_days() -%}
    {{ return([30, 90, 180, 365]) }}
{%- endmacro %}

{# Whether a date is one of the last so many days up to a date, `until` days before it left out. #}
{% macro is_of_last_days(date_column, up_to, days, until=0) -%}
    {{ date_column }} > {{ add_days(up_to, -days) }}
    {%- if until %} and {{ date_column }} <= {{ add_days(up_to, -until) }}{% endif -%}
{%- endmacro %}
