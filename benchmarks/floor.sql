-- The floor: the marts as directly as DuckDB computes them. No raw copy, no checks, no labels, no second currency, no refunds:
-- what the orders of the benchmark need and nothing more. {orders} is the reader of the files, {marts} the catalog.

create temp table loaded as
select
    order_id, customer_id, ordered_at, status,
    cast(amount * 100 as bigint) as minor,
    cast(ordered_at as date) as business_date,
    status = 'completed' as is_sale
from {orders};

create temp table customers as
select customer_id, cast(row_number() over () as integer) as customer
from (select distinct customer_id from loaded);

create temp table bounds as
select
    min(business_date) as data_start_on, max(business_date) as data_end_on, max(business_date) + 1 as first_unknown_on,
    cast(year(min(business_date)) * 12 + month(min(business_date)) - 1 as integer) as first_month,
    cast(year(max(business_date)) * 12 + month(max(business_date)) - 1 as integer) as last_month,
    cast(year(max(business_date) + 1) * 12 + month(max(business_date) + 1) - 2 as integer) as last_complete_month
from loaded where is_sale;

create schema {marts}.core;
create schema {marts}.retention;

create table {marts}.core.fct_orders as
select
    order_id, customer_id, ordered_at, business_date, status,
    cast(case when is_sale then minor else 0 end * 0.01::decimal(3, 2) as decimal(18, 2)) as net_amount,
    case when is_sale then row_number() over (partition by customer, is_sale order by ordered_at, order_id) end as order_number
from loaded
join customers using (customer_id);

create temp table days as
select
    *,
    cast(lag(purchased_on) over by_customer as date) as previous_on,
    first_value(purchased_on) over by_customer as first_on,
    row_number() over by_customer as purchase_number
from (
    select customer, business_date as purchased_on, cast(count(*) as integer) as order_count, cast(sum(minor) as bigint) as minor
    from loaded
    join customers using (customer_id)
    where is_sale
    group by all
)
window by_customer as (partition by customer order by purchased_on);

create temp table buyers as
select
    customer, min(purchased_on) as first_on, max(purchased_on) as last_on, cast(sum(order_count) as bigint) as order_count,
    count(*) as purchase_day_count, cast(sum(minor) as bigint) as minor
from days
group by customer;

create table {marts}.core.dim_customers as
select
    customer_id, first_on as first_order_on, last_on as last_order_on,
    cast(date_trunc('month', first_on) as date) as cohort_month,
    coalesce(order_count, 0) as order_count, coalesce(purchase_day_count, 0) as purchase_day_count,
    cast(coalesce(minor, 0) * 0.01::decimal(3, 2) as decimal(18, 2)) as net_amount
from customers
left join buyers using (customer);

create temp table months as
select
    *,
    lag(month_number) over by_customer as previous_number, lag(minor) over by_customer as previous_minor,
    lead(month_number) over by_customer as next_number
from (
    select
        customer, cast(year(purchased_on) * 12 + month(purchased_on) - 1 as integer) as month_number,
        cast(sum(order_count) as bigint) as order_count, count(*) as purchase_day_count, cast(sum(minor) as bigint) as minor
    from days
    group by all
)
window by_customer as (partition by customer order by month_number);

