{# ln(1 + z) for z ≥ 0, without loss where z is small. #}
{% macro log1p(z) -%}
    (2 * atanh(({{ z }}) / (2 + ({{ z }}))))
{%- endmacro %}

{# A number known while compiling, as a double in both engines: 0.1 would be a decimal. #}
{% macro double(number) -%}
    {{ '%.16e' | format(number) }}
{%- endmacro %}
