{# A threshold in whole days, rounded up, within the bounds that every threshold keeps to. #}
{% macro clamped_threshold(days) -%}
    cast(
        greatest({{ var('churn_floor_days') }}, least({{ var('churn_cap_days') }}, ceil({{ days }}))) as bigint
    )
{%- endmacro %}

{# Over the segments of a label set: the segment's own figure where it has enough gaps, that of everybody otherwise. #}
{% macro own_or_everybodys(figure, gap_count, segment_name='segment_name') -%}
    coalesce(
        max(
            case
                when {{ segment_name }} <> 'all' and {{ gap_count }} >= {{ var('churn_segment_min_gaps') }}
                    then {{ figure }}
            end
        ),
        max(case when {{ segment_name }} = 'all' then {{ figure }} end)
    )
{%- endmacro %}

{#
  τ of a customer with so many gaps that add up to so many days: of the own gaps where they are enough, else pooled with the
  segment's; who has none takes the segment's first gap. Where nobody ever came back there is nothing to go by.
#}
{% macro threshold_days(own_threshold_days, gap_count, gap_sum_days, priors) -%}
    {%- set pooled -%}
        cast(
            {{ var('churn_gap_multiple') }} * ({{ gap_sum_days }} + {{ var('churn_prior_gaps') }} * {{ priors }}.mean_gap_days)
            / ({{ gap_count }} + {{ var('churn_prior_gaps') }}) as decimal(18, 6)
        )
    {%- endset -%}
    {%- set first -%} coalesce({{ priors }}.first_gap_percentile_days, {{ var('churn_cap_days') }}) {%- endset -%}
    case
        when {{ own_threshold_days }} is not null then {{ own_threshold_days }}
        when {{ gap_count }} > 0 then {{ clamped_threshold(pooled) }}
        else {{ clamped_threshold(first) }}
    end
{%- endmacro %}
