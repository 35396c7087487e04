{%- set grains = ['week', 'month', 'quarter'] -%}
{%- set modes = ['calendar', 'rolling'] -%}

with purchase_days as (

    {{ signed_rows('int_purchase_days') }}

),

customers as (

    {{ signed_rows('int_customer_purchases') }}

),

-- Brackets by index, so that they are found by equality.
bracket_periods as (

    select
        period_grain,
        from_index,
        to_index,
        {{ integer_series('from_index', 'to_index') }} as period_index
    from {{ ref('retention_bracket_bounds') }}

),

grain_bounds as (

    select
        period_grain,
        max(to_index) as last_index
    from {{ ref('retention_bracket_bounds') }}
    group by period_grain

),

indexed as (
{% for grain in grains %}{% for mode in modes %}
    select
        '{{ grain }}' as period_grain,
        '{{ mode }}' as retention_mode,
        customer_id,
        row_sign,
        first_purchased_on,
        {{ periods_elapsed(grain, mode, 'first_purchased_on', 'purchased_on') }} as period_index,
        coalesce({{ periods_elapsed(grain, mode, 'first_purchased_on', 'previous_purchased_on') }}, -1) as previous_index
    from purchase_days
{% if not loop.last %}
    union all
{% endif %}{% endfor %}{% if not loop.last %}
    union all
{% endif %}{% endfor %}
),

entries as (

    select
        indexed.*
    from indexed
    inner join grain_bounds
        on
            indexed.period_grain = grain_bounds.period_grain
            and indexed.period_index <= grain_bounds.last_index
    where indexed.previous_index < indexed.period_index

),

-- The customer's first purchase day inside the bracket: the one before lies before the bracket.
final as (

    select
        entries.period_grain,
        entries.retention_mode,
        customers.label_set_id,
        entries.first_purchased_on,
        bracket_periods.from_index,
        bracket_periods.to_index,
        {{ sum_bigint('entries.row_sign') }} as active_count
    from entries
    inner join bracket_periods
        on
            entries.period_grain = bracket_periods.period_grain
            and entries.period_index = bracket_periods.period_index
            and entries.previous_index < bracket_periods.from_index
    inner join customers
        on
            entries.customer_id = customers.customer_id
            and entries.row_sign = customers.row_sign
    group by
        entries.period_grain,
        entries.retention_mode,
        customers.label_set_id,
        entries.first_purchased_on,
        bracket_periods.from_index,
        bracket_periods.to_index

)

select * from final
