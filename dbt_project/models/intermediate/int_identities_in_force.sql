with identity_map as (

    select * from {{ ref('stg_identity_map') }}

),

data_window as (

    select * from {{ ref('int_data_window') }}

),

-- The current view: a merge holds for the whole history if it is in force at the end of the data.
final as (

    select
        identity_map.alias_id,
        identity_map.customer_id,

        identity_map.source_file,
        identity_map.source_row,
        identity_map.load_id
    from identity_map
    cross join data_window
    where
        (identity_map.valid_from is null
            or {{ business_date('identity_map.valid_from') }} <= data_window.data_end_on)
        and (identity_map.valid_to is null
            or {{ business_date('identity_map.valid_to') }} > data_window.data_end_on)

)

select * from final
