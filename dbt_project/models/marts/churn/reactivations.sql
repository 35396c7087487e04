with silences as (

    select * from {{ ref('int_silences_judged') }}

),

purchase_days as (

    select * from {{ ref('int_purchase_days') }}

),

churns as (

    select
        customer_id,
        began_on,
        ended_on,
        churned_on,
        initiator,
        cause,
        silence_days,
        lead(churned_on) over (
            partition by customer_id
            order by began_on
        ) as churned_again_on
    from silences
    where churned_on is not null

),

final as (

    select
        churns.customer_id,
        churns.initiator,
        churns.cause,
        purchase_days.order_count,
        {{ to_amount('purchase_days.net_minor') }} as net_amount,
        churns.silence_days,
        {{ days_between('churns.churned_on', 'churns.ended_on') }} as away_days,
        churns.ended_on as reactivated_on,
        churns.churned_on,
        churns.churned_again_on
    from churns
    inner join purchase_days
        on
            churns.customer_id = purchase_days.customer_id
            and churns.ended_on = purchase_days.purchased_on

)

select * from final
