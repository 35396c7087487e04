{%- set percent_now = "cast(cast(round(100 * chosen.sow_rate) as bigint) as " ~ dbt.type_string() ~ ")" -%}
{%- set percent_before = "cast(cast(round(100 * changes.earlier_sow_rate) as bigint) as " ~ dbt.type_string() ~ ")" -%}
{%- set percent_top = "cast(cast(round(100 * chosen.top_brand_share) as bigint) as " ~ dbt.type_string() ~ ")" -%}

with wallets as (

    select * from {{ ref('customer_wallets') }}

),

changes as (

    select * from {{ ref('wallet_changes') }}

),

silences as (

    select * from {{ ref('int_silences_judged') }}
    where ended_on is null

),

scores as (

    select * from {{ ref('int_forecast_scores') }}
    where is_current and is_default

),

risks as (

    select * from {{ source('forecast', 'risk_scores') }}

),

data_window as (

    select data_end_on
    from {{ ref('int_data_window') }}

),

-- The latest period of each provenance that is over, the longest of those that end on that day.
periods as (

    select
        wallets.provenance,
        wallets.period_end_on,
        min(wallets.period_start_on) as period_start_on,
        row_number() over (partition by wallets.provenance order by wallets.period_end_on desc) as periods_back
    from wallets
    inner join data_window
        on wallets.period_end_on <= data_window.data_end_on
    group by
        wallets.provenance,
        wallets.period_end_on

),

-- What we do not have nobody can buy from us.
categories as (

    select category
    from wallets
    group by category
    having max(own_amount) > 0

),

ranked as (

    select
        wallets.customer_id,
        wallets.category,
        wallets.provenance,
        wallets.period_start_on,
        wallets.period_end_on,
        wallets.own_amount,
        wallets.wallet_amount,
        wallets.sow_rate,
        wallets.opportunity_amount,
        wallets.brand_count,
        wallets.top_brand_share,
        wallets.concentration,
        silences.state,
        silences.silence_days as recency_days,
        row_number() over (
            partition by wallets.provenance
            order by wallets.opportunity_amount desc, wallets.customer_id asc, wallets.category asc
        ) as priority
    from wallets
    inner join periods
        on
            wallets.provenance = periods.provenance
            and wallets.period_start_on = periods.period_start_on
            and wallets.period_end_on = periods.period_end_on
            and periods.periods_back = 1
    inner join categories
        on wallets.category = categories.category
    left join silences
        on wallets.customer_id = silences.customer_id
    where wallets.sow_rate is not null and wallets.opportunity_amount > 0 and coalesce(silences.state <> 'closed', true)

),

chosen as (

    select
        priority,
        customer_id,
        category,
        provenance,
        period_start_on,
        period_end_on,
        own_amount,
        wallet_amount,
        sow_rate,
        opportunity_amount,
        brand_count,
        top_brand_share,
        concentration,
        state,
        recency_days
    from ranked
    where priority <= {{ var('wallet_opportunities_most') }}

),

judged as (

    select
        chosen.priority,
        chosen.customer_id,
        chosen.category,
        chosen.provenance,
        chosen.period_start_on,
        chosen.period_end_on,
        chosen.own_amount,
        chosen.wallet_amount,
        chosen.sow_rate,
        chosen.opportunity_amount,
        chosen.state,
        chosen.recency_days,
        changes.sow_change,
        case
            when changes.share_movement = 'lost' then 'falling'
            when chosen.own_amount <= 0 then 'untapped'
            when chosen.provenance = 'modelled' then 'below_potential'
            when chosen.concentration = 'split' then 'split'
            when chosen.top_brand_share > chosen.sow_rate then 'rival_first'
            else 'ours_first'
        end as situation,
        case when chosen.brand_count = 1 then ' brand' else ' brands' end as noun,
        cast(chosen.brand_count as {{ dbt.type_string() }}) as brands,
        {{ percent_now }} as percent_now,
        {{ percent_before }} as percent_before,
        {{ percent_top }} as percent_top
    from chosen
    left join changes
        on
            chosen.customer_id = changes.customer_id
            and chosen.category = changes.category
            and chosen.provenance = changes.provenance
            and chosen.period_start_on = changes.period_start_on
            and chosen.period_end_on = changes.period_end_on

),

final as (

    select
        judged.provenance,
        judged.priority,
        judged.customer_id,
        judged.category,
        judged.period_start_on,
        judged.period_end_on,
        judged.own_amount,
        judged.wallet_amount,
        judged.sow_rate,
        judged.sow_change,
        judged.opportunity_amount,
        judged.situation,
        concat_ws(
            ' ',
            case judged.situation
                when 'untapped'
                    then
                        case judged.provenance
                            when 'modelled' then 'Bought none of it from us; customers like this one are taken to buy it.'
                            else concat('Buys ', judged.brands, judged.noun, ' of others and none of ours.')
                        end
                when 'below_potential'
                    then 'Spends less with us than customers like this one are taken to spend in all.'
                when 'falling'
                    then concat('Gave us ', judged.percent_before, ' % of it in the period before, and ', judged.percent_now, ' % now.')
                when 'split'
                    then concat('No brand of ', judged.brands, ' has more than half of it; ours has ', judged.percent_now, ' %.')
                when 'rival_first'
                    then concat('Another brand has ', judged.percent_top, ' % of it; ours has ', judged.percent_now, ' %.')
                else concat('Ours has ', judged.percent_now, ' % of it, more than any other, of ', judged.brands, judged.noun, '.')
            end,
            case
                when judged.state in ('at_risk', 'lapsed')
                    then concat(
                        'Silent for ', cast(judged.recency_days as {{ dbt.type_string() }}), ' days: ',
                        case judged.state when 'lapsed' then 'lost, to be won back first.' else 'at risk of churn.' end
                    )
            end
        ) as reason,
        judged.state,
        scores.p_alive,
        risks.churn_risk_rate
    from judged
    cross join data_window
    left join scores
        on judged.customer_id = scores.customer_id
    left join risks
        on
            judged.customer_id = risks.customer_id
            and data_window.data_end_on = risks.as_of_on

)

select * from final
