{%- set kinds = ['member', 'base', 'active'] -%}
{%- set sums = ['churned_count', 'pending_count', 'buyer_count', 'net_minor', 'costed_minor', 'cost_minor', 'earned_points'] -%}

with paths as (

    select * from {{ ref('int_tier_paths_walked') }}

),

tiers as (

    select * from {{ ref('tiers') }}

),

presences as (

    select * from {{ ref('int_customer_presences') }}

),

states as (

    select * from {{ ref('int_customer_state_months') }}

),

purchase_days as (

    select * from {{ ref('int_purchase_days') }}

),

earned as (

    select * from {{ ref('int_points_lots') }}
    where entry_type = 'earned'

),

data_window as (

    select
        data_end_on,
        {{ month_number('data_end_on') }} as last_number,
        {{ month_number(add_days('data_end_on', 1)) }} - 1 as last_complete_number
    from {{ ref('int_data_window') }}

),

-- Of tiers that came and went within a month, none is held at its end.
runs as (

    select
        paths.program_id,
        paths.customer_id,
        tiers.tier,
        {{ month_number('paths.held_from_on') }} as from_number,
        case
            when paths.held_until_on <= data_window.data_end_on then {{ month_number('paths.held_until_on') }} - 1
            else data_window.last_number
        end as to_number
    from paths
    inner join tiers
        on
            paths.program_id = tiers.program_id
            and paths.tier_rank = tiers.tier_rank
    inner join data_window
        on paths.held_from_on <= data_window.data_end_on

),

linked as (

    select
        program_id,
        customer_id,
        tier,
        from_number,
        to_number,
        coalesce(
            lag(tier) over (
                partition by program_id, customer_id
                order by from_number
            ),
            'new'
        ) as from_tier
    from runs
    where from_number <= to_number

),

-- A run begins with a move, which may be to the same tier, and is a stay in each of its other months.
member_spans as (

    select
        program_id,
        customer_id,
        from_tier,
        tier as to_tier,
        from_number,
        from_number as to_number
    from linked

    union all

    select
        program_id,
        customer_id,
        tier as from_tier,
        tier as to_tier,
        from_number + 1 as from_number,
        to_number
    from linked
    where from_number < to_number

),

-- There when a month began: it is not the one of the arrival, and comes no later than that of the churn.
base_spans as (

    select
        members.program_id,
        members.from_tier,
        members.to_tier,
        greatest(members.from_number, presences.from_number) as from_number,
        least(members.to_number, presences.to_number) as to_number,
        presences.churned_number,
        presences.pending_number
    from member_spans as members
    inner join (
        select
            presences.customer_id,
            {{ month_number('presences.arrived_on') }} + 1 as from_number,
            coalesce({{ month_number('presences.churned_on') }}, data_window.last_number) as to_number,
            {{ month_number('presences.churned_on') }} as churned_number,
            {{ month_number('presences.pending_on') }} as pending_number
        from presences
        cross join data_window
    ) as presences
        on
            members.customer_id = presences.customer_id
            and members.from_number <= presences.to_number
            and members.to_number >= presences.from_number

),

active_spans as (

    select
        members.program_id,
        members.from_tier,
        members.to_tier,
        greatest(members.from_number, states.from_number) as from_number,
        least(members.to_number, states.to_number) as to_number
    from member_spans as members
    inner join states
        on
            members.customer_id = states.customer_id
            and members.from_number <= states.to_number
            and members.to_number >= states.from_number
    where states.state = 'active'

),

customer_months as (

    select
        customer_id,
        {{ month_number('purchased_on') }} as month_number,
        {{ sum_bigint('net_minor') }} as net_minor,
        {{ sum_bigint('costed_minor') }} as costed_minor,
        {{ sum_bigint('cost_minor') }} as cost_minor
    from purchase_days
    group by
        customer_id,
        {{ month_number('purchased_on') }}

),

-- As far as refunds left them.
point_months as (

    select
        program_id,
        customer_id,
        {{ month_number('business_date') }} as month_number,
        {{ sum_bigint(points_left('points', 'greatest(net_minor, 0)', 'gross_minor')) }} as earned_points
    from earned
    group by
        program_id,
        customer_id,
        {{ month_number('business_date') }}

),

