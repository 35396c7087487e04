{#
  Scores of purchase histories by fitted models, in closed form. Where the literature has a hypergeometric function, the mean that
  it stands for is summed over the nodes of a quadrature, which the fit has chosen (orchestration/lib/forecast). The mean of
  BG/NBD depends on x and T alone, of which there are few pairs, however many customers.

  histories   relation: as_of_on, repeat_count x, span_days t_x, tenure_days T; repeated histories are scored once
  parameters  relation: as_of_on, model_id, model_family (bg_nbd, pareto_nbd), r, alpha, a, b, s, beta; time in weeks
  nodes       relation: as_of_on, model_id, node, value, weight, log_survival

  A subquery with one row per model and distinct history: as_of_on, model_id, repeat_count, span_days, tenure_days, p_alive,
  expected_purchases_<days>d for each of horizon_days, and discounted_purchases: those of the next `months`
  months (of 365 ÷ 12 days), each month's discounted from its end.
#}
{% macro purchase_scores(histories, parameters, nodes, horizon_days, months, annual_discount_rate) -%}
    {%- set names = [] -%}
    {%- for days in horizon_days -%}
        {%- do names.append('purchases_' ~ days ~ 'd') -%}
    {%- endfor -%}
    (
        with distinct_histories as (

            select distinct
                as_of_on,
                repeat_count,
                span_days,
                tenure_days
            from {{ histories }}

        ),

        scored as (

            select
                distinct_histories.as_of_on,
                distinct_histories.repeat_count,
                distinct_histories.span_days,
                distinct_histories.tenure_days,
                parameters.model_id,
                parameters.model_family,
                parameters.r,
                parameters.alpha,
                parameters.a,
                parameters.b,
                parameters.s,
                parameters.beta,
                cast(distinct_histories.repeat_count as double) as x,
                cast(distinct_histories.span_days as double) / 7 as span,
                cast(distinct_histories.tenure_days as double) / 7 as tenure
            from distinct_histories
            inner join {{ parameters }} as parameters
                on distinct_histories.as_of_on = parameters.as_of_on
            where parameters.model_family in ('bg_nbd', 'pareto_nbd')

        ),

        -- BG/NBD: what somebody alive buys, as a mean over the drop-out probability p (the nodes' value).
        pairs as (

            select distinct
                as_of_on,
                model_id,
                repeat_count,
                tenure_days,
                r + x as purchases,
                x,
                alpha + tenure as time
            from scored
            where model_family = 'bg_nbd'

        ),

        bg_nbd_alive as (

            select
                pairs.as_of_on,
                pairs.model_id,
                pairs.repeat_count,
                pairs.tenure_days,
                {{ forecast_columns('bg_nbd_purchases_at_node', horizon_days, months, annual_discount_rate, mean=true) }}
            from pairs
            inner join (
                select
                    as_of_on,
                    model_id,
                    value,
                    weight,
                    log_survival
                from {{ nodes }}
            ) as nodes
                on
                    pairs.as_of_on = nodes.as_of_on
                    and pairs.model_id = nodes.model_id
            group by
                pairs.as_of_on,
                pairs.model_id,
                pairs.repeat_count,
                pairs.tenure_days

        ),

        bg_nbd as (

            select
                scored.as_of_on,
                scored.model_id,
                scored.repeat_count,
                scored.span_days,
                scored.tenure_days,
                case
                    when scored.repeat_count = 0 then 1
                    else 1 / (1 + exp(least(
                        ln(scored.a) - ln(scored.b + scored.x - 1)
                        + (scored.r + scored.x) * ln((scored.alpha + scored.tenure) / (scored.alpha + scored.span)), 700
                    )))
                end as p_alive,
                {% for name in names %}
                bg_nbd_alive.{{ name }},
                {% endfor %}
                bg_nbd_alive.discounted_purchases
            from scored
            inner join bg_nbd_alive
                on
                    scored.as_of_on = bg_nbd_alive.as_of_on
                    and scored.model_id = bg_nbd_alive.model_id
                    and scored.repeat_count = bg_nbd_alive.repeat_count
                    and scored.tenure_days = bg_nbd_alive.tenure_days

        ),

        -- Pareto/NBD: when somebody left who has left, as a sum over times between t_x and T. See pareto_nbd.leaving.
        pareto_nbd_spans as (

            select
                *,
                least(alpha, beta) as base,
                ln(
                    (
                        least(alpha, beta) + least(
                            tenure,
                            span + (alpha + span) * (exp(least(40 / (r + x), 700)) - 1)
                        )
                    ) / (least(alpha, beta) + span)
                ) as length
            from scored
            where model_family = 'pareto_nbd'

        ),

        pareto_nbd_times as (

            select
                spans.*,
                nodes.weight,
                (spans.base + spans.span) * exp(spans.length * nodes.value) as time
            from pareto_nbd_spans as spans
            inner join {{ nodes }} as nodes
                on
                    spans.as_of_on = nodes.as_of_on
                    and spans.model_id = nodes.model_id

        ),

        pareto_nbd_left as (

            select
                as_of_on,
                model_id,
                repeat_count,
                span_days,
                tenure_days,
                max(s * length / (beta + span)) * sum(
                    weight * time * exp(
                        -(r + x) * ln((alpha - base + time) / (alpha + span))
                        - (s + 1) * ln((beta - base + time) / (beta + span))
                    )
                ) as left_after_span
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
                scored.as_of_on,
                scored.model_id,
                scored.repeat_count,
                scored.span_days,
                scored.tenure_days,
                1 / (1 + pareto_nbd_left.left_after_span * exp(least(
                    (scored.r + scored.x) * ln((scored.alpha + scored.tenure) / (scored.alpha + scored.span))
                    + scored.s * ln((scored.beta + scored.tenure) / (scored.beta + scored.span)), 700
                ))) as p_alive,
                {{ forecast_columns('pareto_nbd_purchases', horizon_days, months, annual_discount_rate) }}
            from scored
            inner join pareto_nbd_left
                on
                    scored.as_of_on = pareto_nbd_left.as_of_on
                    and scored.model_id = pareto_nbd_left.model_id
                    and scored.repeat_count = pareto_nbd_left.repeat_count
                    and scored.span_days = pareto_nbd_left.span_days
                    and scored.tenure_days = pareto_nbd_left.tenure_days

        ),

        of_somebody_alive as (

            select * from bg_nbd
            union all
            select * from pareto_nbd

        )

        select
            as_of_on,
            model_id,
            repeat_count,
            span_days,
            tenure_days,
            p_alive,
            {% for name in names %}
            p_alive * {{ name }} as expected_{{ name }},
            {% endfor %}
            p_alive * discounted_purchases as discounted_purchases
        from of_somebody_alive
    )
{%- endmacro %}

{#
  The columns purchases_<days>d and discounted_purchases of somebody alive, by a macro that gives the purchases within so many
  weeks. What is discounted is a sum over months of purchases until then times the step in the discount.
#}
{% macro forecast_columns(purchases, horizon_days, months, annual_discount_rate, mean=false) -%}
    {%- set at = {
        'bg_nbd_purchases_at_node': bg_nbd_purchases_at_node,
        'pareto_nbd_purchases': pareto_nbd_purchases,
    }[purchases] -%}
    {%- set terms = [] -%}
    {%- for month in range(1, months + 1) -%}
        {%- set discount = (1 + annual_discount_rate) ** (-month / 12) -%}
        {%- set later = (1 + annual_discount_rate) ** (-(month + 1) / 12) if month < months else 0 -%}
        {%- do terms.append(double(discount - later) ~ ' * ' ~ at(double(month * 365 / 84))) -%}
    {%- endfor -%}
    {%- set weight = 'nodes.weight * exp(pairs.x * nodes.log_survival)' -%}
    {%- set open = 'sum(' ~ weight ~ ' * (' if mean else '(' -%}
    {%- set close = ')) / sum(' ~ weight ~ ')' if mean else ')' -%}
    {%- for days in horizon_days -%}
    {{ open }}{{ at(double(days / 7)) }}{{ close }} as purchases_{{ days }}d,
    {% endfor -%}
    {{ open }}{{ terms | join(' + ') }}{{ close }} as discounted_purchases
{%- endmacro %}

{% macro bg_nbd_purchases_at_node(weeks) -%}
    {{ one_minus_exp('pairs.purchases * ' ~ log1p('nodes.value * ' ~ weeks ~ ' / pairs.time')) }} / nodes.value
{%- endmacro %}

{# At s = 1 the weeks that somebody stays are ln(1 + t ÷ (β + T)). #}
{% macro pareto_nbd_purchases(weeks) -%}
    {%- set beyond = log1p(weeks ~ ' / (scored.beta + scored.tenure)') -%}
    (scored.r + scored.x) / (scored.alpha + scored.tenure) * (scored.beta + scored.tenure) * case
        when abs(scored.s - 1) < 1e-9 then {{ beyond }}
        else (1 - exp((1 - scored.s) * {{ beyond }})) / (scored.s - 1)
    end
{%- endmacro %}
