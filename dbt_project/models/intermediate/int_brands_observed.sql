{#- Months of a period of a panel. -#}
{%- set months = {'': 0, 'month': 1, 'quarter': 3, 'year': 12} -%}
{%- set grain = var('panel_period') -%}
{%- if grain not in months -%}
    {{ exceptions.raise_compiler_error("panel_period is '" ~ grain ~ "', none of month, quarter, year") }}
{%- endif -%}

{%- if var('own_brands') is string -%}
    {{ exceptions.raise_compiler_error("own_brands is '" ~ var('own_brands') ~ "' and has to be a list") }}
{%- endif -%}
{%- set own_brands = [] -%}
{%- for brand in var('own_brands') -%}
    {%- do own_brands.append(dbt.string_literal(dbt.escape_single_quotes(brand | string))) -%}
{%- endfor -%}

with observations as (

    select * from {{ ref('stg_wallet_observations') }}

),

identities as (

    select * from {{ ref('int_identities_resolved') }}
    where customer_id is not null

),

order_lines as (

    select * from {{ ref('int_order_lines_enriched') }}
    where {{ 'true' if grain else 'false' }} and is_valid_sale and customer_id is not null and {{ is_affected('customer') }}

),

refunds as (

    select * from {{ ref('int_refunds_spread') }}
    where {{ is_affected('customer') }}

),

data_window as (

    select data_end_on
    from {{ ref('int_data_window') }}

),

spent as (

    select
        coalesce(identities.customer_id, observations.customer_id) as customer_id,
        observations.category,
        observations.brand,
        observations.provenance,
        {{ converted_minor('observations.spend_amount', 1) }} as spend_minor,
        observations.brand_rank,
        cast(null as date) as purchased_on,
        observations.period_start_on,
        observations.period_end_on
    from observations
    left join identities
        on observations.customer_id = identities.alias_id
    where {{ is_affected('customer', customer_id='coalesce(identities.customer_id, observations.customer_id)') }}

    union all

    select
        order_lines.customer_id,
        order_lines.category,
        coalesce(order_lines.brand, 'unknown') as brand,
        'panel' as provenance,
        order_lines.line_minor - coalesce(refunds.refund_minor, 0) as spend_minor,
        cast(null as double) as brand_rank,
        order_lines.business_date as purchased_on,
        {{ period_start(grain or 'year', 'order_lines.business_date') }} as period_start_on,
        {{ add_days(
            add_months(period_start(grain or 'year', 'order_lines.business_date'), months[grain]), -1
        ) }} as period_end_on
    from order_lines
    inner join data_window
        on order_lines.business_date <= data_window.data_end_on
    left join refunds
        on
            order_lines.order_id = refunds.order_id
            and order_lines.line_number = refunds.line_number
    where order_lines.category is not null

),

final as (

    select
        customer_id,
        category,
        brand,
        provenance,
        {{ 'brand in (' ~ own_brands | join(', ') ~ ')' if own_brands else 'cast(null as boolean)' }} as is_own,
        count(
            case when purchased_on is not null or spend_minor > 0 or brand_rank is not null then 1 end
        ) > 0 as is_bought,
        -- A sum of which a part is not known is not known.
        {{ sum_known('spend_minor') }} as spend_minor,
        case when count(purchased_on) = count(*) then count(distinct purchased_on) end as purchase_count,
        min(brand_rank) as brand_rank,
        period_start_on,
        period_end_on
    from spent
    group by
        customer_id,
        category,
        brand,
        provenance,
        period_start_on,
        period_end_on

)

select * from final
