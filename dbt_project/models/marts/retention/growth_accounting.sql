with sums as (

    select * from {{ ref('int_growth_summed') }}

),

orders as (

    select * from {{ ref('int_orders_enriched') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

period_bounds as (

    select * from {{ ref('int_period_bounds') }}

),

periods as (

    select
        period_grain,
        {{ integer_series('first_number', 'last_number') }} as period_number,
        first_number,
        last_complete_number
    from period_bounds
    where period_grain in ('week', 'month')

),

guests as (
{% for grain in ['week', 'month'] %}
    select
        '{{ grain }}' as period_grain,
        {{ period_number(grain, 'orders.business_date') }} as period_number,
        sum(orders.net_minor) as guest_minor
    from orders
    inner join data_window
        on orders.business_date <= data_window.data_end_on
    where
        orders.is_valid_sale
        and not orders.is_identified
    group by all
{% if not loop.last %}
    union all
{% endif %}{% endfor %}
),

joined as (

    select
        periods.period_grain,
        periods.period_number,
        {{ period_number_start('periods.period_grain', 'periods.period_number') }} as period_start_on,
        periods.period_number <= periods.last_complete_number as is_complete,
        periods.period_number = periods.first_number as is_left_truncated,
        coalesce(sums.active_count, 0) as active_count,
        coalesce(sums.new_count, 0) as new_count,
        coalesce(sums.retained_count, 0) as retained_count,
        coalesce(sums.resurrected_count, 0) as resurrected_count,
        coalesce(sums.churned_count, 0) as churned_count,
        coalesce(sums.revenue_minor, 0) as revenue_minor,
        coalesce(sums.new_minor, 0) as new_minor,
        coalesce(sums.resurrected_minor, 0) as resurrected_minor,
        coalesce(sums.expansion_minor, 0) as expansion_minor,
        coalesce(sums.contraction_minor, 0) as contraction_minor,
        coalesce(sums.churned_minor, 0) as churned_minor,
        coalesce(guests.guest_minor, 0) as guest_minor
    from periods
    left join sums
        on
            periods.period_grain = sums.period_grain
            and periods.period_number = sums.period_number
    left join guests
        on
            periods.period_grain = guests.period_grain
            and periods.period_number = guests.period_number

),

-- Before the period is over nobody has stayed away from it, and nobody has spent all of it.
final as (

    select
        period_grain,
        period_start_on,
        {{ period_label('period_grain', 'period_start_on') }} as period_label,
        active_count,
        new_count,
        retained_count,
        resurrected_count,
        case when is_complete then churned_count end as churned_count,
        case when is_complete then {{ ratio('new_count + resurrected_count', 'churned_count') }} end as quick_ratio,
        {{ to_amount('revenue_minor') }} as revenue_amount,
        {{ to_amount('new_minor') }} as new_amount,
        {{ to_amount('resurrected_minor') }} as resurrected_amount,
        case when is_complete then {{ to_amount('expansion_minor') }} end as expansion_amount,
        case when is_complete then {{ to_amount('contraction_minor') }} end as contraction_amount,
        case when is_complete then {{ to_amount('churned_minor') }} end as churned_amount,
        {{ to_amount('guest_minor') }} as guest_amount,
        {{ ratio('revenue_minor', 'revenue_minor + guest_minor') }} as identified_revenue_share,
        is_complete,
        is_left_truncated
    from joined

)

select * from final
