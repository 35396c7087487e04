with customers as (

    select
        *,
        costed_minor <> 0 or cost_minor <> 0 as has_known_cost
    from {{ ref('int_customer_purchases') }}

),

scores as (

    select * from {{ ref('int_forecast_scores') }}
    where is_current and is_default

),

-- Of all orders whose cost is known: the margin, and what a purchase day comes to.
overall as (

    select
        {{ ratio('sum(costed_minor - cost_minor)', 'greatest(sum(costed_minor), 0)') }} as margin_rate,
        {{ ratio('sum(costed_minor)', 'sum(purchase_day_count)') }} as day_minor
    from customers
    where has_known_cost

),

-- Few orders say little: they are pooled with so many purchase days at everybody's margin.
margins as (

    select
        customers.customer_id,
        case
            when overall.margin_rate is null then 'assumed'
            when customers.costed_minor > 0 then 'cost'
            else 'overall'
        end as margin_basis,
        case
            when overall.margin_rate is null then {{ double(var('assumed_margin_rate')) }}
            when customers.costed_minor > 0
                then
                    (
                        customers.costed_minor - customers.cost_minor
                        + {{ var('margin_prior_days') }} * overall.day_minor * overall.margin_rate
                    )
                    / (customers.costed_minor + {{ var('margin_prior_days') }} * overall.day_minor)
            else overall.margin_rate
        end as margin_rate
    from customers
    cross join overall

),

valued as (

    select
        customers.customer_id,
        customers.order_count,
        customers.purchase_day_count,
        customers.net_minor,
        case when customers.has_known_cost then customers.costed_minor end as costed_minor,
        case when customers.has_known_cost then customers.costed_minor - customers.cost_minor end as margin_minor,
        margins.margin_rate,
        margins.margin_basis,
        scores.expected_purchases_365d,
        scores.expected_spend_minor,
        cast(
            round(scores.discounted_purchases * scores.expected_spend_minor * margins.margin_rate) as bigint
        ) as clv_minor
    from customers
    inner join margins
        on customers.customer_id = margins.customer_id
    left join scores
        on customers.customer_id = scores.customer_id

),

final as (

    select
        customer_id,
        order_count,
        purchase_day_count,
        net_minor,
        costed_minor,
        margin_minor,
        margin_rate,
        margin_basis,
        expected_purchases_365d,
        expected_spend_minor,
        clv_minor,
        case
            when clv_minor is not null
                then cast(
                    ntile(10) over (
                        partition by clv_minor is null
                        order by clv_minor desc nulls last, customer_id asc
                    ) as bigint
                )
        end as value_decile
    from valued

)

select * from final
