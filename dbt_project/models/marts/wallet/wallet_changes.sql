with wallets as (

    select * from {{ ref('int_wallets_observed') }}
    where
        wallet_minor > 0
        and earlier_wallet_minor > 0
        and own_minor is not null
        and earlier_own_minor is not null

),

data_window as (

    select data_end_on
    from {{ ref('int_data_window') }}

),

shares as (

    select
        wallets.customer_id,
        wallets.period_start_on,
        wallets.period_end_on,
        wallets.category,
        wallets.provenance,
        wallets.earlier_own_minor,
        wallets.own_minor,
        wallets.earlier_wallet_minor,
        wallets.wallet_minor,
        least(greatest({{ ratio('wallets.earlier_own_minor', 'wallets.earlier_wallet_minor') }}, 0), 1) as earlier_sow_rate,
        least(greatest({{ ratio('wallets.own_minor', 'wallets.wallet_minor') }}, 0), 1) as sow_rate,
        -- Half of what the wallet's change brings at the earlier share and half of what it brings at the later one.
        cast(round(
            cast(wallets.wallet_minor - wallets.earlier_wallet_minor as double)
            * (
                {{ ratio('wallets.earlier_own_minor', 'wallets.earlier_wallet_minor') }}
                + {{ ratio('wallets.own_minor', 'wallets.wallet_minor') }}
            )
            / 2
        ) as bigint) as wallet_effect_minor
    from wallets
    inner join data_window
        on wallets.period_end_on <= data_window.data_end_on

),

moved as (

    select
        customer_id,
        period_start_on,
        period_end_on,
        category,
        provenance,
        earlier_own_minor,
        own_minor,
        earlier_wallet_minor,
        wallet_minor,
        earlier_sow_rate,
        sow_rate,
        wallet_effect_minor,
        case
            when sow_rate - earlier_sow_rate > {{ var('wallet_share_tolerance') }} then 'gained'
            when earlier_sow_rate - sow_rate > {{ var('wallet_share_tolerance') }} then 'lost'
            else 'kept'
        end as share_movement
    from shares

),

final as (

    select
        customer_id,
        period_start_on,
        period_end_on,
        category,
        provenance,
        {{ to_amount('earlier_own_minor') }} as earlier_own_amount,
        {{ to_amount('own_minor') }} as own_amount,
        {{ to_amount('own_minor - earlier_own_minor') }} as own_change_amount,
        {{ to_amount('earlier_wallet_minor') }} as earlier_wallet_amount,
        {{ to_amount('wallet_minor') }} as wallet_amount,
        {{ to_amount('wallet_minor - earlier_wallet_minor') }} as wallet_change_amount,
        earlier_sow_rate,
        sow_rate,
        sow_rate - earlier_sow_rate as sow_change,
        share_movement,
        share_movement = 'lost' and own_minor > earlier_own_minor as is_leaving_slowly,
        {{ to_amount('wallet_effect_minor') }} as wallet_effect_amount,
        {{ to_amount('own_minor - earlier_own_minor - wallet_effect_minor') }} as share_effect_amount
    from moved

)

select * from final
