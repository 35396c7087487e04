with silences as (

    select * from {{ ref('int_silences_judged') }}

),

complaints as (

    select * from {{ ref('int_customer_complaints') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

open_complaints as (

    select
        complaints.customer_id,
        count(*) as complaint_count
    from complaints
    cross join data_window
    where
        complaints.complained_on <= data_window.data_end_on
        and (complaints.resolved_on is null or complaints.resolved_on > data_window.data_end_on)
    group by complaints.customer_id

),

earlier_churns as (

    select
        customer_id,
        count(*) as churn_count
    from silences
    where churned_on is not null and ended_on is not null
    group by customer_id

),

final as (

    select
        silences.customer_id,
        silences.state,
        silences.threshold_basis,
        silences.threshold_days,
        silences.silence_days as recency_days,
        silences.gap_count,
        coalesce(earlier_churns.churn_count, 0) as earlier_churn_count,
        coalesce(open_complaints.complaint_count, 0) as open_complaint_count,
        silences.began_on as last_order_on,
        {{ add_days('silences.began_on', 'silences.threshold_days + 1') }} as at_risk_from_on,
        {{ add_days('silences.began_on', '2 * silences.threshold_days + 1') }} as lapsed_from_on,
        silences.closed_on,
        silences.churned_on
    from silences
    left join earlier_churns
        on silences.customer_id = earlier_churns.customer_id
    left join open_complaints
        on silences.customer_id = open_complaints.customer_id
    where silences.ended_on is null

)

select * from final
