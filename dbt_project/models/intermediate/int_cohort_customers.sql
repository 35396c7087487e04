with purchase_days as (

    select * from {{ ref('int_purchase_days') }}

),

customer_segments as (

    select * from {{ ref('int_customer_segments') }}

),

-- Customers with the same values of all labels share one integer, so that cohorts are counted once and
-- fanned out to segments afterwards, over a few hundred rows and not over customers.
customer_labels as (

    select
        customer_id,
        {%- for label in var('segment_labels') %}
        coalesce(max(case when segment_name = '{{ label }}' then segment_value end), '') as label_{{ loop.index }},
        {%- endfor %}
        count(*) as label_count
    from customer_segments
    group by customer_id

),

customers as (

    select
        customer_id,
        min(purchased_on) as first_purchased_on,
        max(purchased_on) as last_purchased_on,
        count(*) as purchase_day_count
    from purchase_days
    group by customer_id

),

labelled_customers as (

    select
        customers.customer_id,
        customers.first_purchased_on,
        customers.last_purchased_on,
        customers.purchase_day_count,
        {%- for label in var('segment_labels') %}
        coalesce(customer_labels.label_{{ loop.index }}, '') as label_{{ loop.index }},
        {%- endfor %}
        coalesce(customer_labels.label_count, 0) as label_count
    from customers
    left join customer_labels
        on customers.customer_id = customer_labels.customer_id

),

label_sets as (

    select
        {%- for label in var('segment_labels') %}
        label_{{ loop.index }},
        {%- endfor %}
        label_count,
        row_number() over (
            order by
                {%- for label in var('segment_labels') %}
                label_{{ loop.index }},
                {%- endfor %}
                label_count
        ) as label_set_id
    from labelled_customers
    group by
        {%- for label in var('segment_labels') %}
        label_{{ loop.index }},
        {%- endfor %}
        label_count

),

final as (

    select
        labelled_customers.customer_id,
        label_sets.label_set_id,
        labelled_customers.first_purchased_on,
        labelled_customers.last_purchased_on,
        labelled_customers.purchase_day_count
    from labelled_customers
    inner join label_sets
        on
            labelled_customers.label_count = label_sets.label_count
            {%- for label in var('segment_labels') %}
            and labelled_customers.label_{{ loop.index }} = label_sets.label_{{ loop.index }}
            {%- endfor %}

)

select * from final
