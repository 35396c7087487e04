with vintage_months as (

    select * from {{ ref('int_points_vintage_months') }}

),

-- At risk in a month of age: what is outstanding when it begins, and what is given in the first.
ages as (

    select
        program_id,
        age_months,
        {{ sum_bigint('redeemed_points') }} as redeemed_points,
        {{ sum_bigint('expired_points') }} as expired_points,
        {{ sum_bigint('outstanding_points + redeemed_points + expired_points') }} as at_risk_points
    from vintage_months
    where is_complete
    group by
        program_id,
        age_months
    having sum(outstanding_points + redeemed_points + expired_points) > 0

),

-- Logarithms turn the product into a sum; an age at which everything goes has none.
survived as (

    select
        program_id,
        age_months,
        {{ ratio('redeemed_points', 'at_risk_points') }} as redeemed_share,
        coalesce(sum(
            case when redeemed_points + expired_points < at_risk_points
                then ln(
                    cast(at_risk_points - redeemed_points - expired_points as double) / cast(at_risk_points as double)
                )
            end
        ) over before_here, 0) as log_left,
        case when redeemed_points + expired_points < at_risk_points
            then ln(cast(at_risk_points - redeemed_points - expired_points as double) / cast(at_risk_points as double))
        end as log_left_of_age,
        coalesce(sum(
            case when redeemed_points + expired_points = at_risk_points then 1 else 0 end
        ) over before_here, 0) as exhausted_count,
        case when redeemed_points + expired_points = at_risk_points then 1 else 0 end as is_exhausted
    from ages
    window before_here as (
        partition by program_id
        order by age_months
        rows between unbounded preceding and 1 preceding
    )

),

-- Of what was ever redeemed or expired: for ages of which the data knows nothing. Where nothing did, everything is.
overall as (

    select
        program_id,
        coalesce({{ ratio(
            'sum(redeemed_points)', 'sum(redeemed_points + expired_points)'
        ) }}, 1) as redeemed_share
    from vintage_months
    group by program_id

),

-- From the first month of age on that is not over: what of it is left counts like a whole one.
vintages as (

    select
        program_id,
        vintage_number,
        min(case when not is_complete then age_months end) as open_age_months,
        max(age_months) as last_age_months
    from vintage_months
    group by
        program_id,
        vintage_number

),

starts as (

    select
        vintages.program_id,
        vintages.vintage_number,
        coalesce(vintages.open_age_months, vintages.last_age_months + 1) as next_age_months,
        survived.log_left,
        survived.exhausted_count
    from vintages
    left join survived
        on
            vintages.program_id = survived.program_id
            and survived.age_months = coalesce(vintages.open_age_months, vintages.last_age_months + 1)

),

ahead as (

    select
        starts.program_id,
        starts.vintage_number,
        sum(
            case when survived.exhausted_count = starts.exhausted_count
                then survived.redeemed_share * exp(survived.log_left - starts.log_left)
                else 0
            end
        ) as redeemed_share,
        case
            when max(survived.exhausted_count + survived.is_exhausted) > max(starts.exhausted_count) then 0
            else exp(sum(survived.log_left_of_age))
        end as unknown_share
    from starts
    inner join survived
        on
            starts.program_id = survived.program_id
            and starts.next_age_months <= survived.age_months
    group by
        starts.program_id,
        starts.vintage_number

),

final as (

    select
        starts.program_id,
        starts.vintage_number,
        least(
            coalesce(ahead.redeemed_share, 0) + coalesce(ahead.unknown_share, 1) * overall.redeemed_share, 1
        ) as expected_redeemed_share
    from starts
    inner join overall
        on starts.program_id = overall.program_id
    left join ahead
        on
            starts.program_id = ahead.program_id
            and starts.vintage_number = ahead.vintage_number

)

select * from final
