{#
  Percentile by linear interpolation of a column over the rows of a partition up to the current one, NULLs left out; in
  decimal(18, 6), because the two engines differ in the last digits of doubles. DuckDB takes half of the time with a
  list: its windowed quantile builds a tree for every partition.
#}
{% macro running_percentile(column, share, partition_by, order_by) -%}
    {{ return(adapter.dispatch('running_percentile')(column, share, partition_by, order_by)) }}
{%- endmacro %}
{% macro default__running_percentile(column, share, partition_by, order_by) -%}
    cast(
        list_aggregate(
            list({{ column }}) over ({{ up_to_here(partition_by, order_by) }}), 'quantile_cont', {{ share }}
        ) as decimal(18, 6)
    )
{%- endmacro %}
{% macro spark__running_percentile(column, share, partition_by, order_by) -%}
    cast(percentile({{ column }}, {{ share }}) over ({{ up_to_here(partition_by, order_by) }}) as decimal(18, 6))
{%- endmacro %}

{% macro up_to_here(partition_by, order_by) -%}
    partition by {{ partition_by }} order by {{ order_by }} rows between unbounded preceding and current row
{%- endmacro %}

{# The same over the rows of a group. #}
{% macro percentile(column, share) -%}
    {{ return(adapter.dispatch('percentile')(column, share)) }}
{%- endmacro %}
{% macro default__percentile(column, share) -%}
    cast(quantile_cont({{ column }}, {{ share }}) as decimal(18, 6))
{%- endmacro %}
{% macro spark__percentile(column, share) -%}
    cast(percentile({{ column }}, {{ share }}) as decimal(18, 6))
{%- endmacro %}
