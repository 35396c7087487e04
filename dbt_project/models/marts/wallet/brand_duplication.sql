{#- Rates are added up as whole billionths: sums of doubles depend on the order in which they are taken. -#}
{%- set billion = 1000000000 -%}
{#- Sets of brands are numbers of as many bits, and powers of two are doubles first. -#}
{%- if var('duplication_brands_most') > 50 -%}
    {{ exceptions.raise_compiler_error("duplication_brands_most is " ~ var('duplication_brands_most') ~ " and may be 50 at most") }}
{%- endif -%}

with observed as (

    select * from {{ ref('int_brands_observed') }}

),

brands as (

    select
        period_start_on,
        period_end_on,
        category,
        provenance,
        brand,
        is_own,
        panel_count,
        buyer_count,
        cast(power(2, brand_number - 1) as bigint) as brand_bit
    from {{ ref('int_brand_panels_summed') }}
    where buyer_count > 0 and brand_number <= {{ var('duplication_brands_most') }}

),

-- Which of the brands a customer bought is one number, and customers with the same are counted together: pairing each one's
-- brands would be a join of all that was observed with itself.
repertoires as (

    select
        observed.period_start_on,
        observed.period_end_on,
        observed.category,
        observed.provenance,
        {{ sum_bigint('brands.brand_bit') }} as brand_bits
    from observed
    inner join brands
        on
            observed.period_start_on = brands.period_start_on
            and observed.period_end_on = brands.period_end_on
            and observed.category = brands.category
            and observed.provenance = brands.provenance
            and observed.brand = brands.brand
    where observed.is_bought
    group by
        observed.customer_id,
        observed.period_start_on,
        observed.period_end_on,
        observed.category,
        observed.provenance

),

repertoire_sums as (

    select
        period_start_on,
        period_end_on,
        category,
        provenance,
        brand_bits,
        count(*) as customer_count
    from repertoires
    group by
        period_start_on,
        period_end_on,
        category,
        provenance,
        brand_bits

),

both_bought as (

    select
        brands.period_start_on,
        brands.period_end_on,
        brands.category,
        brands.provenance,
        brands.brand,
        others.brand as other_brand,
        {{ sum_bigint('repertoire_sums.customer_count') }} as both_count
    from repertoire_sums
    inner join brands
        on
            repertoire_sums.period_start_on = brands.period_start_on
            and repertoire_sums.period_end_on = brands.period_end_on
            and repertoire_sums.category = brands.category
            and repertoire_sums.provenance = brands.provenance
            and mod({{ integer_quotient('repertoire_sums.brand_bits', 'brands.brand_bit') }}, 2) = 1
    inner join brands as others
        on
            brands.period_start_on = others.period_start_on
            and brands.period_end_on = others.period_end_on
            and brands.category = others.category
            and brands.provenance = others.provenance
            and brands.brand <> others.brand
            and mod({{ integer_quotient('repertoire_sums.brand_bits', 'others.brand_bit') }}, 2) = 1
    group by
        brands.period_start_on,
        brands.period_end_on,
        brands.category,
        brands.provenance,
        brands.brand,
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