create table {marts}.core.fct_customer_months as
select
    customer_id, make_date(month_number // 12, month_number % 12 + 1, 1) as month, order_count, purchase_day_count,
    cast(minor * 0.01::decimal(3, 2) as decimal(18, 2)) as net_at_order_date_amount
from months
join customers using (customer);

-- cohorts: few pairs of days, so that all grains and modes are counted over these and not over purchases

create temp macro month_of(d) as cast(year(d) * 12 + month(d) - 1 as integer);
create temp macro whole_months(a, b) as
    month_of(b) - month_of(a) - case when day(a) > day(b) and b <> last_day(b) then 1 else 0 end;
create temp macro period_index(grain, rolling, a, b) as case
    when grain = 'week' and rolling then (b - a) // 7
    when grain = 'week' then (b - date '0001-01-01') // 7 - (a - date '0001-01-01') // 7
    when grain = 'month' and rolling then whole_months(a, b)
    when grain = 'month' then month_of(b) - month_of(a)
    when rolling then whole_months(a, b) // 3
    else month_of(b) // 3 - month_of(a) // 3 end;

create temp table pairs as
select
    first_on, purchased_on, count(*) as day_count, cast(sum(minor) as bigint) as minor
    {pair_columns}
from days
group by first_on, purchased_on;

create temp table members as
select first_on, last_on, count(*) as member_count from buyers group by all;

create table {marts}.retention.retention_cohorts (
    period_grain varchar, retention_mode varchar, cohort_start_on date, period_index bigint, cohort_size bigint,
    eligible_count bigint, active_count bigint, active_on_or_after_count bigint, net_amount decimal(18, 2)
);
{cohorts}

create table {marts}.retention.revenue_by_cohort as
select
    cohort_month, cast(cohort_month + to_months(cast(k as integer)) as date) as month,
    coalesce(customer_count, 0) as customer_count, cast(coalesce(minor, 0) * 0.01::decimal(3, 2) as decimal(18, 2)) as net_amount
from (
    select cohort_month, unnest(range(last_month - month_of(cohort_month) + 1)) as k
    from (select distinct cast(date_trunc('month', first_on) as date) as cohort_month from members), bounds
)
left join (
    select
        cast(date_trunc('month', first_on) as date) as cohort_month, period_index('month', false, first_on, purchased_on) as k,
        cast(sum(new_month) as bigint) as customer_count, cast(sum(minor) as bigint) as minor
    from pairs
    group by all
) using (cohort_month, k);

create temp table weeks as
select
    *,
    lag(week_number) over by_customer as previous_number, lag(minor) over by_customer as previous_minor,
    lead(week_number) over by_customer as next_number
from (
    select
        customer, cast((purchased_on - date '0001-01-01') // 7 as integer) as week_number, cast(sum(minor) as bigint) as minor
    from days
    group by all
)
window by_customer as (partition by customer order by week_number);

create table {marts}.retention.growth_accounting (
    period_grain varchar, period_start_on date, active_count bigint, new_count bigint, retained_count bigint,
    resurrected_count bigint, churned_count bigint, revenue_amount decimal(18, 2), new_amount decimal(18, 2),
    resurrected_amount decimal(18, 2), expansion_amount decimal(18, 2), contraction_amount decimal(18, 2),
    churned_amount decimal(18, 2)
);
{growth}

-- revenue retention: windows of one period from neighbouring rows, trailing windows from running sums over events

create temp table quarters as
select
    *,
    lag(quarter_number) over by_customer as previous_number, lag(minor) over by_customer as previous_minor,
    lead(quarter_number) over by_customer as next_number
from (
    select customer, month_number // 3 as quarter_number, cast(sum(minor) as bigint) as minor
    from months
    group by all
)
window by_customer as (partition by customer order by quarter_number);

create temp table states as
select
    'month' as window_name, month_number as from_number, month_number + 1 as until_number, minor as current_minor,
    case when previous_number = month_number - 1 then previous_minor else 0 end as prior_minor,
    true as is_active, coalesce(previous_number = month_number - 1, false) as was_active, previous_number is null as is_new
from months
union all
select 'month', month_number + 1, month_number + 2, 0, minor, false, true, false
from months where next_number is distinct from month_number + 1
union all
select
    'quarter', quarter_number * 3 + 2, quarter_number * 3 + 5, minor,
    case when previous_number = quarter_number - 1 then previous_minor else 0 end,
    true, coalesce(previous_number = quarter_number - 1, false), previous_number is null
from quarters
union all
select 'quarter', quarter_number * 3 + 5, quarter_number * 3 + 8, 0, minor, false, true, false
from quarters where next_number is distinct from quarter_number + 1
union all
select
    'trailing_12_months', month_number, next_number, current_minor, prior_minor, current_count > 0, prior_count > 0,
    month_number < first_number + 12
from (
    select
        month_number, lead(month_number) over by_customer as next_number,
        cast(sum(a) over to_here as bigint) as current_minor, cast(sum(b) over to_here as bigint) as prior_minor,
        sum(c) over to_here as current_count, sum(d) over to_here as prior_count,
        min(month_number) over to_here as first_number
    from (
        select
            customer, month_number + later as month_number, cast(sum(minor * x) as bigint) as a,
            cast(sum(minor * y) as bigint) as b, cast(sum(x) as integer) as c, cast(sum(y) as integer) as d
        from months
        cross join (values (0, 1, 0), (12, -1, 1), (24, 0, -1)) as events (later, x, y)
        where month_number + later <= (select last_complete_month from bounds)
        group by all
    )
    window
        by_customer as (partition by customer order by month_number),
        to_here as (partition by customer order by month_number rows unbounded preceding)
)
where current_count > 0 or prior_count > 0;

create temp table interval_sums as
select
    window_name, from_number, until_number,
    count(*) filter (where prior_minor > 0) as base_count,
    sum(prior_minor) filter (where prior_minor > 0) as base_minor,
    sum(current_minor) filter (where prior_minor > 0) as base_current_minor,
    sum(greatest(0, least(current_minor, prior_minor))) filter (where prior_minor > 0) as kept_minor,
    sum(current_minor) filter (where is_new) as new_minor,
    sum(current_minor) filter (where not is_new and prior_minor <= 0) as resurrected_minor,
    count(*) filter (where was_active) as start_count,
    count(*) filter (where is_active) as end_count,
    count(*) filter (where is_new) as new_count
from states
group by all;

create table {marts}.retention.net_revenue_retention as
select
    window_name as "window", cast(make_date((month_number + 1) // 12, (month_number + 1) % 12 + 1, 1) - 1 as date) as window_end_on,
    case when not cut then base_count end as base_count,
    cast(case when not cut then base_minor end * 0.01::decimal(3, 2) as decimal(18, 2)) as base_amount,
    cast(case when not cut then base_current_minor end * 0.01::decimal(3, 2) as decimal(18, 2)) as base_current_amount,
    cast(case when not cut then kept_minor end * 0.01::decimal(3, 2) as decimal(18, 2)) as kept_amount,
    cast(case when not cut then resurrected_minor end * 0.01::decimal(3, 2) as decimal(18, 2)) as resurrected_amount,
    cast(new_minor * 0.01::decimal(3, 2) as decimal(18, 2)) as new_amount,
    case when not cut then start_count end as start_count, end_count, new_count
from (
    select
        window_name, month_number, first_month > month_number - 2 * length + 1 as cut,
        {interval_sums}
    from (
        select *, unnest(range(first_month + length - 1, last_complete_month + 1)) as month_number
        from bounds, (values ('month', 1), ('quarter', 3), ('trailing_12_months', 12)) as windows (window_name, length)
    ) as ends
    join interval_sums using (window_name)
    where month_number >= from_number and (month_number < until_number or until_number is null)
        and (window_name <> 'quarter' or (month_number + 1) % 3 = 0)
    group by all
);

-- Kaplan and Meier

create table {marts}.retention.repeat_purchase_curves as
select
    from_purchase_number, days_since, at_risk_count, event_count, censored_count,
    case when event_count = at_risk_count then 0 else exp(sum(
        case when event_count < at_risk_count then ln((at_risk_count - event_count)::double / at_risk_count) end
    ) over (partition by from_purchase_number order by days_since)) end as survival_rate
from (
    select
        from_purchase_number, days_since, cast(sum(events) as bigint) as event_count, cast(sum(censored) as bigint) as censored_count,
        cast(sum(sum(events) + sum(censored)) over (partition by from_purchase_number order by days_since desc) as bigint) as at_risk_count
    from (
        select least(purchase_number - 1, 3) as from_purchase_number, purchased_on - previous_on as days_since,
            count(*) as events, 0 as censored
        from days where previous_on is not null group by all
        union all
        select least(purchase_day_count, 3), data_end_on - last_on, 0, count(*) from buyers, bounds group by all
        union all
        select unnest(range(1, least((select max(purchase_day_count) from buyers), 3) + 1)), 0, 0, 0
    )
    group by from_purchase_number, days_since
);
