{# Whether wallets that nobody observed are modelled: not where order lines are a panel's, for then all are observed. #}
{% macro wallets_are_modelled() -%}
    {{ return(var('wallet_quantile') and not var('panel_period')) }}
{%- endmacro %}

{# Of a row of `population` in int_wallet_features, whether a day is of the period and known … #}
{% macro is_of_period(day) -%}
    {{ day }} >= population.period_start_on and {{ day }} <= population.known_until_on
{%- endmacro %}

{# … is one of as many days before the period as it has itself … #}
{% macro is_of_period_before(day) -%}
    {{ day }} > {{ add_days('population.before_on', '-population.period_days') }} and {{ day }} <= population.before_on
{%- endmacro %}

{# … or one of the year before it. #}
{% macro is_of_year_before(day) -%}
    {{ is_of_last_days(day, 'population.before_on', 365) }} and {{ day }} <= population.before_on
{%- endmacro %}
