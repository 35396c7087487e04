with orders as (

    select * from {{ ref('int_orders_enriched') }}
    where
        is_valid_sale
        and is_identified
        and {{ is_affected('customer') }}

),

order_lines as (

    select * from {{ ref('int_order_lines_enriched') }}

),

members as (

    select * from {{ ref('int_members_enrolled') }}

),

rules as (

    select * from {{ ref('int_points_rules_dated') }}

),

earn_rules as (

    select * from {{ ref('earn_rules') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

-- A product of thousandths, thousandths and millionths, back to millionths; the category's comes last.
member_orders as (

    select
        rules.program_id,
        orders.order_id,
        orders.customer_id,
        rules.rule_version,
        rules.order_cap,
        rules.day_cap,
        rules.month_cap,
        orders.gross_minor,
        orders.net_minor,
        rules.unit_micropoints
        * {{ thousandths('channels.multiplier') }}
        * {{ thousandths('campaigns.multiplier') }} as order_factor,
        orders.business_date,
        orders.ordered_at
    from orders
    inner join data_window
        on orders.business_date <= data_window.data_end_on
    inner join members
        on
            orders.customer_id = members.customer_id
            and orders.business_date >= members.member_since_on
    inner join rules
        on
            members.program_id = rules.program_id
            and {{ is_within('orders.business_date', 'rules.valid_from_on', 'rules.valid_to_on') }}
    {%- for dimension, column in [('channel', 'channel'), ('campaign', 'campaign_id')] %}
    left join earn_rules as {{ dimension }}s
        on
            rules.program_id = {{ dimension }}s.program_id
            and rules.rule_version = {{ dimension }}s.rule_version
            and orders.{{ column }} = {{ dimension }}s.value
            and {{ dimension }}s.applies_to = '{{ dimension }}'
    {%- endfor %}

),

-- Of orders' lines only those of a category that has a rule are told apart.
categories as (

    select
        member_orders.program_id,
        member_orders.order_id,
        member_orders.gross_minor,
        member_orders.order_factor,
        {{ thousandths('earn_rules.multiplier') }} as category_factor,
        {{ sum_bigint('order_lines.line_minor') }} as line_minor
    from order_lines
    inner join earn_rules
        on
            order_lines.category = earn_rules.value
            and earn_rules.applies_to = 'category'
    inner join member_orders
        on
            order_lines.order_id = member_orders.order_id
            and earn_rules.program_id = member_orders.program_id
            and earn_rules.rule_version = member_orders.rule_version
    group by
        member_orders.program_id,
        member_orders.order_id,
        member_orders.gross_minor,
        member_orders.order_factor,
        order_lines.category,
        earn_rules.multiplier
    having sum(order_lines.line_minor) > 0

),

-- Lines that come to more than was paid are scaled down to it. As doubles: the product of two amounts may be too large.
portions as (

    select
        program_id,
        order_id,
        order_factor,
        category_factor,
        case
            when all_minor <= gross_minor then line_minor
            else cast(floor(
                cast(line_minor as double) * cast(gross_minor as double) / cast(all_minor as double)
            ) as bigint)
        end as portion_minor
    from (
        select
            *,
            cast(sum(line_minor) over (partition by program_id, order_id) as bigint) as all_minor
        from categories
    ) as summed_categories

),

weighted as (

    select
        program_id,
        order_id,
        {{ sum_bigint('portion_minor') }} as portion_minor,
        {{ sum_bigint(
            'portion_minor * ' ~ integer_quotient_of_product('order_factor', 'category_factor', 1000000000, 500000000)
        ) }} as portion_weight
    from portions
    group by
        program_id,
        order_id

),

-- Cents times millionths: a hundredth of that are millionths.
rated as (

    select
        member_orders.program_id,
        member_orders.order_id,
        member_orders.customer_id,
        member_orders.rule_version,
        member_orders.order_cap,
        member_orders.day_cap,
        member_orders.month_cap,
        member_orders.gross_minor,
        member_orders.net_minor,
        {{ integer_quotient(
            '(member_orders.gross_minor - coalesce(weighted.portion_minor, 0)) * '
            ~ integer_quotient('member_orders.order_factor + 500000', 1000000)
            ~ ' + coalesce(weighted.portion_weight, 0)', 100
        ) }} as base_micropoints,
        member_orders.business_date,
        member_orders.ordered_at
    from member_orders
    left join weighted
        on
            member_orders.program_id = weighted.program_id
            and member_orders.order_id = weighted.order_id

),

final as (

    select
        program_id,
        order_id,
        customer_id,
        rule_version,
        gross_minor,
        net_minor,
        base_micropoints,
        capped_points as qualifying_points,
        business_date,
        ordered_at
    from {{ capped_points('rated', integer_quotient('base_micropoints', 1000000), [
        'program_id', 'order_id', 'customer_id', 'rule_version', 'gross_minor', 'net_minor', 'base_micropoints',
        'business_date', 'ordered_at',
    ]) }} as capped

)

select * from final
