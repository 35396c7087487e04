with customers as (

    select * from {{ ref('stg_customers') }}

),

identities as (

    select * from {{ ref('int_identities_resolved') }}
    where customer_id is not null

),

orders as (

    select * from {{ ref('int_orders_enriched') }}
    where is_identified and {{ is_affected('customer') }}

),

interactions as (

    select * from {{ ref('int_interactions_enriched') }}
    where customer_id is not null and {{ is_affected('customer') }}

),

order_lines as (

    select * from {{ ref('stg_order_lines') }}

),

wallets as (

    select * from {{ ref('int_brands_observed') }}
    where {{ is_affected('customer') }}

),

-- A customer's own row counts before those of aliases merged into it.
profiles as (

    select
        coalesce(identities.customer_id, customers.customer_id) as customer_id,
        customers.acquisition_channel,
        customers.customer_segment,
        customers.owner_id,
        customers.has_email_consent,
        customers.has_phone_consent,
        {{ business_date('customers.enrolled_at') }} as enrolled_on,
        customers.updated_at as profile_updated_at,
        row_number() over (
            partition by coalesce(identities.customer_id, customers.customer_id)
            order by
                case when identities.customer_id is null then 0 else 1 end,
                customers.customer_id
        ) as profile_number
    from customers
    left join identities
        on customers.customer_id = identities.alias_id
    where {{ is_affected('customer', customer_id='coalesce(identities.customer_id, customers.customer_id)') }}

),

known as (

    select customer_id from profiles
    union
    select customer_id from orders
    union
    select customer_id from interactions
    union
    select customer_id from wallets

),

first_orders as (

    select
        customer_id,
        order_id
    from (
        select
            customer_id,
            order_id,
            row_number() over (
                partition by customer_id
                order by ordered_at, order_id
            ) as order_number
        from orders
        where is_valid_sale
    ) as numbered
    where order_number = 1

),

category_amounts as (

    select
        first_orders.customer_id,
        order_lines.category,
        sum(order_lines.amount) as amount
    from first_orders
    inner join order_lines
        on first_orders.order_id = order_lines.order_id
    where order_lines.category is not null
    group by
        first_orders.customer_id,
        order_lines.category

),

-- The category on which most was spent in the first order.
first_categories as (

    select
        customer_id,
        category as first_category
    from (
        select
            customer_id,
            category,
            row_number() over (
                partition by customer_id
                order by amount desc nulls last, category asc
            ) as category_rank
        from category_amounts
    ) as ranked
    where category_rank = 1

),

labelled as (

    select
        known.customer_id,
        profiles.owner_id,

        profiles.acquisition_channel,
        profiles.customer_segment,
        first_categories.first_category,

        profiles.has_email_consent,
        profiles.has_phone_consent,

        profiles.enrolled_on,
        profiles.profile_updated_at
    from known
    left join profiles
        on
            known.customer_id = profiles.customer_id
            and profiles.profile_number = 1
    left join first_categories
        on known.customer_id = first_categories.customer_id

),

-- Customers with the same values of all labels share one integer, so that cohorts are counted once and fanned out to
-- segments afterwards. It follows from the values alone: nobody's changes because of somebody else.
final as (

    select
        labelled.*,
        {{ integer_key(var('segment_labels')) }} as label_set_id
    from labelled

)

select * from final
