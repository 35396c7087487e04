with scores as (

    select * from {{ ref('churn_scores') }}
    where is_default

),

states as (

    select * from {{ ref('customer_states') }}
    where state in ('active', 'at_risk')

),

valued as (

    select * from {{ ref('int_customers_valued') }}

),

profiles as (

    select * from {{ ref('int_customers_labelled') }}

),

complaints as (

    select * from {{ ref('int_customer_complaints') }}

),

interactions as (

    select * from {{ ref('int_interactions_enriched') }}
    where customer_id is not null

),

risks as (

    select * from {{ source('forecast', 'risk_scores') }}

),

risk_features as (

    select * from {{ ref('risk_features') }}

),

-- Whom there is something to say of: who complained, fell silent, or is a risk for a reason. Somebody who bought once is
-- alive with certainty in BG/NBD: where there is a churn risk, it says more.
candidates as (

    select
        states.customer_id,
        states.state,
        states.threshold_basis,
        states.threshold_days,
        states.recency_days,
        states.open_complaint_count,
        scores.as_of_on,
        scores.p_alive,
        scores.churn_risk_rate,
        scores.revenue_at_risk_amount,
        cast(round(
            cast(scores.expected_margin_amount_365d as double) * 100
            * coalesce(scores.churn_risk_rate, 1 - scores.p_alive)
        ) as bigint) as stake_minor,
        -- The strongest reason that the silence does not say already.
        case
            when not (states.state = 'at_risk' and risks.reason_1 in ('silence_days', 'silence_ratio')) then risks.reason_1
            when risks.reason_2 not in ('silence_days', 'silence_ratio') then risks.reason_2
            else risks.reason_3
        end as feature
    from states
    inner join scores
        on states.customer_id = scores.customer_id
    left join risks
        on
            scores.customer_id = risks.customer_id
            and scores.as_of_on = risks.as_of_on
    where
        states.open_complaint_count > 0
        or states.state = 'at_risk'
        or risks.reason_1 is not null

),

ranked as (

    select
        *,
        row_number() over (order by stake_minor desc nulls last, customer_id asc) as priority
    from candidates
    where stake_minor > 0

),

chosen as (

    select
        priority,
        customer_id,
        as_of_on,
        state,
        threshold_basis,
        threshold_days,
        recency_days,
        open_complaint_count,
        p_alive,
        churn_risk_rate,
        revenue_at_risk_amount,
        stake_minor,
        feature
    from ranked
    where priority <= {{ var('retention_actions_most') }}

),

complained as (

    select
        chosen.customer_id,
        max(complaints.complained_on) as last_complained_on,
        min(
            case
                when complaints.resolved_on is null or complaints.resolved_on > chosen.as_of_on
                    then complaints.complained_on
            end
        ) as open_complaint_since_on
    from chosen
    inner join complaints
        on chosen.customer_id = complaints.customer_id
    where complaints.complained_on <= chosen.as_of_on
    group by chosen.customer_id

),

contacts as (

    select
        chosen.customer_id,
        interactions.interaction_type,
        interactions.business_date,
        row_number() over (
            partition by chosen.customer_id
            order by interactions.occurred_at desc, interactions.interaction_id desc
        ) as contact_rank
    from chosen
    inner join interactions
        on chosen.customer_id = interactions.customer_id
    where interactions.is_contact and interactions.business_date <= chosen.as_of_on

),

unsubscriptions as (

    select
        chosen.customer_id,
        max(interactions.occurred_at) as unsubscribed_at
    from chosen
    inner join interactions
        on chosen.customer_id = interactions.customer_id
    where interactions.interaction_type = 'unsubscribed'
    group by chosen.customer_id

),

-- Who has unsubscribed since the profile was written has taken back what it says.
consents as (

    select
        chosen.customer_id,
        profiles.owner_id,
        coalesce(
            profiles.has_email_consent
            and (
                unsubscriptions.unsubscribed_at is null
                or unsubscriptions.unsubscribed_at < profiles.profile_updated_at
            ), false
        ) as has_email_consent,
        coalesce(profiles.has_phone_consent, false) as has_phone_consent
    from chosen
    inner join profiles
        on chosen.customer_id = profiles.customer_id
    left join unsubscriptions
        on chosen.customer_id = unsubscriptions.customer_id

),

sentences as (

    select
        chosen.customer_id,
        case
            when chosen.open_complaint_count = 1
                then concat(
                    'A complaint of ', cast(complained.open_complaint_since_on as {{ dbt.type_string() }}),
                    ' is not settled.'
                )
            when chosen.open_complaint_count > 1
                then concat(
                    cast(chosen.open_complaint_count as {{ dbt.type_string() }}),
                    ' complaints are not settled, the first of ',
                    cast(complained.open_complaint_since_on as {{ dbt.type_string() }}), '.'
                )
        end as of_complaint,
        case
            when chosen.state = 'at_risk'
                then concat(
                    'Silent for ', cast(chosen.recency_days as {{ dbt.type_string() }}), ' days; ',
                    case
                        when chosen.threshold_basis = 'own_gaps' and chosen.threshold_days < {{ var('churn_cap_days') }}
                            then 'nine of ten gaps were no longer than '
                        else 'usual would be up to '
                    end,
                    cast(chosen.threshold_days as {{ dbt.type_string() }}), '.'
                )
        end as of_silence,
        case
            when risk_features.reason is not null
                then concat('The risk is raised most by: ', risk_features.reason, '.')
        end as of_risk
    from chosen
    left join complained
        on chosen.customer_id = complained.customer_id
    left join risk_features
        on chosen.feature = risk_features.feature

),

final as (

    select
        chosen.priority,
        chosen.customer_id,
        consents.owner_id,
        chosen.state,
        concat_ws(' ', sentences.of_complaint, sentences.of_silence, sentences.of_risk) as reason,
        case
            when consents.has_phone_consent then 'phone'
            when consents.has_email_consent then 'email'
            else 'none'
        end as recommended_channel,
        contacts.interaction_type as last_contact_type,
        chosen.churn_risk_rate,
        chosen.p_alive,
        {{ to_amount('chosen.stake_minor') }} as margin_at_stake_amount,
        chosen.revenue_at_risk_amount,
        {{ to_amount('valued.clv_minor') }} as clv_amount,
        valued.value_decile,
        chosen.recency_days,
        chosen.threshold_days,
        chosen.open_complaint_count,
        consents.has_phone_consent,
        consents.has_email_consent,
        contacts.business_date as last_contacted_on,
        complained.last_complained_on,
        complained.open_complaint_since_on
    from chosen
    inner join valued
        on chosen.customer_id = valued.customer_id
    inner join consents
        on chosen.customer_id = consents.customer_id
    inner join sentences
        on chosen.customer_id = sentences.customer_id
    left join complained
        on chosen.customer_id = complained.customer_id
    left join contacts
        on
            chosen.customer_id = contacts.customer_id
            and contacts.contact_rank = 1

)

select * from final
