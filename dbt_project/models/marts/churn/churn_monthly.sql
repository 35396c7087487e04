{%- set flows = [
    'new_count', 'reactivated_count', 'churned_count', 'churned_new_count', 'pending_count', 'pending_new_count'
] -%}
{%- set states = ['active', 'at_risk', 'lapsed', 'closed'] -%}

with presences as (

    select * from {{ ref('int_customer_presences') }}

),

members as (

    select * from {{ ref('int_cohort_members_summed') }}

),

runs as (

    select * from {{ ref('int_customer_state_months') }}

),

label_sets as (

    select * from {{ ref('int_cohort_label_sets') }}

),

data_window as (

    select
        {{ month_number('data_start_on') }} as first_number,
        {{ month_number('data_end_on') }} as last_number,
        {{ month_number(add_days('data_end_on', 1)) }} - 1 as last_complete_number
    from {{ ref('int_data_window') }}

),

-- Churns, and those to come: of customers at risk, dated as it will be if they lapse.
churns as (

    select
        label_set_id,
        initiator,
        cause,
        pending_on is not null as is_pending,
        {{ month_number('arrived_on') }} as arrival_number,
        {{ month_number('coalesce(churned_on, pending_on)') }} as month_number,
        {{ month_number('returned_on') }} as return_number
    from presences
    where churned_on is not null or pending_on is not null

),

-- What came and went, by label set and month; causes only where somebody went.
events as (

    select
        label_set_id,
        {{ month_number('first_purchased_on') }} as month_number,
        'all' as initiator,
        'all' as cause,
        member_count as new_count,
        0 as reactivated_count,
        0 as churned_count,
        0 as churned_new_count,
        0 as pending_count,
        0 as pending_new_count
    from members

    union all

    select
        label_set_id,
        return_number as month_number,
        'all' as initiator,
        'all' as cause,
        0 as new_count,
        1 as reactivated_count,
        0 as churned_count,
        0 as churned_new_count,
        0 as pending_count,
        0 as pending_new_count
    from churns
    where return_number is not null

{% for initiator, cause, condition in [("'all'", "'all'", 'true'), ('initiator', 'cause', 'not is_pending')] %}
    union all

    select
        label_set_id,
        month_number,
        {{ initiator }} as initiator,
        {{ cause }} as cause,
        0 as new_count,
        0 as reactivated_count,
        case when not is_pending and arrival_number < month_number then 1 else 0 end as churned_count,
        case when is_pending or arrival_number < month_number then 0 else 1 end as churned_new_count,
        case when is_pending and arrival_number < month_number then 1 else 0 end as pending_count,
        case when not is_pending or arrival_number < month_number then 0 else 1 end as pending_new_count
    from churns
    where {{ condition }}
{% endfor %}
),

label_set_flows as (

    select
        label_set_id,
        month_number,
        initiator,
        cause,
        {%- for flow in flows %}
        {{ sum_bigint(flow) }} as {{ flow }}{{ ',' if not loop.last }}
        {%- endfor %}
    from events
    group by
        label_set_id,
        month_number,
        initiator,
        cause

),

segment_flows as (

    select
        label_sets.segment_name,
        label_sets.segment_value,
        label_set_flows.month_number,
        label_set_flows.initiator,
        label_set_flows.cause,
        {%- for flow in flows %}
        {{ sum_bigint('label_set_flows.' ~ flow) }} as {{ flow }}{{ ',' if not loop.last }}
        {%- endfor %}
    from label_set_flows
    inner join label_sets
        on label_set_flows.label_set_id = label_sets.label_set_id
    group by
        label_sets.segment_name,
        label_sets.segment_value,
        label_set_flows.month_number,
        label_set_flows.initiator,
        label_set_flows.cause

),

months as (

    select {{ integer_series('first_number', 'last_number') }} as month_number
    from data_window

),

spine as (

    select
        segments.segment_name,
        segments.segment_value,
        months.month_number
    from (select distinct segment_name, segment_value from segment_flows) as segments
    cross join months

),

totals as (

    select
        spine.segment_name,
        spine.segment_value,
        spine.month_number,
        {%- for flow in flows %}
        coalesce(segment_flows.{{ flow }}, 0) as {{ flow }},
        {%- endfor %}
        cast(coalesce(sum(
            segment_flows.new_count + segment_flows.reactivated_count
            - segment_flows.churned_count - segment_flows.churned_new_count
        ) over (
            partition by spine.segment_name, spine.segment_value
            order by spine.month_number
            rows between unbounded preceding and 1 preceding
        ), 0) as bigint) as base_count
    from spine
    left join segment_flows
        on
            spine.segment_name = segment_flows.segment_name
            and spine.segment_value = segment_flows.segment_value
            and spine.month_number = segment_flows.month_number
            and segment_flows.initiator = 'all'

),

