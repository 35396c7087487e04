with customers as (

    select * from {{ ref('int_customers_valued') }}

),

purchase_days as (

    select * from {{ ref('int_purchase_days') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

spent as (

    select
        purchase_days.customer_id,
        {{ sum_where(
            'purchase_days.net_minor', is_of_last_days('purchase_days.purchased_on', 'data_window.data_end_on', 365)
        ) }} as last_minor,
        {{ sum_where(
            'purchase_days.net_minor',
            is_of_last_days('purchase_days.purchased_on', 'data_window.data_end_on', 730, until=365)
        ) }} as prior_minor
    from purchase_days
    cross join data_window
    group by purchase_days.customer_id

),

-- What lies before the data begins is not known to have been nothing.
compared as (

    select
        customers.*,
        case
            when data_window.data_start_on <= {{ add_days('data_window.data_end_on', -364) }} then spent.last_minor
        end as last_minor,
        case
            when data_window.data_start_on <= {{ add_days('data_window.data_end_on', -729) }} then spent.prior_minor
        end as prior_minor,
        cast(round(customers.expected_spend_minor) as bigint) as expected_day_minor,
        cast(round(customers.expected_purchases_365d * customers.expected_spend_minor) as bigint) as expected_minor
    from customers
    inner join spent
        on customers.customer_id = spent.customer_id
    cross join data_window

),

-- Somebody who spent next to nothing is measured by an ordinary purchase day.
final as (

    select
        customer_id,
        {{ to_amount('net_minor') }} as historical_net_amount,
        {{ to_amount('costed_minor') }} as historical_costed_amount,
        {{ to_amount('margin_minor') }} as historical_margin_amount,
        order_count,
        purchase_day_count,
        {{ to_amount('prior_minor') }} as net_amount_365d_before,
        {{ to_amount('last_minor') }} as net_amount_365d,
        {{ to_amount('expected_minor') }} as expected_net_amount_365d,
        expected_purchases_365d,
        {{ to_amount('expected_day_minor') }} as expected_order_amount,
        margin_rate,
        margin_basis,
        {{ to_amount('clv_minor') }} as clv_amount,
        value_decile,
        case
            when expected_minor - last_minor
                > {{ var('value_trend_tolerance') }} * greatest(last_minor, expected_day_minor) then 'gaining'
            when last_minor - expected_minor
                > {{ var('value_trend_tolerance') }} * greatest(last_minor, expected_day_minor) then 'losing'
            when last_minor is not null and expected_minor is not null then 'steady'
        end as value_trend
    from compared

)

select * from final
