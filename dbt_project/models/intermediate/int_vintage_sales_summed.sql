with lots as (

    select * from {{ ref('int_points_lots') }}
    where entry_type = 'earned'

),

final as (

    select
        program_id,
        rule_version,
        {{ month_number('business_date') }} as vintage_number,
        {{ sum_bigint('net_minor') }} as net_minor,
        {{ sum_bigint(points_left('points', 'greatest(net_minor, 0)', 'gross_minor')) }} as points
    from lots
    group by
        program_id,
        rule_version,
        {{ month_number('business_date') }}

)

select * from final
