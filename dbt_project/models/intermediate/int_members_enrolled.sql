with rules as (

    select * from {{ ref('int_tier_rules_dated') }}

),

customers as (

    select * from {{ ref('int_customers_labelled') }}

),

interactions as (

    select * from {{ ref('int_interactions_enriched') }}

),

purchases as (

    select * from {{ ref('int_customer_purchases') }}

),

programs as (

    select distinct
        program_id,
        membership,
        program_start_on
    from rules

),

joined as (

    select
        customer_id,
        'enrolled' as membership,
        enrolled_on as joined_on
    from customers
    where enrolled_on is not null

    union all

    select
        customer_id,
        'enrolled' as membership,
        business_date as joined_on
    from interactions
    where interaction_type = 'enrolled' and customer_id is not null

    union all

    select
        customer_id,
        'purchasers' as membership,
        first_purchased_on as joined_on
    from purchases

),

final as (

    select
        programs.program_id,
        joined.customer_id,
        greatest(min(joined.joined_on), programs.program_start_on) as member_since_on
    from joined
    inner join programs
        on joined.membership = programs.membership
    group by
        programs.program_id,
        joined.customer_id,
        programs.program_start_on

)

select * from final
