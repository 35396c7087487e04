{# A sum of a metric as an amount: money in the reporting currency, what is counted as it is. #}
{% macro metric_amount(metric, units) -%}
    case when {{ metric }} = 'spend' then {{ to_amount(units) }} else cast({{ units }} as decimal(18, 2)) end
{%- endmacro %}
