with observed as (

    select * from {{ ref('int_wallets_observed') }}

),

modelled as (

    select * from {{ ref('int_wallets_modelled') }}

),

-- Of a wallet that nobody observed it is not known of which brands it is.
wallets as (

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
        own_rank
    from observed

    union all

    select
        customer_id,
        period_start_on,
        period_end_on,
        category,
        'modelled' as provenance,
        own_minor,
        wallet_minor,
        cast(null as bigint) as top_minor,
        cast(null as bigint) as brand_count,
        cast(null as bigint) as ranked_count,
        cast(null as decimal(18, 1)) as own_rank
    from modelled

),

shared as (

    select
        customer_id,
        period_start_on,
        period_end_on,
        category,
        provenance,
        own_minor,
        wallet_minor,
        case when wallet_minor > 0 then {{ ratio('own_minor', 'wallet_minor') }} end as raw_ratio,
        case when wallet_minor > 0 then {{ ratio('top_minor', 'wallet_minor') }} end as top_ratio,
        case
            when wallet_minor > own_minor then wallet_minor - own_minor
            when wallet_minor <= own_minor then 0
        end as opportunity_minor,
        brand_count,
        ranked_count,
        own_rank
    from wallets

),

final as (

    select
        customer_id,
        period_start_on,
        period_end_on,
        category,
        provenance,
        {{ to_amount('own_minor') }} as own_amount,
        {{ to_amount('wallet_minor') }} as wallet_amount,
        case when raw_ratio is not null then least(greatest(raw_ratio, 0), 1) end as sow_rate,
        raw_ratio,
        coalesce(own_minor > wallet_minor, false) as is_wallet_understated,
        {{ to_amount('opportunity_minor') }} as opportunity_amount,
        brand_count,
        ranked_count,
        own_rank,
        (1 - {{ ratio('own_rank', 'ranked_count + 1') }}) * {{ ratio('2', 'ranked_count') }} as war_score,
        case when top_ratio is not null then least(top_ratio, 1) end as top_brand_share,
        case
            when top_ratio > {{ var('concentrated_wallet_share') }} then 'concentrated'
            when top_ratio is not null then 'split'
        end as concentration
    from shared

)

select * from final
