with months as (

    select * from {{ ref('int_tier_months_counted') }}

),

final as (

    select
        program_id,
        month,
        from_tier,
        to_tier,
        member_count,
        {{ to_amount('net_minor') }} as net_amount,
        is_complete
    from months

)

select * from final
