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

{# The same of a product and a summand, of which only the quotient need fit a BIGINT. #}
{% macro integer_quotient_of_product(factor, other_factor, denominator, summand=0) -%}
    {{ return(adapter.dispatch('integer_quotient_of_product')(factor, other_factor, denominator, summand)) }}
{%- endmacro %}
{% macro default__integer_quotient_of_product(factor, other_factor, denominator, summand) -%}
    cast((cast({{ factor }} as hugeint) * ({{ other_factor }}) + {{ summand }}) // ({{ denominator }}) as bigint)
{%- endmacro %}
{% macro spark__integer_quotient_of_product(factor, other_factor, denominator, summand) -%}
    ((cast({{ factor }} as decimal(19, 0)) * cast({{ other_factor }} as decimal(18, 0)) + {{ summand }}) div ({{ denominator }}))
{%- endmacro %}
