with scores as (

    select * from {{ source('forecast', 'wallet_scores') }}

),

observed as (

    select * from {{ ref('int_wallets_observed') }}
    where wallet_minor is not null

),

category_days as (

    select * from {{ ref('int_category_days') }}

),

own_spend as (

    select
        scores.customer_id,
        scores.category,
        {{ sum_bigint('category_days.net_minor') }} as own_minor
    from scores
    inner join category_days
        on
            scores.customer_id = category_days.customer_id
            and scores.category = category_days.category
            and scores.period_start_on <= category_days.purchased_on
            and scores.period_end_on >= category_days.purchased_on
    group by
        scores.customer_id,
        scores.category

),

final as (

    select
        scores.customer_id,
        scores.period_start_on,
        scores.period_end_on,
        scores.category,
        coalesce(own_spend.own_minor, 0) as own_minor,
        scores.wallet_minor
    from scores
    left join own_spend
        on
            scores.customer_id = own_spend.customer_id
            and scores.category = own_spend.category
    where not exists (
        select 1
        from observed
        where
            scores.customer_id = observed.customer_id
            and scores.category = observed.category
            and scores.period_start_on = observed.period_start_on
            and scores.period_end_on = observed.period_end_on
    )

)

select * from final
