{#- Shares are added up as whole billionths: sums of doubles depend on the order in which they are taken. -#}
{%- set billion = 1000000000 -%}

with wallets as (

    select * from {{ ref('customer_wallets') }}

),

customers as (

    select
        customer_id,
        label_set_id
    from {{ ref('int_customers_labelled') }}

),

label_sets as (

    select * from {{ ref('int_cohort_label_sets') }}

),

label_set_sums as (

    select
        wallets.period_start_on,
        wallets.period_end_on,
        wallets.category,
        wallets.provenance,
        customers.label_set_id,
        {{ sum_where(to_minor('wallets.own_amount'), 'wallets.sow_rate is not null') }} as own_minor,
        {{ sum_where(to_minor('wallets.wallet_amount'), 'wallets.sow_rate is not null') }} as wallet_minor,
        {{ sum_where('cast(round(wallets.sow_rate * ' ~ billion ~ ') as bigint)', 'wallets.sow_rate is not null') }}
            as share_billionths,
        count(wallets.sow_rate) as wallet_count
    from wallets
    inner join customers
        on wallets.customer_id = customers.customer_id
    group by
        wallets.period_start_on,
        wallets.period_end_on,
        wallets.category,
        wallets.provenance,
        customers.label_set_id

),

segment_sums as (

    select
        label_set_sums.period_start_on,
        label_set_sums.period_end_on,
        label_set_sums.category,
        label_set_sums.provenance,
        label_sets.segment_name,
        label_sets.segment_value,
        {{ sum_bigint('label_set_sums.own_minor') }} as own_minor,
        {{ sum_bigint('label_set_sums.wallet_minor') }} as wallet_minor,
        {{ sum_bigint('label_set_sums.share_billionths') }} as share_billionths,
        {{ sum_bigint('label_set_sums.wallet_count') }} as wallet_count
    from label_set_sums
    inner join label_sets
        on label_set_sums.label_set_id = label_sets.label_set_id
    group by
        label_set_sums.period_start_on,
        label_set_sums.period_end_on,
        label_set_sums.category,
        label_set_sums.provenance,
        label_sets.segment_name,
        label_sets.segment_value

),

label_set_customers as (

    select
        label_set_id,
        count(*) as customer_count
    from customers
    group by label_set_id

),

segments as (

    select
        label_sets.segment_name,
        label_sets.segment_value,
        {{ sum_bigint('label_set_customers.customer_count') }} as customer_count
    from label_sets
    inner join label_set_customers
        on label_sets.label_set_id = label_set_customers.label_set_id
    group by
        label_sets.segment_name,
        label_sets.segment_value

),

final as (

    select
        segment_sums.period_start_on,
        segment_sums.period_end_on,
        segment_sums.category,
        segment_sums.segment_name,
        segment_sums.segment_value,
        segment_sums.provenance,
        {{ to_amount('segment_sums.own_minor') }} as own_amount,
        {{ to_amount('segment_sums.wallet_minor') }} as wallet_amount,
        {{ ratio('segment_sums.own_minor', 'segment_sums.wallet_minor') }} as sow_ratio_of_sums,
        {{ ratio('segment_sums.share_billionths', 'segment_sums.wallet_count * ' ~ billion) }} as sow_mean_of_ratios,
        segment_sums.wallet_count,
        segments.customer_count,
        {{ ratio('segment_sums.wallet_count', 'segments.customer_count') }} as coverage_rate
    from segment_sums
    inner join segments
        on
            segment_sums.segment_name = segments.segment_name
            and segment_sums.segment_value = segments.segment_value

)

select * from final
