with orders as (

    select * from {{ ref('stg_orders') }}

),

interactions as (

    select * from {{ ref('stg_interactions') }}

),

-- The business date grows with the timestamp, so four timestamps are enough: no time zone per row.
bounds as (

    select
        min(ordered_at) as first_order_at,
        min(ordered_at) as first_at,
        max(ordered_at) as last_at
    from orders
    where status = 'completed'

    union all

    select
        cast(null as timestamp) as first_order_at,
        min(occurred_at) as first_at,
        max(occurred_at) as last_at
    from interactions

),

dates as (

    select
        {{ business_date('min(first_at)') }} as first_event_on,
        {{ business_date('coalesce(min(first_order_at), min(first_at))') }} as data_start_on,
        {% if var('data_end') -%}
        cast('{{ var("data_end") }}' as date) as data_end_on
        {%- else -%}
        {{ business_date('max(last_at)') }} as data_end_on
        {%- endif %}
    from bounds

),

final as (

    select
        first_event_on,
        data_start_on,
        data_end_on,
        {{ period_start('month', 'data_start_on') }} as first_month,
        {{ period_start('month', 'data_end_on') }} as last_month
    from dates

)

select * from final
