with customers as (

    {{ signed_rows('int_customer_purchases') }}

),

final as (

    select
        label_set_id,
        {{ days_between('first_purchased_on', 'second_purchased_on') }} as gap_days,
        {{ sum_bigint('row_sign') }} as customer_count
    from customers
    where second_purchased_on is not null
    group by all

)

select * from final