-- How many customers a month ended with in each state: what begins less what is over, added up.
state_steps as (

    select
        label_set_id,
        state,
        from_number as month_number,
        1 as step
    from runs

    union all

    select
        label_set_id,
        state,
        to_number + 1 as month_number,
        -1 as step
    from runs

),

label_set_steps as (

    select
        label_set_id,
        state,
        month_number,
        sum(step) as step
    from state_steps
    group by
        label_set_id,
        state,
        month_number

),

segment_steps as (

    select
        label_sets.segment_name,
        label_sets.segment_value,
        label_set_steps.month_number,
        {%- for state in states %}
        sum(case when label_set_steps.state = '{{ state }}' then label_set_steps.step else 0 end) as {{ state }}_step
        {{- ',' if not loop.last }}
        {%- endfor %}
    from label_set_steps
    inner join label_sets
        on label_set_steps.label_set_id = label_sets.label_set_id
    group by
        label_sets.segment_name,
        label_sets.segment_value,
        label_set_steps.month_number

),

state_counts as (

    select
        spine.segment_name,
        spine.segment_value,
        spine.month_number,
        {%- for state in states %}
        cast(coalesce(sum(segment_steps.{{ state }}_step) over (
            partition by spine.segment_name, spine.segment_value
            order by spine.month_number
            rows between unbounded preceding and current row
        ), 0) as bigint) as {{ state }}_count{{ ',' if not loop.last }}
        {%- endfor %}
    from spine
    left join segment_steps
        on
            spine.segment_name = segment_steps.segment_name
            and spine.segment_value = segment_steps.segment_value
            and spine.month_number = segment_steps.month_number

),

-- A run of net loss is counted from the last month that was none; where that hangs on who is at risk, it is not known.
losses as (

    select
        *,
        coalesce(
            max(
                case
                    when
                        new_count + reactivated_count
                        >= churned_count + churned_new_count + pending_count + pending_new_count then month_number
                end
            ) over to_here,
            min(month_number) over (partition by segment_name, segment_value) - 1
        ) as last_gain_number,
        max(
            case
                when
                    new_count + reactivated_count >= churned_count + churned_new_count
                    and new_count + reactivated_count
                    < churned_count + churned_new_count + pending_count + pending_new_count then month_number
            end
        ) over to_here as last_open_number
    from totals
    window to_here as (
        partition by segment_name, segment_value
        order by month_number
        rows between unbounded preceding and current row
    )

),

combined as (

    select
        losses.month_number,
        losses.segment_name,
        losses.segment_value,
        'all' as initiator,
        'all' as cause,
        losses.churned_count,
        losses.base_count,
        losses.churned_new_count,
        losses.pending_count,
        losses.new_count,
        losses.reactivated_count,
        case
            when losses.last_open_number is null or losses.last_open_number < losses.last_gain_number
                then losses.month_number - losses.last_gain_number
        end as net_loss_month_count,
        state_counts.active_count,
        state_counts.at_risk_count,
        state_counts.lapsed_count,
        state_counts.closed_count
    from losses
    inner join state_counts
        on
            losses.segment_name = state_counts.segment_name
            and losses.segment_value = state_counts.segment_value
            and losses.month_number = state_counts.month_number

    union all

    select
        totals.month_number,
        totals.segment_name,
        totals.segment_value,
        segment_flows.initiator,
        segment_flows.cause,
        segment_flows.churned_count,
        totals.base_count,
        segment_flows.churned_new_count,
        cast(null as bigint) as pending_count,
        cast(null as bigint) as new_count,
        cast(null as bigint) as reactivated_count,
        cast(null as bigint) as net_loss_month_count,
        cast(null as bigint) as active_count,
        cast(null as bigint) as at_risk_count,
        cast(null as bigint) as lapsed_count,
        cast(null as bigint) as closed_count
    from segment_flows
    inner join totals
        on
            segment_flows.segment_name = totals.segment_name
            and segment_flows.segment_value = totals.segment_value
            and segment_flows.month_number = totals.month_number
    where segment_flows.initiator <> 'all'

),

final as (

    select
        {{ period_number_start("'month'", 'combined.month_number') }} as month,
        combined.segment_name,
        combined.segment_value,
        combined.initiator,
        combined.cause,
        combined.churned_count,
        combined.base_count,
        {{ ratio('combined.churned_count', 'combined.base_count') }} as churn_rate,
        {{ ratio('combined.churned_count + combined.pending_count', 'combined.base_count') }} as possible_churn_rate,
        combined.churned_new_count,
        combined.pending_count,
        combined.new_count,
        combined.reactivated_count,
        case
            when combined.month_number <= data_window.last_complete_number
                then cast(combined.net_loss_month_count as bigint)
        end as net_loss_month_count,
        {%- for state in states %}
        case
            when combined.month_number <= data_window.last_complete_number then combined.{{ state }}_count
        end as {{ state }}_count,
        {%- endfor %}
        combined.month_number <= data_window.last_complete_number as is_complete
    from combined
    cross join data_window

)

select * from final
