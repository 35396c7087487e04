{# The sum that a metric stands for, of the columns spend_minor, order_count, purchase_day_count and point_count. #}
{% macro metric_units(metric, columns) -%}
    case {{ metric }}
        when 'spend' then {{ columns }}spend_minor
        when 'orders' then {{ columns }}order_count
        when 'purchase_days' then {{ columns }}purchase_day_count
        when 'points' then {{ columns }}point_count
    end
{%- endmacro %}

{# A sum of a metric as an amount: money in the reporting currency, what is counted as it is. #}
{% macro metric_amount(metric, units) -%}
    case when {{ metric }} = 'spend' then {{ to_amount(units) }} else cast({{ units }} as decimal(18, 2)) end
{%- endmacro %}
