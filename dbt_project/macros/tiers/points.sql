{#
  What is left of orders' points after the caps of their version, as a subquery with a column `capped_points` beside those of
  the relation: no order gives more than order_cap, then those of a member and day no more than day_cap, then those of
  a month no more than month_cap, earliest first. Each cap takes the growth of least(cap, running sum). Without a cap, NULL,
  least() is the running sum itself.
#}
{% macro capped_points(relation, points) -%}
(
    select
        *,
        least(month_cap, month_points) - least(month_cap, month_points - of_day_points) as capped_points
    from (
        select
            *,
            cast(sum(of_day_points) over (
                partition by program_id, customer_id, rule_version, {{ period_start('month', 'business_date') }}
                order by ordered_at, order_id
                rows between unbounded preceding and current row
            ) as bigint) as month_points
        from (
            select
                *,
                least(day_cap, day_points) - least(day_cap, day_points - of_order_points) as of_day_points
            from (
                select
                    *,
                    cast(sum(of_order_points) over (
                        partition by program_id, customer_id, rule_version, business_date
                        order by ordered_at, order_id
                        rows between unbounded preceding and current row
                    ) as bigint) as day_points
                from (
                    select
                        *,
                        least(order_cap, {{ points }}) as of_order_points
                    from {{ relation }}
                ) as orders_capped
            ) as of_days
        ) as days_capped
    ) as of_months
)
{%- endmacro %}

{# Of an order's points, those that stay when so much of what was paid is left. #}
{% macro points_left(points, left_minor, gross_minor) -%}
    {{ integer_quotient(points ~ ' * ' ~ left_minor, gross_minor) }}
{%- endmacro %}

{# A multiplier in thousandths. #}
{% macro thousandths(multiplier) -%}
    coalesce(cast({{ multiplier }} * 1000 as bigint), 1000)
{%- endmacro %}
