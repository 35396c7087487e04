with brands as (

    select * from {{ ref('int_brand_panels_summed') }}

),

pairs as (

    select * from {{ ref('brand_duplication') }}

),

models as (

    select * from {{ source('forecast', 'dirichlet_models') }}

),

norms as (

    select * from {{ source('forecast', 'dirichlet_norms') }}

),

duplicated as (

    select
        period_start_on,
        period_end_on,
        category,
        provenance,
        brand,
        duplication_ratio,
        {{ sum_bigint('both_count') }} as duplicated_count,
        count(*) as other_brand_count
    from pairs
    group by
        period_start_on,
        period_end_on,
        category,
        provenance,
        brand,
        duplication_ratio

),

final as (

    select
        brands.period_start_on,
        brands.period_end_on,
        brands.category,
        brands.brand,
        brands.provenance,
        brands.is_own,
        brands.panel_count,
        brands.category_buyer_count,
        brands.category_purchase_count,
        {{ to_amount('brands.category_spend_minor') }} as category_spend_amount,
        brands.buyer_count,
        brands.purchase_count,
        {{ to_amount('brands.spend_minor') }} as spend_amount,
        {{ ratio('brands.purchase_count', 'brands.category_purchase_count') }} as market_share_rate,
        {{ share_of('brands.spend_minor', 'brands.category_spend_minor') }} as spend_share_rate,
        {{ ratio('brands.buyer_count', 'brands.panel_count') }} as penetration_rate,
        {{ ratio('brands.purchase_count', 'brands.buyer_count') }} as purchase_rate,
        brands.buyer_category_purchase_count,
        {{ ratio('brands.purchase_count', 'brands.buyer_category_purchase_count') }} as scr_rate,
        {{ to_amount('brands.buyer_category_spend_minor') }} as buyer_category_spend_amount,
        {{ share_of('brands.spend_minor', 'brands.buyer_category_spend_minor') }} as spend_scr_rate,
        brands.sole_count,
        {{ ratio('brands.sole_count', 'brands.buyer_count') }} as sole_rate,
        duplicated.duplicated_count,
        duplicated.other_brand_count,
        {{ ratio('duplicated.duplicated_count', 'brands.buyer_count * duplicated.other_brand_count') }} as duplication_rate,
        duplicated.duplication_ratio,
        {{ ratio('brands.purchase_count', 'brands.buyer_count') }}
            * (1 - {{ ratio('brands.buyer_count', 'brands.panel_count') }}) as double_jeopardy_rate,
        norms.expected_penetration_rate,
        norms.expected_purchase_rate,
        norms.expected_scr_rate,
        norms.expected_sole_rate,
        models.m,
        models.k,
        models.s,
        models.refusal
    from brands
    left join duplicated
        on
            brands.period_start_on = duplicated.period_start_on
            and brands.period_end_on = duplicated.period_end_on
            and brands.category = duplicated.category
            and brands.provenance = duplicated.provenance
            and brands.brand = duplicated.brand
    left join models
        on
            brands.period_start_on = models.period_start_on
            and brands.period_end_on = models.period_end_on
            and brands.category = models.category
            and brands.provenance = models.provenance
    left join norms
        on
            brands.period_start_on = norms.period_start_on
            and brands.period_end_on = norms.period_end_on
            and brands.category = norms.category
            and brands.provenance = norms.provenance
            and brands.brand = norms.brand

)

select * from final
