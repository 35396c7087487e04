with silences as (

    select * from {{ ref('int_silences_judged') }}

),

final as (

    select
        customer_id,
        case when closed_on = churned_on then 'closure' else 'lapse' end as churn_kind,
        initiator,
        cause,
        threshold_days,
        began_on as last_order_on,
        churned_on,
        ended_on as reactivated_on,
        case when initiator <> 'unknown' then initiator = 'customer' end as is_voluntary,
        has_open_complaint
    from silences
    where churned_on is not null

)

select * from final
