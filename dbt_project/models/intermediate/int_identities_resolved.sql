{#- Chains of up to 2^6 = 64 aliases are followed, by doubling the step six times. -#}
{%- set doublings = 6 -%}

with identity_map as (

    select * from {{ ref('stg_identity_map') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

-- The current view: a merge holds for the whole history if it is in force at the end of the data.
in_force as (

    select
        identity_map.alias_id,
        min(identity_map.customer_id) as customer_id,
        max(identity_map.customer_id) as other_customer_id,
        min(identity_map.source_file) as source_file,
        min(identity_map.source_row) as source_row,
        min(identity_map.load_id) as load_id,
        count(*) as row_count
    from identity_map
    cross join data_window
    where
        (identity_map.valid_from is null
            or {{ business_date('identity_map.valid_from') }} <= data_window.data_end_on)
        and (identity_map.valid_to is null
            or {{ business_date('identity_map.valid_to') }} > data_window.data_end_on)
    group by identity_map.alias_id

),

step_0 as (

    select
        alias_id,
        customer_id
    from in_force
    where customer_id = other_customer_id

),
{% for step in range(doublings) %}
step_{{ step + 1 }} as (

    select
        here.alias_id,
        coalesce(onward.customer_id, here.customer_id) as customer_id
    from step_{{ step }} as here
    left join step_{{ step }} as onward
        on here.customer_id = onward.alias_id

),
{% endfor %}
final as (

    select
        in_force.alias_id,
        case when still_alias.alias_id is null then resolved.customer_id end as customer_id,
        case
            when in_force.customer_id <> in_force.other_customer_id
                then concat(
                    'is an alias of two customers at the same time: ', in_force.customer_id, ' and ',
                    in_force.other_customer_id
                )
            when still_alias.alias_id is not null
                then concat('leads into a circle of aliases, or through more than {{ 2 ** doublings }} of them')
        end as reason,
        in_force.source_file,
        in_force.source_row,
        in_force.load_id,
        in_force.row_count
    from in_force
    left join step_{{ doublings }} as resolved
        on in_force.alias_id = resolved.alias_id
    left join step_0 as still_alias
        on resolved.customer_id = still_alias.alias_id

)

select * from final
