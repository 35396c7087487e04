{# Whole-number quotient of two non-negative integers: DuckDB's `/` gives a double, Spark knows no `//`. #}
{% macro integer_quotient(numerator, denominator) -%}
    {{ return(adapter.dispatch('integer_quotient')(numerator, denominator)) }}
{%- endmacro %}
{% macro default__integer_quotient(numerator, denominator) -%}
    (({{ numerator }}) // ({{ denominator }}))
{%- endmacro %}
{% macro spark__integer_quotient(numerator, denominator) -%}
    (({{ numerator }}) div ({{ denominator }}))
{%- endmacro %}
