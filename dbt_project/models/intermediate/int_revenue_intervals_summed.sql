{#- Months in the long window. Its sums come from running sums over events, at any length the same cost. -#}
{%- set trailing_months = 12 -%}

with customer_periods as (

    {{ signed_rows('int_customer_periods') }}

),

-- Windows of one period: the two sums of a customer are two neighbouring rows. Window ends are month numbers.
adjacent_states as (

    select
        period_grain as window_name,
        case when period_grain = 'quarter' then period_number * 3 + 2 else period_number end as from_month_number,
        case when period_grain = 'quarter' then period_number * 3 + 5 else period_number + 1 end as until_month_number,
        net_minor as current_minor,
        case when previous_period_number = period_number - 1 then previous_net_minor else 0 end as prior_minor,
        true as is_active,
        coalesce(previous_period_number = period_number - 1, false) as was_active,
        previous_period_number is null as is_new,
        row_sign
    from customer_periods
    where period_grain in ('month', 'quarter')

    union all

    select
        period_grain as window_name,
        case when period_grain = 'quarter' then period_number * 3 + 5 else period_number + 1 end as from_month_number,
        case when period_grain = 'quarter' then period_number * 3 + 8 else period_number + 2 end as until_month_number,
        0 as current_minor,
        net_minor as prior_minor,
        false as is_active,
        true as was_active,
        false as is_new,
        row_sign
    from customer_periods
    where
        period_grain in ('month', 'quarter')
        and next_period_number is distinct from period_number + 1

),

-- A month's revenue enters the trailing window at once, moves to the prior one after its length and leaves that
-- after twice its length. Between these events a customer's sums stand still: no row per customer and month.
trailing_events as (
{% for months_later, current_sign, prior_sign in [(0, 1, 0), (trailing_months, -1, 1), (2 * trailing_months, 0, -1)] %}
    select
        customer_id,
        row_sign,
        period_number + {{ months_later }} as month_number,
        {{ current_sign }} * net_minor as current_change_minor,
        {{ prior_sign }} * net_minor as prior_change_minor,
        {{ current_sign }} as current_change_count,
        {{ prior_sign }} as prior_change_count
    from customer_periods
    where period_grain = 'month'
{% if not loop.last %}
    union all
{% endif %}{% endfor %}
),

trailing_changes as (

    select
        customer_id,
        row_sign,
        month_number,
        sum(current_change_minor) as current_change_minor,
        sum(prior_change_minor) as prior_change_minor,
        sum(current_change_count) as current_change_count,
        sum(prior_change_count) as prior_change_count
    from trailing_events
    group by
        customer_id,
        row_sign,
        month_number

),

trailing_sums as (

    select
        row_sign,
        month_number,
        lead(month_number) over by_customer as next_month_number,
        sum(current_change_minor) over to_here as current_minor,
        sum(prior_change_minor) over to_here as prior_minor,
        sum(current_change_count) over to_here as current_month_count,
        sum(prior_change_count) over to_here as prior_month_count,
        min(month_number) over to_here as first_month_number
    from trailing_changes
    window
        by_customer as (
            partition by customer_id, row_sign
            order by month_number
        ),
        to_here as (
            partition by customer_id, row_sign
            order by month_number
            rows between unbounded preceding and current row
        )

),

states as (

    select
        window_name,
        from_month_number,
        until_month_number,
        current_minor,
        prior_minor,
        is_active,
        was_active,
        is_new,
        row_sign
    from adjacent_states

    union all

    select
        'trailing_{{ trailing_months }}_months' as window_name,
        month_number as from_month_number,
        next_month_number as until_month_number,
        current_minor,
        prior_minor,
        current_month_count > 0 as is_active,
        prior_month_count > 0 as was_active,
        month_number < first_month_number + {{ trailing_months }} as is_new,
        row_sign
    from trailing_sums
    where
        current_month_count > 0
        or prior_month_count > 0

),

-- The one place that says which revenue counts where.
final as (

    select
        window_name,
        from_month_number,
        until_month_number,
        {{ sum_bigint('row_sign') }} as state_count,
        {{ sum_where('row_sign', 'prior_minor > 0') }} as base_count,
        {{ sum_where('row_sign * prior_minor', 'prior_minor > 0') }} as base_minor,
        {{ sum_where('row_sign * current_minor', 'prior_minor > 0') }} as base_current_minor,
        {{ sum_where('row_sign * greatest(0, least(current_minor, prior_minor))', 'prior_minor > 0') }} as kept_minor,
        {{ sum_where('row_sign * current_minor', 'is_new') }} as new_minor,
        {{ sum_where('row_sign * current_minor', 'not is_new and prior_minor <= 0') }} as resurrected_minor,
        {{ sum_where('row_sign', 'was_active') }} as start_count,
        {{ sum_where('row_sign', 'is_active') }} as end_count,
        {{ sum_where('row_sign', 'is_new') }} as new_count
    from states
    group by
        window_name,
        from_month_number,
        until_month_number

)

select * from final
