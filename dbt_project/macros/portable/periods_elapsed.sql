{#
  Periods from a start date to a later date; the index k of the period that holds the later date.
  calendar: boundaries between weeks (Monday), months or quarters that were crossed.
  rolling:  whole periods since the start date itself: period k is [start + k, start + k + 1), a week being 7 days. A day
            that the target month lacks is its last day (31 January + 1 month = 28 February), as in add_months;
            in integers, because a date addition per purchase is several times as slow.
#}
{% macro periods_elapsed(grain, mode, start_column, date_column) -%}
    {%- if mode == 'calendar' -%}
        ({{ period_number(grain, date_column) }} - {{ period_number(grain, start_column) }})
    {%- elif grain == 'week' -%}
        {{ integer_quotient(days_between(start_column, date_column), 7) }}
    {%- elif grain == 'month' -%}
        cast({{ whole_months_between(start_column, date_column) }} as bigint)
    {%- else -%}
        cast({{ integer_quotient(whole_months_between(start_column, date_column), 3) }} as bigint)
    {%- endif -%}
{%- endmacro %}

{% macro whole_months_between(start_column, date_column) -%}
    (
        {{ month_number(date_column) }} - {{ month_number(start_column) }}
        - case
            when day({{ start_column }}) > day({{ date_column }})
                and {{ date_column }} <> last_day({{ date_column }}) then 1
            else 0
        end
    )
{%- endmacro %}
