{#- Chains of up to 2^6 = 64 aliases are followed, by doubling the step six times. -#}
{%- set doublings = 6 -%}

with in_force as (

    select * from {{ ref('int_identities_in_force') }}

),

aliases as (

    select
        alias_id,
        min(customer_id) as customer_id,
        max(customer_id) as other_customer_id
    from in_force
    group by alias_id

),

step_0 as (

    select
        alias_id,
        customer_id
    from aliases
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
        aliases.alias_id,
        case when still_alias.alias_id is null then resolved.customer_id end as customer_id,
        case
            when aliases.customer_id <> aliases.other_customer_id
                then concat(
                    'is an alias of two customers at the same time: ', aliases.customer_id, ' and ',
                    aliases.other_customer_id
                )
            when still_alias.alias_id is not null
                then concat('leads into a circle of aliases, or through more than {{ 2 ** doublings }} of them')
        end as reason
    from aliases
    left join step_{{ doublings }} as resolved
        on aliases.alias_id = resolved.alias_id
    left join step_0 as still_alias
        on resolved.customer_id = still_alias.alias_id

)

select * from final
