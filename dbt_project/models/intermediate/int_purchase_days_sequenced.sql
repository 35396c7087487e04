with purchase_days as (

    select * from {{ ref('int_purchase_days') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

-- After the watermark only part of the purchases is there: they would pass for a quiet time.
known as (

    select
        purchase_days.customer_id,
        purchase_days.purchase_number,
        purchase_days.purchased_on,
        purchase_days.net_minor
    from purchase_days
    inner join data_window
        on purchase_days.purchased_on <= data_window.data_end_on

),

-- The one window over all purchases. With the purchase before at hand, "first in its period" is a comparison,
-- and no count of distinct customers per period is needed downstream.
final as (

    select
        customer_id,
        purchase_number,
        first_value(purchased_on) over (
            partition by customer_id
            order by purchased_on
        ) as first_purchased_on,
        lag(purchased_on) over (
            partition by customer_id
            order by purchased_on
        ) as previous_purchased_on,
        purchased_on,
        net_minor
    from known

)

select * from final
