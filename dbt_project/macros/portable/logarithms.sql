{# ln(1 + z) for z ≥ 0, without loss where z is small. #}
{% macro log1p(z) -%}
    (2 * atanh(({{ z }}) / (2 + ({{ z }}))))
{%- endmacro %}

{# 1 − exp(−z) for z ≥ 0, without loss where z is small. #}
{% macro one_minus_exp(z) -%}
    (tanh(({{ z }}) / 2) * (1 + exp(-({{ z }}))))
{%- endmacro %}

{# A number known while compiling, as a double in both engines: 0.1 would be a decimal. #}
{% macro double(number) -%}
    {{ '%.16e' | format(number) }}
{%- endmacro %}
