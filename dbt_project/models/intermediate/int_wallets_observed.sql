{%- set year_days = '12 * (' ~ days_between('period_start_on', 'period_end_on') ~ ' + 1) + 182' -%}

with observed as (

    select * from {{ ref('int_brands_observed') }}
    where {{ is_affected('customer') }}

),

-- Our own brands are one together.
brands as (

    select
        customer_id,
        period_start_on,
        period_end_on,
        category,
        provenance,
        is_own,
        case when count(spend_minor) = count(*) then {{ sum_bigint('spend_minor') }} end as spend_minor,
        min(brand_rank) as brand_rank
    from observed
    group by
        customer_id,
        period_start_on,
        period_end_on,
        category,
        provenance,
        is_own,
        case when is_own then null else brand end

),

wallets as (

    select
        customer_id,
        period_start_on,
        period_end_on,
        category,
        provenance,
        case when count(spend_minor) = count(*) then {{ sum_bigint('spend_minor') }} end as wallet_minor,
        case
            when count(case when is_own then 1 end) > 0 then max(case when is_own then spend_minor end)
            when count(spend_minor) > 0 and count(is_own) > 0 then 0
        end as own_minor,
        max(spend_minor) as top_minor,
        count(case when spend_minor > 0 or brand_rank is not null then 1 end) as brand_count,
        count(brand_rank) > 0 as is_ranked,
        max(case when is_own then brand_rank end) as own_brand_rank
    from brands
    group by
        customer_id,
        period_start_on,
        period_end_on,
        category,
        provenance

),

-- Brands are ranked as the customer ranks them, or else by what is spent.
ranked as (

    select
        wallets.customer_id,
        wallets.period_start_on,
        wallets.period_end_on,
        wallets.category,
        wallets.provenance,
        wallets.own_minor,
        wallets.wallet_minor,
        wallets.top_minor,
        wallets.brand_count,
        case
            when wallets.is_ranked then brands.brand_rank
            when brands.spend_minor > 0 then -cast(brands.spend_minor as double)
        end as standing,
        case
            when wallets.is_ranked then wallets.own_brand_rank
            when wallets.own_minor > 0 then -cast(wallets.own_minor as double)
        end as own_standing
    from wallets
    inner join brands
        on
            wallets.customer_id = brands.customer_id
            and wallets.period_start_on = brands.period_start_on
            and wallets.period_end_on = brands.period_end_on
            and wallets.category = brands.category
            and wallets.provenance = brands.provenance

),

-- Of brands that stand equal each has the mean of their ranks, so that the ranks add up as without ties.
placed as (

    select
        customer_id,
        period_start_on,
        period_end_on,
        category,
        provenance,
        own_minor,
        wallet_minor,
        top_minor,
        brand_count,
        count(standing) as ranked_count,
        cast(
            case
                when own_standing is not null
                    then 1 + count(case when standing < own_standing then 1 end)
                        + (count(case when standing = own_standing then 1 end) - 1) * 0.5
            end as decimal(18, 1)
        ) as own_rank
    from ranked
    group by
        customer_id,
        period_start_on,
        period_end_on,
        category,
        provenance,
        own_minor,
        wallet_minor,
        top_minor,
        brand_count,
        own_standing

),

-- Periods are compared with those of as many months, for a customer may be observed by quarters and by years.
sequenced as (

    select
        customer_id,
        period_start_on,
        period_end_on,
        category,
        provenance,
        own_minor,
        wallet_minor,
        top_minor,
        brand_count,
        ranked_count,
        own_rank,
        lag(period_end_on) over same_length as earlier_end_on,
        lag(own_minor) over same_length as earlier_own_minor,
        lag(wallet_minor) over same_length as earlier_wallet_minor
    from placed
    window
        same_length as (
            partition by
                customer_id,
                category,
                provenance,
                {{ integer_quotient(year_days, 365) }}
            order by period_start_on, period_end_on
        )

),

final as (

    select
        customer_id,
        period_start_on,
        period_end_on,
        category,
        provenance,
        own_minor,
        wallet_minor,
        top_minor,
        brand_count,
        ranked_count,
        own_rank,
        case when earlier_end_on = {{ add_days('period_start_on', -1) }} then earlier_own_minor end as earlier_own_minor,
        case when earlier_end_on = {{ add_days('period_start_on', -1) }} then earlier_wallet_minor end as earlier_wallet_minor
    from sequenced

)

select * from final
