{#
  Scores of purchase histories by fitted models, in closed form. Where the literature has a hypergeometric function, the mean that
  it stands for is summed over the nodes of a quadrature, which come with the fit (orchestration/lib/forecast). The mean of
  BG/NBD depends on x and T alone, of which there are few pairs, however many customers there are.

  histories   relation: as_of_on, customer_id, repeat_count x, span_days t_x, tenure_days T
  parameters  relation: as_of_on, model_id, model_family (bg_nbd, pareto_nbd), r, alpha, a, b, s, beta; time in weeks
  nodes       relation: as_of_on, model_id, repeat_count, from_tenure_days, value, weight

  A subquery with one row per history and model fitted as of its date: as_of_on, customer_id, model_id, p_alive,
  expected_purchases_<days>d for each of horizon_days, and discounted_purchases: those of the next `months` months
  (of 365 ÷ 12 days), each month's discounted from its end. An x without nodes has no row.
#}
{% macro purchase_scores(histories, parameters, nodes, horizon_days, months, annual_discount_rate) -%}
    (
        with bg_nbd_pairs as (

            select
                histories.as_of_on,
                histories.repeat_count,
                histories.tenure_days,
                {{ tenure_class('histories.tenure_days') }} as from_tenure_days,
                parameters.model_id,
                parameters.a,
                parameters.b,
                parameters.alpha,
                parameters.r + histories.repeat_count as purchases,
                parameters.alpha + {{ weeks('histories.tenure_days') }} as time
            from (select distinct as_of_on, repeat_count, tenure_days from {{ histories }}) as histories
            inner join {{ parameters }} as parameters
                on histories.as_of_on = parameters.as_of_on
            where parameters.model_family = 'bg_nbd'

        ),

        -- What somebody alive buys, as a mean over the drop-out probability p (the nodes' value).
        bg_nbd_means as (

            select
                pairs.as_of_on,
                pairs.model_id,
                pairs.repeat_count,
                pairs.tenure_days,
                max(pairs.a) as a,
                max(pairs.b) as b,
                max(pairs.alpha) as alpha,
                max(pairs.purchases) as purchases,
                max(pairs.time) as time,
                {{ forecast_columns(bg_nbd_purchases_at_node, horizon_days, months, annual_discount_rate, is_mean=true) }}
            from bg_nbd_pairs as pairs
            inner join {{ nodes }} as nodes
                on
                    pairs.as_of_on = nodes.as_of_on
                    and pairs.model_id = nodes.model_id
                    and pairs.repeat_count = nodes.repeat_count
                    and pairs.from_tenure_days = nodes.from_tenure_days
            group by
                pairs.as_of_on,
                pairs.model_id,
                pairs.repeat_count,
                pairs.tenure_days

        ),

        bg_nbd as (

            select
                histories.as_of_on,
                histories.customer_id,
                means.model_id,
                case
                    when histories.repeat_count = 0 then 1
                    else 1 / (1 + exp(least(
                        ln(means.a / (means.b + histories.repeat_count - 1))
                        + means.purchases * ln(means.time / (means.alpha + {{ weeks('histories.span_days') }})), 700
                    )))
                end as p_alive,
                {{ forecast_names(horizon_days, 'means.') }}
            from {{ histories }} as histories
            inner join bg_nbd_means as means
                on
                    histories.as_of_on = means.as_of_on
                    and histories.repeat_count = means.repeat_count
                    and histories.tenure_days = means.tenure_days

        ),

        -- When somebody left who has left, as a sum over times between t_x and T: see pareto_nbd.leaving.
        pareto_nbd_spans as (

            select
                histories.as_of_on,
                histories.repeat_count,
                histories.span_days,
                histories.tenure_days,
                {{ tenure_class('histories.tenure_days') }} as from_tenure_days,
                parameters.model_id,
                parameters.s,
                parameters.r + histories.repeat_count as purchases,
                parameters.alpha + {{ weeks('histories.span_days') }} as alpha_span,
                parameters.alpha + {{ weeks('histories.tenure_days') }} as alpha_tenure,
                parameters.beta + {{ weeks('histories.span_days') }} as beta_span,
                parameters.beta + {{ weeks('histories.tenure_days') }} as beta_tenure,
                parameters.alpha - least(parameters.alpha, parameters.beta) as alpha_rest,
                parameters.beta - least(parameters.alpha, parameters.beta) as beta_rest
            from (select distinct as_of_on, repeat_count, span_days, tenure_days from {{ histories }}) as histories
            inner join {{ parameters }} as parameters
                on histories.as_of_on = parameters.as_of_on
            where parameters.model_family = 'pareto_nbd'

        ),

        pareto_nbd_bounds as (

            select
                *,
                least(alpha_span, beta_span) as first_time,
                ln(least(
                    least(alpha_tenure, beta_tenure),
                    least(alpha_span, beta_span) + alpha_span * (exp(least(40 / purchases, 700)) - 1)
                ) / least(alpha_span, beta_span)) as length
            from pareto_nbd_spans

        ),

        pareto_nbd_times as (

            select
                bounds.*,
                nodes.weight,
                bounds.first_time * exp(bounds.length * nodes.value) as time
            from pareto_nbd_bounds as bounds
            inner join {{ nodes }} as nodes
                on
                    bounds.as_of_on = nodes.as_of_on
                    and bounds.model_id = nodes.model_id
                    and bounds.repeat_count = nodes.repeat_count
                    and bounds.from_tenure_days = nodes.from_tenure_days

        ),

        pareto_nbd_means as (

            select
                as_of_on,
                model_id,
                repeat_count,
                span_days,
                tenure_days,
                max(s) as s,
                max(purchases) as purchases,
                max(alpha_tenure) as alpha_tenure,
                max(beta_tenure) as beta_tenure,
                1 / (1 + sum(weight * time * exp(
                    -purchases * ln((alpha_rest + time) / alpha_span) - (s + 1) * ln((beta_rest + time) / beta_span)
                )) * max(
                    s * length / beta_span
                    * exp(least(purchases * ln(alpha_tenure / alpha_span) + s * ln(beta_tenure / beta_span), 700))
                )) as p_alive
            from pareto_nbd_times
            group by
                as_of_on,
                model_id,
                repeat_count,
                span_days,
                tenure_days

        ),

        pareto_nbd as (

            select
                histories.as_of_on,
                histories.customer_id,
                means.model_id,
                means.p_alive,
                {{ forecast_columns(pareto_nbd_purchases, horizon_days, months, annual_discount_rate) }}
            from {{ histories }} as histories
            inner join pareto_nbd_means as means
                on
                    histories.as_of_on = means.as_of_on
                    and histories.repeat_count = means.repeat_count
                    and histories.span_days = means.span_days
                    and histories.tenure_days = means.tenure_days

        ),

        of_somebody_alive as (

            select * from bg_nbd
            union all
            select * from pareto_nbd

        )

        select
            as_of_on,
            customer_id,
            model_id,
            p_alive,
            {%- for days in horizon_days %}
            p_alive * purchases_{{ days }}d as expected_purchases_{{ days }}d,
            {%- endfor %}
            p_alive * discounted_purchases as discounted_purchases
        from of_somebody_alive
    )
{%- endmacro %}

{# Lower bound of the class of tenures that share the nodes of a quadrature: scoring.TENURE_CLASSES. #}
{% macro tenure_class(tenure_days) -%}
    case when {{ tenure_days }} < 90 then 0 when {{ tenure_days }} < 365 then 90 else 365 end
{%- endmacro %}

{% macro weeks(days) -%}
    cast({{ days }} as double) / 7
{%- endmacro %}

{% macro forecast_names(horizon_days, prefix='') -%}
    {%- for days in horizon_days -%}
    {{ prefix }}purchases_{{ days }}d,
    {% endfor -%}
    {{ prefix }}discounted_purchases
{%- endmacro %}

{#
  The columns purchases_<days>d and discounted_purchases of somebody alive, from a macro that gives the purchases within so many
  weeks, at a node of a quadrature or as such. What is discounted is a sum over months of the purchases until then
  times the step in the discount.
#}
{% macro forecast_columns(purchases, horizon_days, months, annual_discount_rate, is_mean=false) -%}
    {%- set terms = [] -%}
    {%- for month in range(1, months + 1) -%}
        {%- set discount = (1 + annual_discount_rate) ** (-month / 12) -%}
        {%- set later = (1 + annual_discount_rate) ** (-(month + 1) / 12) if month < months else 0 -%}
        {%- do terms.append(double(discount - later) ~ ' * ' ~ purchases(double(month * 365 / 84))) -%}
    {%- endfor -%}
    {%- set open = 'sum(nodes.weight * (' if is_mean else '(' -%}
    {%- set close = '))' if is_mean else ')' -%}
    {%- for days in horizon_days -%}
    {{ open }}{{ purchases(double(days / 7)) }}{{ close }} as purchases_{{ days }}d,
    {% endfor -%}
    {{ open }}{{ terms | join(' + ') }}{{ close }} as discounted_purchases
{%- endmacro %}

{# Nodes are not so near to 0 that the difference would lose more than the last digits. #}
{% macro bg_nbd_purchases_at_node(weeks) -%}
    (1 - power(pairs.time / (pairs.time + nodes.value * {{ weeks }}), pairs.purchases)) / nodes.value
{%- endmacro %}

{# At s = 1 the weeks that somebody stays are ln(1 + t ÷ (β + T)). #}
{% macro pareto_nbd_purchases(weeks) -%}
    {%- set beyond = log1p(weeks ~ ' / means.beta_tenure') -%}
    means.purchases / means.alpha_tenure * means.beta_tenure * case
        when abs(means.s - 1) < 1e-9 then {{ beyond }}
        else (1 - exp((1 - means.s) * {{ beyond }})) / (means.s - 1)
    end
{%- endmacro %}
