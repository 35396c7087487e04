with touched as (

    select * from {{ touched() }}

),

final as (

    select distinct interaction_id
    from touched
    where interaction_id is not null

)

select * from final
