{# A threshold in whole days, rounded up, within the bounds that every threshold keeps to. #}
{% macro clamped_threshold(days) -%}
    cast(
        greatest({{ var('churn_floor_days') }}, least({{ var('churn_cap_days') }}, ceil({{ days }}))) as bigint
    )
{%- endmacro %}
