with paths as (

    select * from {{ ref('int_tier_paths_walked') }}

),

granted as (

    select * from {{ ref('int_tiers_granted') }}

),

amounts as (

    select * from {{ ref('int_qualifying_amounts_dated') }}

),

members as (

    select * from {{ ref('int_members_enrolled') }}

),

tiers as (

    select * from {{ ref('tiers') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

-- The rules of today.
rules as (

    select dated.*
    from {{ ref('int_tier_rules_dated') }} as dated
    cross join data_window
    where {{ is_within('data_window.data_end_on', 'dated.valid_from_on', 'dated.valid_to_on') }}

),

versions as (

    select distinct
        program_id,
        rule_version
    from rules

),

current_paths as (

    select
        paths.program_id,
        paths.customer_id,
        paths.tier_rank,
        paths.is_override,
        paths.held_from_on
    from paths
    cross join data_window
    where {{ is_within('data_window.data_end_on', 'paths.held_from_on', 'paths.held_until_on') }}

),

-- The path goes on beyond the data as it will if nothing is bought.
losses as (

    select
        current_paths.program_id,
        current_paths.customer_id,
        min(paths.held_from_on) as expires_on
    from current_paths
    inner join paths
        on
            current_paths.program_id = paths.program_id
            and current_paths.customer_id = paths.customer_id
            and current_paths.held_from_on < paths.held_from_on
            and current_paths.tier_rank > paths.tier_rank
    group by
        current_paths.program_id,
        current_paths.customer_id

),

-- In grace: nothing but grace days grants the tier any more.
graces as (

    select
        granted.program_id,
        granted.customer_id,
        granted.level_rank,
        max(coalesce(granted.valid_until_on, {{ forever() }})) <= max(data_window.data_end_on) as is_in_grace
    from granted
    cross join data_window
    where {{ is_within('data_window.data_end_on', 'granted.granted_from_on', 'granted.granted_until_on') }}
    group by
        granted.program_id,
        granted.customer_id,
        granted.level_rank

),

totals as (

    select
        amounts.window_id,
        amounts.customer_id,
        {{ sum_bigint('amounts.spend_minor') }} as spend_minor,
        {{ sum_bigint('amounts.order_count') }} as order_count,
        {{ sum_bigint('amounts.purchase_day_count') }} as purchase_day_count,
        {{ sum_bigint('amounts.point_count') }} as point_count
    from amounts
    cross join data_window
    where {{ is_within('data_window.data_end_on', 'amounts.counts_from_on', 'amounts.counts_until_on') }}
    group by
        amounts.window_id,
        amounts.customer_id

),

-- Measured by what the next tier asks for; on top, by what the tier itself does.
measured as (

    select
        current_paths.program_id,
        current_paths.customer_id,
        current_paths.tier_rank,
        current_paths.is_override,
        current_paths.held_from_on,
        next_rules.tier_rank as next_rank,
        next_rules.threshold_units as next_units,
        coalesce(next_rules.metric, own_rules.metric) as qualifying_metric,
        coalesce(next_rules.window_id, own_rules.window_id) as window_id
    from current_paths
    left join rules as next_rules
        on
            current_paths.program_id = next_rules.program_id
            and current_paths.tier_rank + 1 = next_rules.tier_rank
    left join rules as own_rules
        on
            current_paths.program_id = own_rules.program_id
            and current_paths.tier_rank = own_rules.tier_rank

),

valued as (

    select
        measured.*,
        coalesce({{ metric_units('measured.qualifying_metric', 'totals.') }}, 0) as total_units
    from measured
    left join totals
        on
            measured.window_id = totals.window_id
            and measured.customer_id = totals.customer_id

),

final as (

    select
        valued.program_id,
        valued.customer_id,
        tiers.tier,
        next_tiers.tier as next_tier,
        valued.qualifying_metric,
        valued.tier_rank,
        versions.rule_version,
        {{ metric_amount('valued.qualifying_metric', 'valued.total_units') }} as qualifying_amount,
        case
            when valued.next_units is not null
                then {{ metric_amount(
                    'valued.qualifying_metric', 'greatest(valued.next_units - valued.total_units, 0)'
                ) }}
        end as amount_to_next_tier,
        not valued.is_override and coalesce(graces.is_in_grace, false) as is_in_grace,
        valued.is_override,
        members.member_since_on,
        valued.held_from_on as tier_since_on,
        losses.expires_on as tier_expires_on
    from valued
    inner join members
        on
            valued.program_id = members.program_id
            and valued.customer_id = members.customer_id
    inner join tiers
        on
            valued.program_id = tiers.program_id
            and valued.tier_rank = tiers.tier_rank
    inner join versions
        on valued.program_id = versions.program_id
    left join tiers as next_tiers
        on
            valued.program_id = next_tiers.program_id
            and valued.next_rank = next_tiers.tier_rank
    left join graces
        on
            valued.program_id = graces.program_id
            and valued.customer_id = graces.customer_id
            and valued.tier_rank = graces.level_rank
    left join losses
        on
            valued.program_id = losses.program_id
            and valued.customer_id = losses.customer_id

)

select * from final
