{# In a select list: one row per integer from the first to the last, both included; no row where last < first. #}
{% macro integer_series(first_number, last_number) -%}
    {{ return(adapter.dispatch('integer_series')(first_number, last_number)) }}
{%- endmacro %}
{% macro default__integer_series(first_number, last_number) -%}
    unnest(generate_series({{ first_number }}, {{ last_number }}))
{%- endmacro %}
{# Spark's sequence counts down where last < first: the empty array has to be asked for. #}
{% macro spark__integer_series(first_number, last_number) -%}
    explode(
        case
            when {{ last_number }} >= {{ first_number }} then sequence({{ first_number }}, {{ last_number }})
            else cast(array() as array<bigint>)
        end
    )
{%- endmacro %}
