-- R(t) = R(t−1) + new + resurrected + expansion − contraction − churned.
with periods as (

    select
        period_grain,
        period_start_on,
        revenue_amount,
        new_amount,
        resurrected_amount,
        expansion_amount,
        contraction_amount,
        churned_amount,
        is_complete,
        lag(revenue_amount) over (
            partition by period_grain
            order by period_start_on
        ) as previous_revenue_amount
    from {{ ref('growth_accounting') }}

)

select *
from periods
where
    is_complete
    and revenue_amount is distinct from coalesce(previous_revenue_amount, 0)
        + new_amount + resurrected_amount + expansion_amount - contraction_amount - churned_amount
