with customers as (

    {{ signed_rows('int_customer_purchases') }}

),

-- All that cohorts ask of a customer: 10 million customers become a few hundred thousand rows.
final as (

    select
        label_set_id,
        first_purchased_on,
        last_purchased_on,
        {{ sum_bigint('row_sign') }} as member_count
    from customers
    group by
        label_set_id,
        first_purchased_on,
        last_purchased_on

)

select * from final
