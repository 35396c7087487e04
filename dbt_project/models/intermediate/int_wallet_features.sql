with periods as (

    select * from {{ ref('int_wallet_periods') }}
    where {{ 'true' if wallets_are_modelled() else 'false' }}

),

observed as (

    select * from {{ ref('int_wallets_observed') }}
    where provenance = 'panel'

),

customers as (

    select * from {{ ref('int_customer_purchases') }}

),

sampled as (

    select * from {{ ref('int_customers_sampled') }}

),

labels as (

    select * from {{ ref('int_customers_labelled') }}

),

category_days as (

    select * from {{ ref('int_category_days') }}

),

purchase_days as (

    select * from {{ ref('int_purchase_days') }}

),

interactions as (

    select * from {{ ref('int_interactions_enriched') }}
    where customer_id is not null and (is_activity or is_contact)

),

observed_customers as (

    select
        period_start_on,
        period_end_on,
        customer_id
    from observed
    group by
        period_start_on,
        period_end_on,
        customer_id
    having count(wallet_minor) > 0

),

-- Of a category that no panel asks for, spending nothing would be learnt.
observed_categories as (

    select distinct observed.category
    from observed
    inner join periods
        on
            observed.period_start_on = periods.period_start_on
            and observed.period_end_on = periods.period_end_on
    where observed.wallet_minor is not null

),

-- Whose wallets are known once the period is over.
learners as (

    select
        periods.period_end_on,
        observed_customers.customer_id
    from periods
    inner join observed_customers
        on
            periods.period_start_on = observed_customers.period_start_on
            and periods.period_end_on = observed_customers.period_end_on
    where periods.basis = 'observed'

    union all

    select
        periods.period_end_on,
        sampled.customer_id
    from periods
    cross join sampled
    where periods.basis = 'own_spend'

),

everybody as (

    select
        periods.period_end_on,
        customers.customer_id
    from periods
    cross join customers
    where periods.is_current

    union

    select
        period_end_on,
        customer_id
    from learners

),

population as (

    select
        everybody.customer_id,
        periods.period_start_on,
        periods.period_end_on,
        periods.basis,
        periods.is_current,
        periods.known_until_on,
        {{ add_days('periods.period_start_on', -1) }} as before_on,
        {{ days_between('periods.period_start_on', 'periods.period_end_on') }} + 1 as period_days,
        learners.customer_id is not null as is_learner
    from everybody
    inner join periods
        on everybody.period_end_on = periods.period_end_on
    left join learners
        on
            everybody.period_end_on = learners.period_end_on
            and everybody.customer_id = learners.customer_id

),

-- Spend is before refunds: those of a purchase may come later. What is forecast is after them.
pairs as (

    select
        population.period_end_on,
        population.customer_id,
        category_days.category,
        max(case when category_days.purchased_on <= population.known_until_on then category_days.purchased_on end)
            as last_purchased_on,
        {{ sum_where('category_days.net_minor', 'category_days.purchased_on >= population.period_start_on') }} as net_minor,
        {{ sum_where('category_days.gross_minor', is_of_period('category_days.purchased_on')) }} as period_minor,
        {{ sum_where('category_days.gross_minor', is_of_period_before('category_days.purchased_on')) }} as before_minor,
        {{ sum_where('category_days.gross_minor', is_of_year_before('category_days.purchased_on')) }} as year_minor,
        count(case when {{ is_of_period('category_days.purchased_on') }} then 1 end) as period_days,
        count(case when {{ is_of_year_before('category_days.purchased_on') }} then 1 end) as year_days
    from population
    inner join category_days
        on
            population.customer_id = category_days.customer_id
            and population.period_end_on >= category_days.purchased_on
    group by
        population.period_end_on,
        population.customer_id,
        category_days.category

),

-- Not of each customer every category: of what somebody gave up long ago a wallet would be a guess.
recent_pairs as (

    select
        pairs.*,
        count(*) over (partition by pairs.period_end_on, pairs.customer_id) as category_count
    from pairs
    inner join periods
        on pairs.period_end_on = periods.period_end_on
    left join observed_categories
        on pairs.category = observed_categories.category
    where
        (periods.basis = 'own_spend' or observed_categories.category is not null)
        and {{ is_of_last_days('pairs.last_purchased_on', 'periods.known_until_on', var('wallet_category_days')) }}

),

