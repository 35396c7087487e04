-- The state follows from recency, threshold and closure, and a date of churn from the state.
select *
from {{ ref('customer_states') }}
where
    state <> case
        when closed_on is not null then 'closed'
        when recency_days > 2 * threshold_days then 'lapsed'
        when recency_days > threshold_days then 'at_risk'
        else 'active'
    end
    or (state in ('active', 'at_risk')) <> (churned_on is null)
