{%- set relation -%}
(
    select
        orders.*,
        case
            when coalesce(orders.currency, '{{ var("reporting_currency") }}') = '{{ var("reporting_currency") }}'
                then cast(1 as decimal(18, 8))
            else rates.rate
        end as exchange_rate
    from {{ source('contract', 'orders') }} as orders
    left join (
        select
            from_currency,
            cast(rate as decimal(18, 8)) as rate,
            cast(valid_from as timestamp) as valid_from,
            cast(lead(valid_from, 1, cast('9999-12-31' as date)) over (
                partition by from_currency
                order by valid_from nulls first
            ) as timestamp) as valid_to
        from {{ ref('exchange_rates') }}
        where to_currency = '{{ var("reporting_currency") }}'
    ) as rates
        on
            orders.currency = rates.from_currency
            and orders.ordered_at >= rates.valid_from
            and orders.ordered_at < rates.valid_to
) as priced
{%- endset -%}
{{ checked_rows(
    'orders',
    relation=relation,
    carried=['exchange_rate'],
    rules=[
        {
            'condition': "mapped.status not in ('completed', 'cancelled', 'test')",
            'column': 'status',
            'reason': 'is none of completed, cancelled, test',
        },
        {
            'condition': 'mapped.exchange_rate is null',
            'column': 'currency',
            'reason': 'has no rate to ' ~ var('reporting_currency') ~ ' on that day in the seed exchange_rates',
        },
    ],
) }}