purchases as (

    select
        population.period_end_on,
        population.customer_id,
        min(purchase_days.first_purchased_on) as first_purchased_on,
        max(purchase_days.purchased_on) as last_purchased_on,
        count(*) as purchase_day_count,
        {{ sum_bigint('purchase_days.gross_minor') }} as gross_minor,
        {{ sum_bigint('purchase_days.order_count') }} as order_count,
        {{ sum_where('purchase_days.gross_minor', is_of_period('purchase_days.purchased_on')) }} as period_minor,
        {{ sum_where('purchase_days.gross_minor', is_of_period_before('purchase_days.purchased_on')) }} as before_minor,
        {{ sum_where('purchase_days.gross_minor', is_of_year_before('purchase_days.purchased_on')) }} as year_minor,
        count(case when {{ is_of_period('purchase_days.purchased_on') }} then 1 end) as period_days,
        count(case when {{ is_of_year_before('purchase_days.purchased_on') }} then 1 end) as year_days
    from population
    inner join purchase_days
        on
            population.customer_id = purchase_days.customer_id
            and population.known_until_on >= purchase_days.purchased_on
    group by
        population.period_end_on,
        population.customer_id

),

contacts as (

    select
        population.period_end_on,
        population.customer_id,
        count(case when interactions.is_activity and {{ is_of_period('interactions.business_date') }} then 1 end) as period_activities,
        count(case when interactions.is_activity and {{ is_of_year_before('interactions.business_date') }} then 1 end) as year_activities,
        count(case when interactions.is_contact and {{ is_of_period('interactions.business_date') }} then 1 end) as period_contacts,
        count(case when interactions.is_contact and {{ is_of_year_before('interactions.business_date') }} then 1 end) as year_contacts
    from population
    inner join interactions
        on
            population.customer_id = interactions.customer_id
            and population.known_until_on >= interactions.business_date
            and {{ is_of_last_days('interactions.business_date', 'population.before_on', 365) }}
    group by
        population.period_end_on,
        population.customer_id

),

final as (

    select
        population.period_end_on,
        population.customer_id,
        pairs.category,
        population.is_current,
        case
            when not population.is_learner then null
            when population.basis = 'own_spend' then pairs.net_minor
            when observed.customer_id is null then 0
            else observed.wallet_minor
        end as wallet_minor,
        labels.acquisition_channel,
        labels.customer_segment,
        cast(population.period_days as double) as days_of_period,
        cast(quarter(population.period_start_on) as double) as quarter_of_year,
        {{ ratio('pairs.period_minor', 100) }} as period_category_spend,
        {{ ratio('purchases.period_minor', 100) }} as period_spend,
        {{ ratio('pairs.period_minor', 'purchases.period_minor') }} as period_category_share,
        cast(pairs.period_days as double) as period_category_day_count,
        cast(purchases.period_days as double) as period_purchase_day_count,
        cast(coalesce(contacts.period_activities, 0) as double) as period_activity_count,
        cast(coalesce(contacts.period_contacts, 0) as double) as period_contact_count,
        {{ ratio('pairs.before_minor', 100) }} as category_spend_period_before,
        {{ ratio('pairs.year_minor', 100) }} as category_spend_365d_before,
        {{ ratio('purchases.before_minor', 100) }} as spend_period_before,
        {{ ratio('purchases.year_minor', 100) }} as spend_365d_before,
        {{ ratio('pairs.year_minor', 'purchases.year_minor') }} as category_share_365d_before,
        cast(pairs.year_days as double) as category_day_count_365d_before,
        cast(purchases.year_days as double) as purchase_day_count_365d_before,
        cast(coalesce(contacts.year_activities, 0) as double) as activity_count_365d_before,
        cast(coalesce(contacts.year_contacts, 0) as double) as contact_count_365d_before,
        cast(pairs.category_count as double) as category_count,
        cast({{ days_between('pairs.last_purchased_on', 'population.known_until_on') }} as double) as category_silence_days,
        cast({{ days_between('purchases.last_purchased_on', 'population.known_until_on') }} as double) as silence_days,
        cast({{ days_between('purchases.first_purchased_on', 'population.known_until_on') }} as double) as tenure_days,
        cast(purchases.purchase_day_count as double) as purchase_day_count,
        {{ ratio('purchases.gross_minor', '100 * purchases.order_count') }} as mean_order_value
    from population
    inner join recent_pairs as pairs
        on
            population.period_end_on = pairs.period_end_on
            and population.customer_id = pairs.customer_id
    inner join purchases
        on
            population.period_end_on = purchases.period_end_on
            and population.customer_id = purchases.customer_id
    inner join labels
        on population.customer_id = labels.customer_id
    left join contacts
        on
            population.period_end_on = contacts.period_end_on
            and population.customer_id = contacts.customer_id
    left join observed
        on
            population.period_start_on = observed.period_start_on
            and population.period_end_on = observed.period_end_on
            and population.customer_id = observed.customer_id
            and pairs.category = observed.category

)

select * from final
