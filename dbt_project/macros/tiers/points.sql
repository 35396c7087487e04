{#
  What is left of orders' points after the caps of their version, as a subquery of these columns and `capped_points`: no order
  gives more than order_cap, then those of a member and day no more than day_cap, then those of a month no more than
  month_cap, earliest first. Each cap takes the growth of least(cap, running sum), which without a cap, NULL, is the points
  themselves. Orders under neither a day's nor a month's cap are not sorted, which was most of the cost.
#}
{% macro capped_points(relation, points, columns) -%}
{%- set columns = columns | join(', ') -%}
(
    select
        {{ columns }},
        least(order_cap, {{ points }}) as capped_points
    from {{ relation }}
    where coalesce(day_cap, month_cap) is null

    union all

    select
        {{ columns }},
        {{ capped_growth('month_cap', 'month_points', 'of_day_points') }} as capped_points
    from (
        select
            {{ columns }},
            month_cap,
            of_day_points,
            {{ running_points('of_day_points', period_start('month', 'business_date')) }} as month_points
        from (
            select
                {{ columns }},
                month_cap,
                {{ capped_growth('day_cap', 'day_points', 'of_order_points') }} as of_day_points
            from (
                select
                    {{ columns }},
                    day_cap,
                    month_cap,
                    of_order_points,
                    {{ running_points('of_order_points', 'business_date') }} as day_points
                from (
                    select
                        {{ columns }},
                        day_cap,
                        month_cap,
                        least(order_cap, {{ points }}) as of_order_points
                    from {{ relation }}
                    where coalesce(day_cap, month_cap) is not null
                ) as capped_orders
            ) as summed_days
        ) as capped_days
    ) as summed_months
)
{%- endmacro %}

{# How much the last of the points that were summed up adds to the sum under a cap. #}
{% macro capped_growth(cap, total, points) -%}
    least({{ cap }}, {{ total }}) - least({{ cap }}, {{ total }} - {{ points }})
{%- endmacro %}

{% macro running_points(points, period) -%}
    cast(sum({{ points }}) over (
        partition by program_id, customer_id, rule_version, {{ period }}
        order by ordered_at, order_id
        rows between unbounded preceding and current row
    ) as bigint)
{%- endmacro %}

{# Of an order's points, those that stay when so much of what was paid is left. #}
{% macro points_left(points, left_minor, gross_minor) -%}
    {{ integer_quotient_of_product(points, left_minor, gross_minor) }}
{%- endmacro %}

{# A multiplier in thousandths. #}
{% macro thousandths(multiplier) -%}
    coalesce(cast({{ multiplier }} * 1000 as bigint), 1000)
{%- endmacro %}

{# What an entry of the ledger follows from. #}
{% macro points_source(entry_type) -%}
    case {{ entry_type }}
        when 'earned' then 'order'
        when 'reversed' then 'refund'
        when 'expired' then 'expiry'
        else 'interaction'
    end
{%- endmacro %}
