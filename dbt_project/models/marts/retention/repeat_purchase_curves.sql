{#- 97.5 % quantile of the normal distribution: a two-sided 95 % interval. -#}
{%- set normal_quantile = 1.959963984540054 -%}

with gaps as (

    select * from {{ ref('int_purchase_gaps_summed') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

durations as (

    select
        gaps.from_purchase_number,
        coalesce(
            gaps.closed_after_days, {{ days_between('gaps.open_since_on', 'data_window.data_end_on') }}
        ) as days_since,
        case when gaps.open_since_on is null then gaps.gap_count else 0 end as event_count,
        case when gaps.open_since_on is null then 0 else gaps.gap_count end as censored_count
    from gaps
    cross join data_window

),

curves as (

    select
        from_purchase_number,
        sum(event_count + censored_count) as subject_count
    from durations
    group by from_purchase_number

),

-- Every curve starts at day 0 with all of its gaps at risk.
durations_from_day_0 as (

    select
        from_purchase_number,
        days_since,
        event_count,
        censored_count
    from durations

    union all

    select
        from_purchase_number,
        0 as days_since,
        0 as event_count,
        0 as censored_count
    from curves

),

days as (

    select
        from_purchase_number,
        days_since,
        {{ sum_bigint('event_count') }} as event_count,
        {{ sum_bigint('censored_count') }} as censored_count
    from durations_from_day_0
    group by
        from_purchase_number,
        days_since

),

at_risk as (

    select
        days.from_purchase_number,
        days.days_since,
        days.event_count,
        days.censored_count,
        cast(
            curves.subject_count
            - sum(days.event_count + days.censored_count) over (
                partition by days.from_purchase_number
                order by days.days_since
                rows between unbounded preceding and current row
            )
            + days.event_count + days.censored_count
            as bigint
        ) as at_risk_count
    from days
    inner join curves
        on days.from_purchase_number = curves.from_purchase_number

),

-- Logarithms turn the product of Kaplan and Meier into a sum; where the last gap at risk closes, survival is 0 and has none.
accumulated as (

    select
        from_purchase_number,
        days_since,
        at_risk_count,
        event_count,
        censored_count,
        event_count = at_risk_count as is_exhausted,
        sum(
            case when event_count < at_risk_count
                then ln(cast(at_risk_count - event_count as double) / cast(at_risk_count as double))
            end
        ) over to_here as log_survival,
        sum(
            case when event_count < at_risk_count
                then cast(event_count as double)
                    / (cast(at_risk_count as double) * cast(at_risk_count - event_count as double))
            end
        ) over to_here as greenwood_sum
    from at_risk
    window to_here as (
        partition by from_purchase_number
        order by days_since
        rows between unbounded preceding and current row
    )

),

-- Interval on the log(-log) scale, which keeps it within 0 and 1.
estimated as (

    select
        from_purchase_number,
        days_since,
        at_risk_count,
        event_count,
        censored_count,
        case when is_exhausted then 0 else exp(log_survival) end as survival_rate,
        case
            when is_exhausted then 0
            when log_survival < 0
                then exp(-exp(ln(-log_survival) - {{ normal_quantile }} * sqrt(greenwood_sum) / log_survival))
            else 1
        end as lower_rate,
        case
            when is_exhausted then 0
            when log_survival < 0
                then exp(-exp(ln(-log_survival) + {{ normal_quantile }} * sqrt(greenwood_sum) / log_survival))
            else 1
        end as upper_rate
    from accumulated

),

final as (

    select
        cast(from_purchase_number as bigint) as from_purchase_number,
        days_since,
        at_risk_count,
        event_count,
        censored_count,
        cast(survival_rate as double) as survival_rate,
        cast(lower_rate as double) as lower_rate,
        cast(upper_rate as double) as upper_rate,
        -- Exactly one half arrives here through logarithms, a last digit above or below.
        min(case when survival_rate <= 0.5 + 1e-12 then days_since end) over (
            partition by from_purchase_number
        ) as median_days
    from estimated

)

select * from final
