{# Calendar arithmetic on DATE columns. DuckDB by default, `spark__` beside it where the dialects differ. #}

{# Calendar date of a UTC timestamp in the business time zone. #}
{% macro business_date(timestamp_column) -%}
    {%- if var('business_timezone') == 'UTC' -%}
        cast({{ timestamp_column }} as date)
    {%- else -%}
        {{ return(adapter.dispatch('business_date')(timestamp_column)) }}
    {%- endif -%}
{%- endmacro %}
{% macro default__business_date(timestamp_column) -%}
    cast(timezone('{{ var("business_timezone") }}', timezone('UTC', {{ timestamp_column }})) as date)
{%- endmacro %}
{% macro spark__business_date(timestamp_column) -%}
    to_date(from_utc_timestamp({{ timestamp_column }}, '{{ var("business_timezone") }}'))
{%- endmacro %}

{# The UTC timestamp at which a date begins in the business time zone. #}
{% macro business_midnight_utc(date_column) -%}
    {%- if var('business_timezone') == 'UTC' -%}
        cast({{ date_column }} as timestamp)
    {%- else -%}
        {{ return(adapter.dispatch('business_midnight_utc')(date_column)) }}
    {%- endif -%}
{%- endmacro %}
{% macro default__business_midnight_utc(date_column) -%}
    timezone('UTC', timezone('{{ var("business_timezone") }}', cast({{ date_column }} as timestamp)))
{%- endmacro %}
{% macro spark__business_midnight_utc(date_column) -%}
    to_utc_timestamp(cast({{ date_column }} as timestamp), '{{ var("business_timezone") }}')
{%- endmacro %}

{# First day of the week (Monday), month, quarter or year of a date. #}
{% macro period_start(grain, date_column) -%}
    cast(date_trunc('{{ grain }}', {{ date_column }}) as date)
{%- endmacro %}

{% macro add_days(date_column, days) -%}
    {{ return(adapter.dispatch('add_days')(date_column, days)) }}
{%- endmacro %}
{% macro default__add_days(date_column, days) -%}
    ({{ date_column }} + cast({{ days }} as integer))
{%- endmacro %}
{% macro spark__add_days(date_column, days) -%}
    date_add({{ date_column }}, cast({{ days }} as int))
{%- endmacro %}

{# A day that the target month lacks becomes its last day, on both engines. #}
{% macro add_months(date_column, months) -%}
    {{ return(adapter.dispatch('add_months')(date_column, months)) }}
{%- endmacro %}
{% macro default__add_months(date_column, months) -%}
    cast({{ date_column }} + to_months(cast({{ months }} as integer)) as date)
{%- endmacro %}
{% macro spark__add_months(date_column, months) -%}
    add_months({{ date_column }}, cast({{ months }} as int))
{%- endmacro %}

{# Whole days from the first date to the second. #}
{% macro days_between(from_date, to_date) -%}
    {{ return(adapter.dispatch('days_between')(from_date, to_date)) }}
{%- endmacro %}
{% macro default__days_between(from_date, to_date) -%}
    cast({{ to_date }} - {{ from_date }} as bigint)
{%- endmacro %}
{% macro spark__days_between(from_date, to_date) -%}
    cast(datediff({{ to_date }}, {{ from_date }}) as bigint)
{%- endmacro %}

{# Months since year 0: consecutive months differ by 1, so that ranges can run over integers. #}
{% macro month_number(date_column) -%}
    (cast(year({{ date_column }}) as integer) * 12 + cast(month({{ date_column }}) as integer) - 1)
{%- endmacro %}

{# 'yyyy-mm' of a date. #}
{% macro year_month(date_column) -%}
    substring(cast({{ date_column }} as {{ dbt.type_string() }}), 1, 7)
{%- endmacro %}

{# 1 = Monday … 7 = Sunday. #}
{% macro iso_weekday(date_column) -%}
    {{ return(adapter.dispatch('iso_weekday')(date_column)) }}
{%- endmacro %}
{% macro default__iso_weekday(date_column) -%}
    cast(isodow({{ date_column }}) as integer)
{%- endmacro %}
{% macro spark__iso_weekday(date_column) -%}
    (weekday({{ date_column }}) + 1)
{%- endmacro %}

{# One row per day from the first date to the second, both included, in a column `day`. The bounds are scalar subqueries or literals. #}
{% macro day_spine(from_date, to_date) -%}
    {{ return(adapter.dispatch('day_spine')(from_date, to_date)) }}
{%- endmacro %}
{% macro default__day_spine(from_date, to_date) -%}
    select cast(unnest(generate_series({{ from_date }}, {{ to_date }}, interval 1 day)) as date) as day
{%- endmacro %}
{% macro spark__day_spine(from_date, to_date) -%}
    select explode(sequence({{ from_date }}, {{ to_date }}, interval 1 day)) as day
{%- endmacro %}
