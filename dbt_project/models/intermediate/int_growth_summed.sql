with customer_periods as (

    {{ signed_rows('int_customer_periods') }}

),

-- Who leaves is booked to the period in which the customer is missed. Counted from the customers who leave, not as the
-- difference of the other classes: only so do the identities test anything.
classified as (

    select
        period_grain,
        period_number,
        row_sign,
        row_sign * net_minor as net_minor,
        row_sign * (net_minor - previous_net_minor) as change_minor,
        net_minor > previous_net_minor as is_more,
        case
            when previous_period_number is null then 'new'
            when previous_period_number = period_number - 1 then 'retained'
            else 'resurrected'
        end as activity_class
    from customer_periods
    where period_grain in ('week', 'month')

    union all

    select
        period_grain,
        period_number + 1 as period_number,
        row_sign,
        row_sign * net_minor as net_minor,
        cast(null as bigint) as change_minor,
        cast(null as boolean) as is_more,
        'churned' as activity_class
    from customer_periods
    where
        period_grain in ('week', 'month')
        and next_period_number is distinct from period_number + 1

),

final as (

    select
        period_grain,
        period_number,
        {{ sum_bigint('row_sign') }} as row_count,
        {{ sum_where('row_sign', "activity_class <> 'churned'") }} as active_count,
        {{ sum_where('row_sign', "activity_class = 'new'") }} as new_count,
        {{ sum_where('row_sign', "activity_class = 'retained'") }} as retained_count,
        {{ sum_where('row_sign', "activity_class = 'resurrected'") }} as resurrected_count,
        {{ sum_where('row_sign', "activity_class = 'churned'") }} as churned_count,
        {{ sum_where('net_minor', "activity_class <> 'churned'") }} as revenue_minor,
        {{ sum_where('net_minor', "activity_class = 'new'") }} as new_minor,
        {{ sum_where('net_minor', "activity_class = 'resurrected'") }} as resurrected_minor,
        {{ sum_where('change_minor', "activity_class = 'retained' and is_more") }} as expansion_minor,
        {{ sum_where('-change_minor', "activity_class = 'retained' and not is_more") }} as contraction_minor,
        {{ sum_where('net_minor', "activity_class = 'churned'") }} as churned_minor
    from classified
    group by
        period_grain,
        period_number

)

select * from final
