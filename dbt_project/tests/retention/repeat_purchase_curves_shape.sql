-- Survival never rises, lies within its bounds, and each row leaves the next one those still at risk. Where a day has
-- no event survival is the same but for the last digit of its logarithms.
with points as (

    select
        from_purchase_number,
        days_since,
        at_risk_count,
        event_count,
        censored_count,
        survival_rate,
        lower_rate,
        upper_rate,
        median_days,
        lag(at_risk_count - event_count - censored_count) over by_curve as left_at_risk_count,
        lag(survival_rate) over by_curve as previous_survival_rate,
        lead(at_risk_count, 1, 0) over by_curve as next_at_risk_count
    from {{ ref('repeat_purchase_curves') }}
    window by_curve as (
        partition by from_purchase_number
        order by days_since
    )

)

select *
from points
where
    survival_rate > coalesce(previous_survival_rate, 1) + 1e-12
    or survival_rate < 0
    or lower_rate > survival_rate
    or upper_rate < survival_rate
    or at_risk_count <> coalesce(left_at_risk_count, at_risk_count)
    or at_risk_count - event_count - censored_count <> next_at_risk_count
    or (days_since > 0 and previous_survival_rate is null)
    or event_count + censored_count > at_risk_count
