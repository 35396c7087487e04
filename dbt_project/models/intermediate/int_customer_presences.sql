with silences as (

    select * from {{ ref('int_silences_judged') }}

),

-- The first purchase began the first presence, and the end of the silence that was a churn the next.
final as (

    select
        customer_id,
        label_set_id,
        initiator,
        cause,
        coalesce(
            lag(ended_on) over (
                partition by customer_id
                order by began_on
            ),
            first_purchased_on
        ) as arrived_on,
        churned_on,
        case
            when churned_on is null and silence_days > threshold_days
                then {{ add_days('began_on', 'threshold_days') }}
        end as pending_on,
        case when churned_on is not null then ended_on end as returned_on
    from silences
    where churned_on is not null or ended_on is null

)

select * from final
