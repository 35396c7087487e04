with rules as (

    select * from {{ ref('int_tier_rules_dated') }}

),

members as (

    select * from {{ ref('int_members_enrolled') }}

),

purchase_days as (

    select * from {{ ref('int_purchase_days') }}
    where {{ is_affected('customer') }}

),

refunds as (

    select * from {{ ref('int_refunds_enriched') }}
    where {{ is_affected('customer') }}

),

rated_orders as (

    select * from {{ ref('int_orders_rated') }}
    where
        qualifying_points > 0
        and {{ is_affected('customer') }}

),

accumulated_refunds as (

    select * from {{ ref('int_refunds_accumulated') }}
    where {{ is_affected('customer') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

windows as (

    select
        program_id,
        window_id,
        window_type,
        window_months,
        is_history_counted,
        bool_or(metric = 'points') as is_of_points,
        bool_or(metric <> 'points') as is_of_purchases
    from rules
    group by
        program_id,
        window_id,
        window_type,
        window_months,
        is_history_counted

),

-- A refund takes money back; the order was one all the same. One that is dated after the watermark counts from then on.
amounts as (

    select
        customer_id,
        purchased_on,
        purchased_on as happened_on,
        gross_minor as spend_minor,
        order_count,
        1 as purchase_day_count,
        0 as point_count,
        false as is_refund
    from purchase_days

    union all

    select
        refunds.customer_id,
        refunds.ordered_on as purchased_on,
        greatest(refunds.business_date, refunds.ordered_on) as happened_on,
        - refunds.refund_minor as spend_minor,
        0 as order_count,
        0 as purchase_day_count,
        0 as point_count,
        true as is_refund
    from refunds
    inner join data_window
        on refunds.ordered_on <= data_window.data_end_on
    where refunds.is_valid_sale and refunds.customer_id is not null

),

point_amounts as (

    select
        rated_orders.program_id,
        rated_orders.customer_id,
        rated_orders.business_date as purchased_on,
        rated_orders.business_date as happened_on,
        rated_orders.qualifying_points as point_count,
        false as is_refund
    from rated_orders

    union all

    select
        rated_orders.program_id,
        rated_orders.customer_id,
        rated_orders.business_date as purchased_on,
        accumulated_refunds.business_date as happened_on,
        {{ points_left(
            'rated_orders.qualifying_points', 'accumulated_refunds.left_minor', 'accumulated_refunds.gross_minor'
        ) }}
        - {{ points_left(
            'rated_orders.qualifying_points', 'accumulated_refunds.left_before_minor', 'accumulated_refunds.gross_minor'
        ) }} as point_count,
        true as is_refund
    from rated_orders
    inner join accumulated_refunds
        on rated_orders.order_id = accumulated_refunds.order_id

),

member_amounts as (

    select
        windows.window_id,
        windows.window_type,
        windows.window_months,
        members.customer_id,
        members.member_since_on,
        amounts.purchased_on,
        greatest(amounts.happened_on, members.member_since_on) as known_on,
        amounts.spend_minor,
        amounts.order_count,
        amounts.purchase_day_count,
        amounts.point_count,
        amounts.is_refund
    from amounts
    inner join members
        on amounts.customer_id = members.customer_id
    inner join windows
        on
            members.program_id = windows.program_id
            and windows.is_of_purchases
    where
        amounts.purchased_on >= members.member_since_on
        or (windows.is_history_counted and windows.window_type <> 'enrolment_anniversary')

    union all

    -- Points are a programme's own, and given to its members alone.
    select
        windows.window_id,
        windows.window_type,
        windows.window_months,
        members.customer_id,
        members.member_since_on,
        point_amounts.purchased_on,
        point_amounts.happened_on as known_on,
        0 as spend_minor,
        0 as order_count,
        0 as purchase_day_count,
        point_amounts.point_count,
        point_amounts.is_refund
    from point_amounts
    inner join members
        on
            point_amounts.program_id = members.program_id
            and point_amounts.customer_id = members.customer_id
    inner join windows
        on
            members.program_id = windows.program_id
            and windows.is_of_points

),

-- Windows with an end are sums of their own, each begun at nothing; all moving ones of a member are one sum.
numbered as (

    select
        *,
        case window_type
            when 'calendar_year' then cast(year(purchased_on) as bigint)
            when 'enrolment_anniversary'
                then cast({{ integer_quotient(whole_months_between('member_since_on', 'purchased_on'), 12) }} as bigint)
            else 0
        end as window_number
    from member_amounts

),

dated as (

    select
        *,
        case window_type
            when 'calendar_months' then {{ next_month_start('known_on') }}
            else known_on
        end as counts_from_on,
        case window_type
            when 'rolling_months' then {{ add_months('purchased_on', 'window_months') }}
            when 'calendar_months' then {{ add_months(next_month_start('purchased_on'), 'window_months') }}
            when 'calendar_year' then {{ add_months(period_start('year', 'purchased_on'), 12) }}
            when 'enrolment_anniversary' then {{ add_months('member_since_on', '12 * (window_number + 1)') }}
        end as counts_until_on
    from numbered

),

final as (

    select
        window_id,
        customer_id,
        window_number,
        spend_minor,
        order_count,
        purchase_day_count,
        point_count,
        is_refund,
        counts_from_on,
        counts_until_on
    from dated
    where counts_until_on is null or counts_from_on < counts_until_on

)

select * from final
