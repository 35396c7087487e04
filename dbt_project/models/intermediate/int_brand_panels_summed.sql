with observed as (

    select * from {{ ref('int_brands_observed') }}

),

-- What a customer bought of a category, of whatever brand.
baskets as (

    select
        customer_id,
        period_start_on,
        period_end_on,
        category,
        provenance,
        {{ sum_known('spend_minor') }} as spend_minor,
        {{ sum_known('purchase_count') }} as purchase_count,
        count(case when is_bought then 1 end) as brand_count
    from observed
    group by
        customer_id,
        period_start_on,
        period_end_on,
        category,
        provenance

),

panels as (

    select
        period_start_on,
        period_end_on,
        provenance,
        count(distinct customer_id) as panel_count
    from baskets
    group by
        period_start_on,
        period_end_on,
        provenance

),

categories as (

    select
        period_start_on,
        period_end_on,
        category,
        provenance,
        count(case when brand_count > 0 then 1 end) as category_buyer_count,
        {{ sum_known('spend_minor') }} as category_spend_minor,
        {{ sum_known('purchase_count') }} as category_purchase_count
    from baskets
    group by
        period_start_on,
        period_end_on,
        category,
        provenance

),

brands as (

    select
        observed.period_start_on,
        observed.period_end_on,
        observed.category,
        observed.provenance,
        observed.brand,
        observed.is_own,
        count(case when observed.is_bought then 1 end) as buyer_count,
        count(case when observed.is_bought and baskets.brand_count = 1 then 1 end) as sole_count,
        {{ sum_known('observed.spend_minor') }} as spend_minor,
        {{ sum_known('observed.purchase_count') }} as purchase_count,
        {{ sum_known('baskets.spend_minor', 'observed.is_bought') }} as buyer_category_spend_minor,
        {{ sum_known('baskets.purchase_count', 'observed.is_bought') }} as buyer_category_purchase_count
    from observed
    inner join baskets
        on
            observed.customer_id = baskets.customer_id
            and observed.period_start_on = baskets.period_start_on
            and observed.period_end_on = baskets.period_end_on
            and observed.category = baskets.category
            and observed.provenance = baskets.provenance
    group by
        observed.period_start_on,
        observed.period_end_on,
        observed.category,
        observed.provenance,
        observed.brand,
        observed.is_own

),

final as (

    select
        brands.period_start_on,
        brands.period_end_on,
        brands.category,
        brands.brand,
        brands.provenance,
        brands.is_own,
        panels.panel_count,
        categories.category_buyer_count,
        categories.category_purchase_count,
        categories.category_spend_minor,
        brands.buyer_count,
        brands.purchase_count,
        brands.spend_minor,
        brands.buyer_category_purchase_count,
        brands.buyer_category_spend_minor,
        brands.sole_count,
        row_number() over (
            partition by brands.period_start_on, brands.period_end_on, brands.category, brands.provenance
            order by brands.buyer_count desc nulls last, brands.purchase_count desc nulls last, brands.brand asc nulls last
        ) as brand_number
    from brands
    inner join categories
        on
            brands.period_start_on = categories.period_start_on
            and brands.period_end_on = categories.period_end_on
            and brands.category = categories.category
            and brands.provenance = categories.provenance
    inner join panels
        on
            brands.period_start_on = panels.period_start_on
            and brands.period_end_on = panels.period_end_on
            and brands.provenance = panels.provenance

)

select * from final
