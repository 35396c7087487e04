{#- From this purchase on the gaps share one curve: few customers get there, and their rhythm has settled. -#}
{%- set pooled_from_purchase_number = 3 -%}

with purchase_days as (

    {{ signed_rows('int_purchase_days') }}

),

customers as (

    {{ signed_rows('int_customer_purchases') }}

),

final as (

    select
        least(purchase_number - 1, {{ pooled_from_purchase_number }}) as from_purchase_number,
        {{ days_between('previous_purchased_on', 'purchased_on') }} as closed_after_days,
        cast(null as date) as open_since_on,
        {{ sum_bigint('row_sign') }} as gap_count
    from purchase_days
    where previous_purchased_on is not null
    group by all

    union all

    select
        least(purchase_day_count, {{ pooled_from_purchase_number }}) as from_purchase_number,
        cast(null as bigint) as closed_after_days,
        last_purchased_on as open_since_on,
        {{ sum_bigint('row_sign') }} as gap_count
    from customers
    group by all

)

select * from final
