with customers as (

    select * from {{ ref('int_customers_labelled') }}

),

labels as (
{%- for label in var('segment_labels') %}

    select
        customer_id,
        '{{ label }}' as segment_name,
        {{ label }} as segment_value
    from customers
    {%- if not loop.last %}

    union all
    {%- endif %}
{%- endfor %}

),

value_ranks as (

    select
        segment_name,
        segment_value,
        row_number() over (
            partition by segment_name
            order by count(*) desc, segment_value
        ) as value_rank
    from labels
    where segment_value is not null
    group by
        segment_name,
        segment_value

),

-- A label that no customer has would repeat the total under another name.
used_labels as (

    select distinct segment_name
    from value_ranks

),

final as (

    select
        labels.customer_id,
        labels.segment_name,
        case
            when labels.segment_value is null then 'unknown'
            when value_ranks.value_rank > {{ var('segment_max_values') }} then 'other'
            else labels.segment_value
        end as segment_value
    from labels
    inner join used_labels
        on labels.segment_name = used_labels.segment_name
    left join value_ranks
        on
            labels.segment_name = value_ranks.segment_name
            and labels.segment_value = value_ranks.segment_value

)

select * from final
