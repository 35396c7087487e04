{# Numerator ÷ denominator as a double; NULL where the denominator is NULL or 0. #}
{% macro ratio(numerator, denominator) -%}
    (cast({{ numerator }} as double) / nullif(cast({{ denominator }} as double), 0))
{%- endmacro %}

{# The same from 0 to 1, where refunds make the part negative or more than the whole; NULL where that is not above 0. #}
{% macro share_of(part, whole) -%}
    case when {{ whole }} > 0 and {{ part }} is not null then least(greatest({{ ratio(part, whole) }}, 0), 1) end
{%- endmacro %}

{# Money is summed as BIGINT minor units: sums over DECIMAL widen to 128 bits and took 40 times as long. #}
{% macro to_minor(amount) -%}
    cast({{ amount }} * 100 as bigint)
{%- endmacro %}

{# Minor units back to DECIMAL(18,2), without a detour over floating point. #}
{% macro to_amount(minor) -%}
    cast(cast({{ minor }} as decimal(18, 0)) * cast(0.01 as decimal(3, 2)) as decimal(18, 2))
{%- endmacro %}

{# Sum of integers as BIGINT: DuckDB's own sum is HUGEINT. #}
{% macro sum_bigint(column) -%}
    cast(sum({{ column }}) as bigint)
{%- endmacro %}

{# The same over the rows that meet a condition; 0 where none does. #}
{% macro sum_where(column, condition) -%}
    cast(sum(case when {{ condition }} then {{ column }} else 0 end) as bigint)
{%- endmacro %}

{# The same, NULL where one of them is: a sum of which a part is not known is not known. #}
{% macro sum_known(column, condition='true') -%}
    case
        when count(case when {{ condition }} and {{ column }} is null then 1 end) = 0
            then {{ sum_where(column, condition) }}
    end
{%- endmacro %}

{# An amount in minor units of the reporting currency, rounded half away from zero; NULL where unknown. #}
{% macro converted_minor(amount, exchange_rate) -%}
    cast(cast(round({{ amount }} * {{ exchange_rate }}, 2) as decimal(18, 2)) * 100 as bigint)
{%- endmacro %}
