with customer_periods as (

    select * from {{ ref('int_customer_periods') }}

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

classified as (

    select
        period_grain,
        period_number,
        net_minor,
        net_minor - previous_net_minor as change_minor,
        case
            when previous_period_number is null then 'new'
            when previous_period_number = period_number - 1 then 'retained'
            else 'resurrected'
        end as activity_class
    from customer_periods

),

present as (

    select
        period_grain,
        period_number,
        count(*) as active_count,
        count(*) filter (where activity_class = 'new') as new_count,
        count(*) filter (where activity_class = 'retained') as retained_count,
        count(*) filter (where activity_class = 'resurrected') as resurrected_count,
        sum(net_minor) as revenue_minor,
        sum(net_minor) filter (where activity_class = 'new') as new_minor,
        sum(net_minor) filter (where activity_class = 'resurrected') as resurrected_minor,
        sum(change_minor) filter (where activity_class = 'retained' and change_minor > 0) as expansion_minor,
        -sum(change_minor) filter (where activity_class = 'retained' and change_minor < 0) as contraction_minor
    from classified
    group by
        period_grain,
        period_number

),

-- Booked to the period in which the customer is missed. Counted from the customers who leave, not as the
-- difference of the other classes: only so do the identities test anything.
absent as (

    select
        period_grain,
        period_number + 1 as period_number,
        count(*) as churned_count,
        sum(net_minor) as churned_minor
    from customer_periods
    where next_period_number is distinct from period_number + 1
    group by
        period_grain,
        period_number + 1

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
        coalesce(present.active_count, 0) as active_count,
        coalesce(present.new_count, 0) as new_count,
        coalesce(present.retained_count, 0) as retained_count,
        coalesce(present.resurrected_count, 0) as resurrected_count,
        coalesce(absent.churned_count, 0) as churned_count,
        coalesce(present.revenue_minor, 0) as revenue_minor,
        coalesce(present.new_minor, 0) as new_minor,
        coalesce(present.resurrected_minor, 0) as resurrected_minor,
        coalesce(present.expansion_minor, 0) as expansion_minor,
        coalesce(present.contraction_minor, 0) as contraction_minor,
        coalesce(absent.churned_minor, 0) as churned_minor,
        coalesce(guests.guest_minor, 0) as guest_minor
    from periods
    left join present
        on
            periods.period_grain = present.period_grain
            and periods.period_number = present.period_number
    left join absent
        on
            periods.period_grain = absent.period_grain
            and periods.period_number = absent.period_number
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
