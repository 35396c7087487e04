with paths as (

    select * from {{ ref('int_tier_paths_walked') }}

),

tiers as (

    select * from {{ ref('tiers') }}

),

rules as (

    select * from {{ ref('int_tier_rules_dated') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

versions as (

    select distinct
        program_id,
        rule_version,
        valid_from_on,
        valid_to_on
    from rules

),

final as (

    select
        paths.program_id,
        paths.customer_id,
        tiers.tier,
        paths.change_reason,
        paths.tier_rank,
        versions.rule_version,
        paths.is_override,
        paths.held_from_on as valid_from,
        case when paths.held_until_on <= data_window.data_end_on then paths.held_until_on end as valid_to
    from paths
    inner join data_window
        on paths.held_from_on <= data_window.data_end_on
    inner join tiers
        on
            paths.program_id = tiers.program_id
            and paths.tier_rank = tiers.tier_rank
    inner join versions
        on
            paths.program_id = versions.program_id
            and {{ is_within('paths.held_from_on', 'versions.valid_from_on', 'versions.valid_to_on') }}

)

select * from final
