{%- set measures = [
    'base_count', 'base_minor', 'base_current_minor', 'kept_minor', 'new_minor', 'resurrected_minor',
    'start_count', 'end_count', 'new_count',
] %}
{%- set window_months = {'month': 1, 'quarter': 3, 'trailing_12_months': 12} %}

with interval_sums as (

    select * from {{ ref('int_revenue_intervals_summed') }}

),

period_bounds as (

    select * from {{ ref('int_period_bounds') }}

),

month_bounds as (

    select
        first_number as first_month_number,
        last_complete_number as last_month_number
    from period_bounds
    where period_grain = 'month'

),

window_ends as (
{% for window_name, months in window_months.items() %}
    select
        '{{ window_name }}' as window_name,
        {{ months }} as window_months,
        first_month_number,
        {{ integer_series('first_month_number', 'last_month_number') }} as month_number
    from month_bounds
{% if not loop.last %}
    union all
{% endif %}{% endfor %}
),

-- An interval's sums count from its first window end until they are taken back.
changes as (

    select
        window_name,
        from_month_number as month_number,
        {%- for measure in measures %}
        {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from interval_sums

    union all

    select
        window_name,
        until_month_number as month_number,
        {%- for measure in measures %}
        -{{ measure }} as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from interval_sums

),

month_changes as (

    select
        window_name,
        month_number,
        {%- for measure in measures %}
        sum({{ measure }}) as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from changes
    group by
        window_name,
        month_number

),

window_sums as (

    select
        window_ends.window_name,
        window_ends.window_months,
        window_ends.first_month_number,
        window_ends.month_number,
        {%- for measure in measures %}
        cast(coalesce(sum(month_changes.{{ measure }}) over to_here, 0) as bigint) as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from window_ends
    left join month_changes
        on
            window_ends.window_name = month_changes.window_name
            and window_ends.month_number = month_changes.month_number
    window to_here as (
        partition by window_ends.window_name
        order by window_ends.month_number
        rows between unbounded preceding and current row
    )

),

-- Windows that began before the data did have no figures; where only the window before did, what was there to keep is unknown.
covered as (

    select
        window_name,
        {{ period_number_start("'month'", '(month_number + 1)') }} as next_window_on,
        first_month_number > month_number - 2 * window_months + 1 as is_left_truncated,
        base_count,
        base_minor,
        base_current_minor,
        kept_minor,
        new_minor,
        resurrected_minor,
        start_count,
        end_count,
        new_count
    from window_sums
    where
        month_number - window_months + 1 >= first_month_number
        and (window_name <> 'quarter' or mod(month_number + 1, 3) = 0)

),

known as (

    select
        window_name,
        {{ add_days('next_window_on', -1) }} as window_end_on,
        case when not is_left_truncated then base_count end as base_count,
        case when not is_left_truncated then {{ to_amount('base_minor') }} end as base_amount,
        case when not is_left_truncated then {{ to_amount('base_current_minor') }} end as base_current_amount,
        case when not is_left_truncated then {{ to_amount('kept_minor') }} end as kept_amount,
        case when not is_left_truncated then {{ to_amount('resurrected_minor') }} end as resurrected_amount,
        {{ to_amount('new_minor') }} as new_amount,
        {{ to_amount('base_current_minor + resurrected_minor + new_minor') }} as revenue_amount,
        case when not is_left_truncated then start_count end as start_count,
        end_count,
        new_count,
        is_left_truncated
    from covered

),

final as (

    select
        window_name as window,  -- noqa: PRS
        window_end_on,
        base_count,
        base_amount,
        base_current_amount,
        kept_amount,
        {{ ratio('base_current_amount', 'base_amount') }} as nrr_rate,
        {{ ratio('kept_amount', 'base_amount') }} as grr_rate,
        resurrected_amount,
        new_amount,
        revenue_amount,
        {{ ratio('end_count - new_count', 'start_count') }} as crr_rate,
        start_count,
        end_count,
        new_count,
        is_left_truncated
    from known

)

select * from final
