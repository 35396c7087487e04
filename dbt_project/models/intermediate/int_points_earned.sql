with orders as (

    select * from {{ ref('int_orders_rated') }}
    where {{ is_affected('customer') }}

),

paths as (

    select * from {{ ref('int_tier_paths_walked') }}
    where {{ is_affected('customer') }}

),

tiers as (

    select * from {{ ref('tiers') }}

),

rules as (

    select * from {{ ref('int_points_rules_dated') }}

),

earn_rules as (

    select * from {{ ref('earn_rules') }}
    where applies_to = 'tier'

),

-- An order that enrols or upgrades is rated by the tier before it.
rated as (

    select
        orders.program_id,
        orders.order_id,
        orders.customer_id,
        orders.rule_version,
        rules.order_cap,
        rules.day_cap,
        rules.month_cap,
        orders.gross_minor,
        orders.net_minor,
        {{ integer_quotient(
            'orders.base_micropoints * ' ~ thousandths('earn_rules.multiplier'), 1000000000
        ) }} as tier_points,
        orders.business_date,
        orders.ordered_at
    from orders
    inner join rules
        on
            orders.program_id = rules.program_id
            and orders.rule_version = rules.rule_version
    inner join paths
        on
            orders.program_id = paths.program_id
            and orders.customer_id = paths.customer_id
            and {{ is_within('orders.business_date', 'paths.held_from_on', 'paths.held_until_on') }}
    inner join tiers
        on
            paths.program_id = tiers.program_id
            and tiers.tier_rank = case
                when paths.held_from_on = orders.business_date and paths.change_reason in ('enrolled', 'upgraded')
                    then coalesce(paths.previous_rank, 0)
                else paths.tier_rank
            end
    left join earn_rules
        on
            orders.program_id = earn_rules.program_id
            and orders.rule_version = earn_rules.rule_version
            and tiers.tier = earn_rules.value

),

final as (

    select
        program_id,
        order_id,
        customer_id,
        rule_version,
        gross_minor,
        net_minor,
        capped_points as points,
        business_date,
        ordered_at
    from {{ capped_points('rated', 'tier_points', [
        'program_id', 'order_id', 'customer_id', 'rule_version', 'gross_minor', 'net_minor', 'business_date', 'ordered_at',
    ]) }} as capped
    where capped_points > 0

)

select * from final
