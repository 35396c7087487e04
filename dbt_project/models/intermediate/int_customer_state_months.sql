with silences as (

    select * from {{ ref('int_silences_judged') }}

),

customers as (

    select * from {{ ref('int_customer_purchases') }}

),

data_window as (

    select
        data_end_on,
        {{ month_number(add_days('data_end_on', 1)) }} - 1 as last_number
    from {{ ref('int_data_window') }}

),

ends as (

    select
        silences.customer_id,
        silences.began_on,
        silences.threshold_days,
        silences.closed_on,
        coalesce(silences.ended_on, {{ add_days('data_window.data_end_on', 1) }}) as end_on,
        least(
            coalesce(silences.closed_on, silences.ended_on, {{ add_days('data_window.data_end_on', 1) }}),
            coalesce(silences.ended_on, {{ add_days('data_window.data_end_on', 1) }})
        ) as silent_until_on
    from silences
    cross join data_window

),

-- Half-open: the first day in the state and the first day no longer in it.
intervals as (

    select
        customer_id,
        'at_risk' as state,
        {{ add_days('began_on', 'threshold_days + 1') }} as from_on,
        least(silent_until_on, {{ add_days('began_on', '2 * threshold_days + 1') }}) as until_on
    from ends

    union all

    select
        customer_id,
        'lapsed' as state,
        {{ add_days('began_on', '2 * threshold_days + 1') }} as from_on,
        silent_until_on as until_on
    from ends

    union all

    select
        customer_id,
        'closed' as state,
        closed_on as from_on,
        end_on as until_on
    from ends
    where closed_on is not null

),

-- A state holds at the end of a month if the month's last day lies within it: from the month that holds its first
-- day to the one before that which holds the day after it, which as month of the next day is one less.
absent_months as (

    select
        customer_id,
        state,
        {{ month_number('from_on') }} as from_number,
        {{ month_number('until_on') }} - 1 as to_number
    from intervals
    where
        from_on < until_on
        and {{ month_number('from_on') }} < {{ month_number('until_on') }}

),

bounded as (

    select
        customers.customer_id,
        customers.label_set_id,
        {{ month_number('customers.first_purchased_on') }} as first_number,
        data_window.last_number
    from customers
    cross join data_window
    where {{ month_number('customers.first_purchased_on') }} <= data_window.last_number

),

ordered as (

    select
        customer_id,
        state,
        from_number,
        to_number,
        lag(to_number) over (
            partition by customer_id
            order by from_number
        ) as previous_to_number
    from absent_months

),

-- Between the months of absence, before the first and after the last, the customer is active.
active_months as (

    select
        bounded.customer_id,
        'active' as state,
        coalesce(ordered.previous_to_number + 1, bounded.first_number) as from_number,
        ordered.from_number - 1 as to_number
    from ordered
    inner join bounded
        on ordered.customer_id = bounded.customer_id

    union all

    select
        bounded.customer_id,
        'active' as state,
        coalesce(max(ordered.to_number) + 1, max(bounded.first_number)) as from_number,
        max(bounded.last_number) as to_number
    from bounded
    left join ordered
        on bounded.customer_id = ordered.customer_id
    group by bounded.customer_id

),

months as (

    select
        customer_id,
        state,
        from_number,
        to_number
    from absent_months

    union all

    select
        customer_id,
        state,
        from_number,
        to_number
    from active_months
    where from_number <= to_number

),

-- Two silences in a row may end months in the same state.
marked as (

    select
        customer_id,
        state,
        from_number,
        to_number,
        case
            when state = lag(state) over (
                partition by customer_id
                order by from_number
            ) then 0
            else 1
        end as is_first
    from months

),

numbered as (

    select
        customer_id,
        state,
        from_number,
        to_number,
        sum(is_first) over (
            partition by customer_id
            order by from_number
            rows between unbounded preceding and current row
        ) as run_number
    from marked

),

final as (

    select
        numbered.customer_id,
        bounded.label_set_id,
        numbered.state,
        min(numbered.from_number) as from_number,
        max(numbered.to_number) as to_number,
        max(bounded.last_number) as last_number
    from numbered
    inner join bounded
        on numbered.customer_id = bounded.customer_id
    group by
        numbered.customer_id,
        bounded.label_set_id,
        numbered.state,
        numbered.run_number

)

select * from final
