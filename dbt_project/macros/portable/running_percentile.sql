{#
  Percentile by linear interpolation of a column over the rows of a partition up to the current one, NULLs left out; in
  decimal(18, 6), because the two engines differ in the last digits of doubles.
#}
{% macro running_percentile(column, share, partition_by, order_by) -%}
    cast(
        {{ adapter.dispatch('percentile')(column, share) }} over (
            partition by {{ partition_by }}
            order by {{ order_by }}
            rows between unbounded preceding and current row
        ) as decimal(18, 6)
    )
{%- endmacro %}
{% macro default__percentile(column, share) -%}
    quantile_cont({{ column }}, {{ share }})
{%- endmacro %}
{% macro spark__percentile(column, share) -%}
    percentile({{ column }}, {{ share }})
{%- endmacro %}
