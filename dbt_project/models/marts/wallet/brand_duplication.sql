{#- Rates are added up as whole billionths: sums of doubles depend on the order in which they are taken. -#}
{%- set billion = 1000000000 -%}

with observed as (

    select * from {{ ref('int_brands_observed') }}

),

brands as (

    select * from {{ ref('int_brand_panels_summed') }}
    where buyer_count > 0 and brand_number <= {{ var('duplication_brands_most') }}

),

buyers as (

    select
        observed.customer_id,
        observed.period_start_on,
        observed.period_end_on,
        observed.category,
        observed.provenance,
        observed.brand
    from observed
    inner join brands
        on
            observed.period_start_on = brands.period_start_on
            and observed.period_end_on = brands.period_end_on
            and observed.category = brands.category
            and observed.provenance = brands.provenance
            and observed.brand = brands.brand
    where observed.is_bought

),

both_bought as (

    select
        buyers.period_start_on,
        buyers.period_end_on,
        buyers.category,
        buyers.provenance,
        buyers.brand,
        others.brand as other_brand,
        count(*) as both_count
    from buyers
    inner join buyers as others
        on
            buyers.customer_id = others.customer_id
            and buyers.period_start_on = others.period_start_on
            and buyers.period_end_on = others.period_end_on
            and buyers.category = others.category
            and buyers.provenance = others.provenance
            and buyers.brand <> others.brand
    group by
        buyers.period_start_on,
        buyers.period_end_on,
        buyers.category,
        buyers.provenance,
        buyers.brand,
        others.brand

),

-- A pair that nobody bought together is one, too.
pairs as (

    select
        brands.period_start_on,
        brands.period_end_on,
        brands.category,
        brands.brand,
        others.brand as other_brand,
        brands.provenance,
        brands.is_own,
        others.is_own as is_other_own,
        brands.panel_count,
        brands.buyer_count,
        others.buyer_count as other_buyer_count,
        coalesce(both_bought.both_count, 0) as both_count
    from brands
    inner join brands as others
        on
            brands.period_start_on = others.period_start_on
            and brands.period_end_on = others.period_end_on
            and brands.category = others.category
            and brands.provenance = others.provenance
            and brands.brand <> others.brand
    left join both_bought
        on
            brands.period_start_on = both_bought.period_start_on
            and brands.period_end_on = both_bought.period_end_on
            and brands.category = both_bought.category
            and brands.provenance = both_bought.provenance
            and brands.brand = both_bought.brand
            and others.brand = both_bought.other_brand

),

coefficients as (

    select
        period_start_on,
        period_end_on,
        category,
        provenance,
        {{ ratio(
            sum_bigint('cast(round(' ~ ratio('both_count', 'buyer_count') ~ ' * ' ~ billion ~ ') as bigint)'),
            sum_bigint('cast(round(' ~ ratio('other_buyer_count', 'panel_count') ~ ' * ' ~ billion ~ ') as bigint)')
        ) }} as duplication_ratio
    from pairs
    group by
        period_start_on,
        period_end_on,
        category,
        provenance

),

final as (

    select
        pairs.period_start_on,
        pairs.period_end_on,
        pairs.category,
        pairs.brand,
        pairs.other_brand,
        pairs.provenance,
        pairs.is_own,
        pairs.is_other_own,
        pairs.both_count,
        pairs.buyer_count,
        {{ ratio('pairs.both_count', 'pairs.buyer_count') }} as duplication_rate,
        pairs.other_buyer_count,
        pairs.panel_count,
        coefficients.duplication_ratio,
        least(
            coefficients.duplication_ratio * {{ ratio('pairs.other_buyer_count', 'pairs.panel_count') }}, 1
        ) as expected_duplication_rate
    from pairs
    inner join coefficients
        on
            pairs.period_start_on = coefficients.period_start_on
            and pairs.period_end_on = coefficients.period_end_on
            and pairs.category = coefficients.category
            and pairs.provenance = coefficients.provenance

)

select * from final
