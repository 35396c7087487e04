with observed as (

    select * from {{ ref('int_wallets_observed') }}
    where provenance = 'panel' and wallet_minor is not null

),

customers as (

    select * from {{ ref('int_customer_purchases') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}
    where data_end_on is not null and {{ 'true' if var('wallet_quantile') else 'false' }}

),

-- Quarters have 90, 91 or 92 days, months 28 to 31: to whole weeks they are equally long.
panel_periods as (

    select
        observed.period_start_on,
        observed.period_end_on,
        round({{ ratio(days_between('observed.period_start_on', 'observed.period_end_on') ~ ' + 1', 7) }}) as length_weeks,
        count(*) as wallet_count
    from observed
    inner join data_window
        on observed.period_end_on <= data_window.data_end_on
    group by
        observed.period_start_on,
        observed.period_end_on

),

commonest as (

    select length_weeks
    from panel_periods
    group by length_weeks
    order by
        sum(wallet_count) desc,
        length_weeks desc
    limit 1

),

distinct_ends as (

    select
        panel_periods.period_start_on,
        panel_periods.period_end_on,
        row_number() over (
            partition by panel_periods.period_end_on
            order by
                panel_periods.wallet_count desc,
                panel_periods.period_start_on
        ) as period_rank
    from panel_periods
    inner join commonest
        on panel_periods.length_weeks = commonest.length_weeks

),

numbered as (

    select
        period_start_on,
        period_end_on,
        row_number() over (order by period_end_on desc) - 1 as period_number
    from distinct_ends
    where period_rank = 1

),

-- Learnt is from earlier periods, and from who buys from us.
bases as (

    select
        case
            when count(distinct observed.customer_id) >= {{ var('wallet_least_customers') }} then 'observed' else 'own_spend'
        end as basis
    from observed
    inner join numbered
        on
            observed.period_start_on = numbered.period_start_on
            and observed.period_end_on = numbered.period_end_on
            and numbered.period_number between 1 and {{ var('wallet_learning_periods') }}
    inner join customers
        on observed.customer_id = customers.customer_id

),

steps as (

    select
        data_start_on,
        {{ period_start('quarter', add_days('data_end_on', 1)) }} as after_end_on,
        {{ integer_series(0, var('wallet_learning_periods')) }} as period_number
    from data_window

),

quarters as (

    select
        data_start_on,
        {{ add_months('after_end_on', '-3 * (period_number + 1)') }} as period_start_on,
        {{ add_days(add_months('after_end_on', '-3 * period_number'), -1) }} as period_end_on,
        period_number
    from steps

),

combined as (

    select
        numbered.period_start_on,
        numbered.period_end_on,
        numbered.period_number,
        bases.basis
    from numbered
    inner join bases
        on bases.basis = 'observed'

    union all

    select
        quarters.period_start_on,
        quarters.period_end_on,
        quarters.period_number,
        bases.basis
    from quarters
    inner join bases
        on bases.basis = 'own_spend'
    where quarters.period_start_on >= quarters.data_start_on

),

final as (

    select
        period_start_on,
        period_end_on,
        basis,
        cast(period_number as bigint) as period_number,
        period_number = 0 as is_current,
        case when basis = 'observed' then period_end_on else {{ add_days('period_start_on', -1) }} end as known_until_on
    from combined
    where period_number <= {{ var('wallet_learning_periods') }}

)

select * from final
