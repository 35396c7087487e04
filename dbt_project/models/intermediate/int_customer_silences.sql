with purchase_days as (

    select * from {{ ref('int_purchase_days') }}
    where {{ is_affected('customer') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

interactions as (

    select interactions.*
    from {{ ref('int_interactions_enriched') }} as interactions
    inner join data_window
        on interactions.business_date <= data_window.data_end_on
    where
        interactions.customer_id is not null
        and (interactions.is_closure or interactions.is_exit_interview)
        and {{ is_affected('customer', customer_id='interactions.customer_id') }}

),

causes as (

    select * from {{ ref('churn_causes') }}

),

gaps as (

    select
        customer_id,
        purchase_number,
        purchased_on,
        first_purchased_on,
        {{ days_between('previous_purchased_on', 'purchased_on') }} as gap_days
    from purchase_days

),

silences as (

    select
        customer_id,
        purchase_number,
        purchased_on as began_on,
        lead(purchased_on) over (
            partition by customer_id
            order by purchase_number
        ) as ended_on,
        purchase_number - 1 as gap_count,
        {{ days_between('first_purchased_on', 'purchased_on') }} as gap_sum_days,
        {{ running_percentile('gap_days', 0.9, 'customer_id', 'purchase_number') }} as gap_percentile_days
    from gaps

),

thresholds as (

    select
        *,
        case
            when gap_count >= {{ var('churn_own_gaps') }} then {{ clamped_threshold('gap_percentile_days') }}
        end as own_threshold_days
    from silences

),

endings as (

    select
        silences.customer_id,
        silences.began_on,
        interactions.business_date as told_on,
        interactions.is_closure,
        interactions.direction,
        interactions.stated_initiator,
        causes.cause,
        causes.initiator as cause_initiator,
        -- What a customer says in an exit interview counts before what a form says, the later before the earlier.
        row_number() over (
            partition by silences.customer_id, silences.began_on
            order by
                case when interactions.is_exit_interview then 0 else 1 end,
                interactions.occurred_at desc nulls last,
                interactions.interaction_id
        ) as evidence_rank
    from silences
    inner join interactions
        on
            silences.customer_id = interactions.customer_id
            and silences.began_on <= interactions.business_date
            and (silences.ended_on is null or interactions.business_date < silences.ended_on)
    left join causes
        on interactions.stated_cause = causes.cause

),

stated as (

    select
        customer_id,
        began_on,
        min(case when is_closure then told_on end) as closed_on,
        min_by(cause, case when cause is not null then evidence_rank end) as cause,
        coalesce(
            min_by(
                stated_initiator,
                case when stated_initiator in ('customer', 'company', 'external') then evidence_rank end
            ),
            min_by(cause_initiator, case when cause_initiator is not null then evidence_rank end),
            min_by(
                case when direction = 'outbound' then 'company' else 'customer' end,
                case when is_closure then evidence_rank end
            )
        ) as initiator
    from endings
    group by
        customer_id,
        began_on

),

-- The open one, those that ended by a closure, and those long enough to be a risk: by the customer's own threshold, or by the
-- least that there can be where it hangs on others'.
final as (

    select
        thresholds.customer_id,
        thresholds.purchase_number,
        thresholds.began_on,
        thresholds.ended_on,
        thresholds.gap_count,
        thresholds.gap_sum_days,
        thresholds.own_threshold_days,
        stated.closed_on,
        stated.initiator,
        stated.cause
    from thresholds
    left join stated
        on
            thresholds.customer_id = stated.customer_id
            and thresholds.began_on = stated.began_on
    where
        thresholds.ended_on is null
        or stated.closed_on is not null
        or {{ days_between('thresholds.began_on', 'thresholds.ended_on') }}
        > coalesce(thresholds.own_threshold_days, {{ var('churn_floor_days') }})

)

select * from final
