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

-- Logarithms turn the product into a sum; an age at which everything goes has none, and is the last.
logged as (

    select
        program_id,
        age_months,
        {{ ratio('redeemed_points', 'at_risk_points') }} as redeemed_share,
        redeemed_points + expired_points = at_risk_points as is_exhausted,
        coalesce(
            ln(nullif({{ ratio('at_risk_points - redeemed_points - expired_points', 'at_risk_points') }}, 0)), 0
        ) as log_left_of_age
    from ages

),

survived as (

    select
        program_id,
        age_months,
        redeemed_share,
        is_exhausted,
        log_left_of_age,
        sum(log_left_of_age) over (
            partition by program_id
            order by age_months
            rows between unbounded preceding and current row
        ) as log_left_after
    from logged

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
        program_id,
        vintage_number,
        coalesce(open_age_months, last_age_months + 1) as next_age_months
    from vintages

),

-- Shares are added up as decimals, whose sum has no order; the first age ahead is one at whose begin everything is left.
ahead as (

    select
        program_id,
        vintage_number,
        cast(sum(cast(
            redeemed_share * exp(log_left_after - log_left_of_age - log_left_before) as decimal(18, 15)
        )) as double) as redeemed_share,
        case
            when bool_or(is_exhausted) then 0
            else exp(max_by(log_left_after, age_months) - max(log_left_before))
        end as unknown_share
    from (
        select
            starts.program_id,
            starts.vintage_number,
            survived.age_months,
            survived.redeemed_share,
            survived.is_exhausted,
            survived.log_left_of_age,
            survived.log_left_after,
            first_value(survived.log_left_after - survived.log_left_of_age) over (
                partition by starts.program_id, starts.vintage_number
                order by survived.age_months
            ) as log_left_before
        from starts
        inner join survived
            on
                starts.program_id = survived.program_id
                and starts.next_age_months <= survived.age_months
    ) as ages_ahead
    group by
        program_id,
        vintage_number

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
