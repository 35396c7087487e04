{%- set year_days = '12 * (' ~ days_between('period_start_on', 'period_end_on') ~ ' + 1) + 182' -%}

with observed as (

    select * from {{ ref('int_brands_observed') }}
    where {{ is_affected('customer') }}

),

-- Our own brands are one together; of the others each stands for itself.
sums as (

    select
        customer_id,
        period_start_on,
        period_end_on,
        category,
        provenance,
        {{ sum_known('spend_minor') }} as wallet_minor,
        case when count(case when is_own then 1 end) > 0 then {{ sum_known('spend_minor', 'is_own') }} end as own_brands_minor,
        count(case when is_own then 1 end) = 0 and count(spend_minor) > 0 and count(is_own) > 0 as is_without_own,
        max(case when not coalesce(is_own, false) then spend_minor end) as other_top_minor,
        count(
            case when not coalesce(is_own, false) and (spend_minor > 0 or brand_rank is not null) then 1 end
        ) as other_used_count,
        count(case when not coalesce(is_own, false) then brand_rank end) as other_stated_count,
        count(case when not coalesce(is_own, false) and spend_minor > 0 then 1 end) as other_bought_count,
        count(brand_rank) > 0 as is_stated,
        min(case when is_own then brand_rank end) as own_stated_rank
    from observed
    group by
        customer_id,
        period_start_on,
        period_end_on,
        category,
        provenance

),

-- Brands are ranked as the customer ranks them, or else by what is spent.
wallets as (

    select
        customer_id,
        period_start_on,
        period_end_on,
        category,
        provenance,
        wallet_minor,
        case when is_without_own then 0 else own_brands_minor end as own_minor,
        greatest(other_top_minor, own_brands_minor) as top_minor,
        other_used_count + case when own_brands_minor > 0 or own_stated_rank is not null then 1 else 0 end as brand_count,
        is_stated,
        case
            when is_stated then other_stated_count + case when own_stated_rank is not null then 1 else 0 end
            else other_bought_count + case when own_brands_minor > 0 then 1 else 0 end
        end as ranked_count,
        case
            when is_stated then own_stated_rank
            when own_brands_minor > 0 then -cast(own_brands_minor as double)
        end as own_standing
    from sums

),

-- Few wallets are both ours and others': the rest need no comparison.
standings as (

    select
        wallets.customer_id,
        wallets.period_start_on,
        wallets.period_end_on,
        wallets.category,
        wallets.provenance,
        wallets.own_standing,
        case
            when wallets.is_stated then observed.brand_rank
            when observed.spend_minor > 0 then -cast(observed.spend_minor as double)
        end as standing
    from observed
    inner join wallets
        on
            observed.customer_id = wallets.customer_id
            and observed.period_start_on = wallets.period_start_on
            and observed.period_end_on = wallets.period_end_on
            and observed.category = wallets.category
            and observed.provenance = wallets.provenance
    where wallets.own_standing is not null and wallets.ranked_count > 1 and not observed.is_own

),

comparisons as (

    select
        customer_id,
        period_start_on,
        period_end_on,
        category,
        provenance,
        count(case when standing < own_standing then 1 end) as better_count,
        count(case when standing = own_standing then 1 end) as equal_count
    from standings
    group by
        customer_id,
        period_start_on,
        period_end_on,
        category,
        provenance

),

-- Of brands that stand equal each has the mean of their ranks, so that the ranks add up as without ties.
placed as (

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
        wallets.ranked_count,
        cast(
            case
                when wallets.own_standing is not null
                    then 1 + coalesce(comparisons.better_count, 0) + coalesce(comparisons.equal_count, 0) * 0.5
            end as decimal(18, 1)
        ) as own_rank
    from wallets
    left join comparisons
        on
            wallets.customer_id = comparisons.customer_id
            and wallets.period_start_on = comparisons.period_start_on
            and wallets.period_end_on = comparisons.period_end_on
            and wallets.category = comparisons.category
            and wallets.provenance = comparisons.provenance

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
