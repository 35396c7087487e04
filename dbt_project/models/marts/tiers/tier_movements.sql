with history as (

    select * from {{ ref('tier_history') }}

),

customer_months as (

    select * from {{ ref('fct_customer_months') }}

),

data_window as (

    select
        {{ month_number('data_end_on') }} as last_number,
        {{ month_number(add_days('data_end_on', 1)) }} - 1 as last_complete_number
    from {{ ref('int_data_window') }}

),

-- Of tiers that came and went within a month, none is held at its end.
runs as (

    select
        history.program_id,
        history.customer_id,
        history.tier,
        {{ month_number('history.valid_from') }} as from_number,
        coalesce({{ month_number('history.valid_to') }} - 1, data_window.last_number) as to_number
    from history
    cross join data_window
    where {{ month_number('history.valid_from') }}
        <= coalesce({{ month_number('history.valid_to') }} - 1, data_window.last_number)

),

linked as (

    select
        *,
        coalesce(
            lag(tier) over (
                partition by program_id, customer_id
                order by from_number
            ),
            'new'
        ) as from_tier
    from runs

),

-- A run begins with a move, and is a stay in each of its other months: the stays are counted by their first and last.
moves as (

    select
        program_id,
        from_number as month_number,
        from_tier,
        tier as to_tier,
        count(*) as member_count
    from linked
    group by
        program_id,
        from_number,
        from_tier,
        tier

),

stay_steps as (

    select
        program_id,
        tier,
        from_number + 1 as month_number,
        1 as step
    from linked

    union all

    select
        program_id,
        tier,
        to_number + 1 as month_number,
        -1 as step
    from linked

),

stay_months as (

    select
        program_id,
        tier,
        month_number,
        sum(step) as step
    from stay_steps
    group by
        program_id,
        tier,
        month_number

),

months as (

    select
        first_months.program_id,
        first_months.tier,
        {{ integer_series('first_months.first_number', 'data_window.last_number') }} as month_number
    from (
        select
            program_id,
            tier,
            min(month_number) as first_number
        from stay_months
        group by
            program_id,
            tier
    ) as first_months
    cross join data_window

),

stays as (

    select
        months.program_id,
        months.month_number,
        months.tier,
        cast(sum(coalesce(stay_months.step, 0)) over (
            partition by months.program_id, months.tier
            order by months.month_number
            rows between unbounded preceding and current row
        ) as bigint) as member_count
    from months
    left join stay_months
        on
            months.program_id = stay_months.program_id
            and months.tier = stay_months.tier
            and months.month_number = stay_months.month_number

),

-- A run that follows one of the same tier begins with a stay.
counted as (

    select
        program_id,
        month_number,
        from_tier,
        to_tier,
        {{ sum_bigint('member_count') }} as member_count
    from (
        select
            program_id,
            month_number,
            from_tier,
            to_tier,
            member_count
        from moves

        union all

        select
            program_id,
            month_number,
            tier as from_tier,
            tier as to_tier,
            member_count
        from stays
    ) as cells
    group by
        program_id,
        month_number,
        from_tier,
        to_tier

),

revenue as (

    select
        linked.program_id,
        customer_months.month_number,
        case
            when customer_months.month_number = linked.from_number then linked.from_tier
            else linked.tier
        end as from_tier,
        linked.tier as to_tier,
        {{ sum_bigint('customer_months.net_minor') }} as net_minor
    from linked
    inner join (
        select
            customer_id,
            {{ month_number('month') }} as month_number,
            {{ to_minor('net_at_order_date_amount') }} as net_minor
        from customer_months
        where order_count > 0
    ) as customer_months
        on
            linked.customer_id = customer_months.customer_id
            and linked.from_number <= customer_months.month_number
            and linked.to_number >= customer_months.month_number
    group by
        linked.program_id,
        customer_months.month_number,
        case
            when customer_months.month_number = linked.from_number then linked.from_tier
            else linked.tier
        end,
        linked.tier

),

final as (

    select
        counted.program_id,
        {{ period_number_start("'month'", 'counted.month_number') }} as month,
        counted.from_tier,
        counted.to_tier,
        counted.member_count,
        {{ to_amount('coalesce(revenue.net_minor, 0)') }} as net_amount,
        counted.month_number <= data_window.last_complete_number as is_complete
    from counted
    cross join data_window
    left join revenue
        on
            counted.program_id = revenue.program_id
            and counted.month_number = revenue.month_number
            and counted.from_tier = revenue.from_tier
            and counted.to_tier = revenue.to_tier
    where counted.member_count > 0

)

select * from final
