with customers as (

    select * from {{ ref('int_customers_labelled') }}

),

label_sets as (

    select
        label_set_id,
        {%- for label in var('segment_labels') %}
        min({{ label }}) as {{ label }},
        {%- endfor %}
        count(*) as customer_count
    from customers
    group by label_set_id

),

labels as (
{% for label in var('segment_labels') %}
    select
        label_set_id,
        '{{ label }}' as segment_name,
        {{ label }} as segment_value,
        customer_count
    from label_sets

    union all
{% endfor %}
    select
        label_set_id,
        'all' as segment_name,
        'all' as segment_value,
        customer_count
    from label_sets

),

value_ranks as (

    select
        segment_name,
        segment_value,
        row_number() over (
            partition by segment_name
            order by sum(customer_count) desc, segment_value
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

named as (

    select
        labels.label_set_id,
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

),

segments as (

    select
        segment_name,
        segment_value,
        row_number() over (
            order by
                segment_name,
                segment_value
        ) as segment_id
    from named
    group by
        segment_name,
        segment_value

),

final as (

    select
        named.label_set_id,
        segments.segment_id,
        named.segment_name,
        named.segment_value
    from named
    inner join segments
        on
            named.segment_name = segments.segment_name
            and named.segment_value = segments.segment_value

)

select * from final