-- Heads are counted by the first and the last month of what lasts, everything else in its month.
changes as (
{% for kind in kinds %}
{%- for month, step in [('from_number', '1'), ('to_number + 1', '-1')] %}
    select
        program_id,
        from_tier,
        to_tier,
        {{ month }} as month_number,
        {%- for other in kinds %}
        {{ step if other == kind else '0' }} as {{ other }}_step,
        {%- endfor %}
        {%- for name in sums %}
        0 as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ kind }}_spans

    union all
{% endfor %}
{%- endfor %}
{%- for name, month in [('churned_count', 'churned_number'), ('pending_count', 'pending_number')] %}
    select
        program_id,
        from_tier,
        to_tier,
        {{ month }} as month_number,
        {%- for kind in kinds %}
        0 as {{ kind }}_step,
        {%- endfor %}
        {%- for other in sums %}
        {{ '1' if other == name else '0' }} as {{ other }}{{ ',' if not loop.last }}
        {%- endfor %}
    from base_spans
    where {{ month }} >= from_number and {{ month }} <= to_number

    union all
{% endfor %}
    select
        members.program_id,
        members.from_tier,
        members.to_tier,
        customer_months.month_number,
        {%- for kind in kinds %}
        0 as {{ kind }}_step,
        {%- endfor %}
        0 as churned_count,
        0 as pending_count,
        1 as buyer_count,
        customer_months.net_minor,
        customer_months.costed_minor,
        customer_months.cost_minor,
        0 as earned_points
    from member_spans as members
    inner join customer_months
        on
            members.customer_id = customer_months.customer_id
            and members.from_number <= customer_months.month_number
            and members.to_number >= customer_months.month_number

    union all

    select
        members.program_id,
        members.from_tier,
        members.to_tier,
        point_months.month_number,
        {%- for kind in kinds %}
        0 as {{ kind }}_step,
        {%- endfor %}
        {%- for name in sums[:-1] %}
        0 as {{ name }},
        {%- endfor %}
        point_months.earned_points
    from member_spans as members
    inner join point_months
        on
            members.program_id = point_months.program_id
            and members.customer_id = point_months.customer_id
            and members.from_number <= point_months.month_number
            and members.to_number >= point_months.month_number

    union all

    -- In the months between, heads stay what they were.
    select
        first_months.program_id,
        first_months.from_tier,
        first_months.to_tier,
        {{ integer_series('first_months.first_number', 'data_window.last_number') }} as month_number,
        {%- for kind in kinds %}
        0 as {{ kind }}_step,
        {%- endfor %}
        {%- for name in sums %}
        0 as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from (
        select
            program_id,
            from_tier,
            to_tier,
            min(from_number) as first_number
        from member_spans
        group by
            program_id,
            from_tier,
            to_tier
    ) as first_months
    cross join data_window

),

changed as (

    select
        program_id,
        from_tier,
        to_tier,
        month_number,
        {%- for kind in kinds %}
        sum({{ kind }}_step) as {{ kind }}_step,
        {%- endfor %}
        {%- for name in sums %}
        {{ sum_bigint(name) }} as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from changes
    group by
        program_id,
        from_tier,
        to_tier,
        month_number

),

counted as (

    select
        program_id,
        from_tier,
        to_tier,
        month_number,
        {%- for kind in kinds %}
        cast(sum({{ kind }}_step) over to_here as bigint) as {{ kind }}_count,
        {%- endfor %}
        {{ sums | join(',\n        ') }}
    from changed
    window to_here as (
        partition by program_id, from_tier, to_tier
        order by month_number
        rows between unbounded preceding and current row
    )

),

final as (

    select
        counted.program_id,
        {{ period_number_start("'month'", 'counted.month_number') }} as month,
        counted.from_tier,
        counted.to_tier,
        {%- for kind in kinds %}
        counted.{{ kind }}_count,
        {%- endfor %}
        {%- for name in sums %}
        counted.{{ name }},
        {%- endfor %}
        counted.month_number <= data_window.last_complete_number as is_complete
    from counted
    cross join data_window
    where counted.member_count > 0

)

select * from final
