with rules as (

    select * from {{ ref('int_tier_rules_dated') }}

),

customers as (

    select * from {{ ref('int_customers_labelled') }}

),

purchases as (

    select * from {{ ref('int_customer_purchases') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

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
        programs.program_id,
        customers.customer_id,
        programs.program_start_on,
        customers.enrolled_on as joined_on
    from customers
    inner join programs
        on programs.membership = 'enrolled'
    where customers.enrolled_on is not null

    union all

    select
        programs.program_id,
        purchases.customer_id,
        programs.program_start_on,
        purchases.first_purchased_on as joined_on
    from purchases
    inner join programs
        on programs.membership = 'purchasers'

),

final as (

    select
        joined.program_id,
        joined.customer_id,
        greatest(joined.joined_on, joined.program_start_on) as member_since_on
    from joined
    cross join data_window
    where greatest(joined.joined_on, joined.program_start_on) <= data_window.data_end_on

)

select * from final
