with runs as (

    select * from {{ ref('int_customer_state_months') }}

),

final as (

    select
        customer_id,
        state,
        cast(to_number - from_number + 1 as bigint) as month_count,
        {{ period_number_start("'month'", 'from_number') }} as from_month,
        {{ period_number_start("'month'", 'to_number') }} as to_month,
        to_number = last_number as is_current
    from runs

)

select * from final
