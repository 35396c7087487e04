"""The forecast marts against a world in which it is known what came after the data ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestration.synthetic.world import World
from tests.integration.test_synthetic import Loaded, loaded

REVENUE = "people.orders_next_365d * people.mean_amount"
"""What a customer buys in the year after the data ends, at what they spend on average."""


# Not the world that was looked at while the marts were written.
@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    made = World(customers=8000, months=36, seed=7, layout="parquet")
    folder = tmp_path_factory.mktemp("world")
    with (built := loaded(made, folder, marts=("core", "churn", "value"), is_fitted=True)).connection:
        yield built


def test_as_many_purchases_come_as_were_expected(world: Loaded) -> None:
    """Of the whole year that follows: of a quarter a model without seasons cannot know. The truth counts orders."""
    [(model, expected, came)] = world.rows("""
        select scores.model_id,
            sum(scores.expected_purchases_365d) * sum(customers.order_count) / sum(customers.purchase_day_count),
            sum(people.orders_next_365d)
        from marts.churn.churn_scores as scores
        inner join marts.core.dim_customers as customers using (customer_id)
        inner join truth.customers as people using (customer_id)
        where scores.is_default
        group by all
    """)
    assert model == "pareto_nbd"
    assert expected == pytest.approx(came, rel=0.05)


def test_each_tenth_brings_what_it_was_expected_to(world: Loaded) -> None:
    """The upper four, of whom there is enough to compare; of the others next to nothing was expected, and came."""
    rows = world.rows(f"""
        select valued.value_decile, sum(valued.expected_net_amount_365d)::double, sum({REVENUE})
        from marts.value.customer_value as valued
        inner join truth.customers as people using (customer_id)
        group by all
        order by all
    """)
    in_all = sum(came for _, _, came in rows)
    for decile, expected, came in rows[:4]:
        assert expected == pytest.approx(came, rel=0.2), decile
    assert sum(came for _, _, came in rows[4:]) < 0.02 * in_all
    assert sum(expected for _, expected, _ in rows[4:]) < 0.02 * in_all


def test_who_was_said_to_gain_gains_and_who_was_said_to_lose_loses(world: Loaded) -> None:
    rows = world.rows(f"""
        select valued.value_trend, sum({REVENUE}) / sum(valued.net_amount_365d)::double
        from marts.value.customer_value as valued
        inner join truth.customers as people using (customer_id)
        group by all
        order by all
    """)
    assert [trend for trend, _ in rows] == ["gaining", "losing", "steady"]
    gaining, losing, steady = (ratio for _, ratio in rows)
    assert gaining > 1.5
    assert losing < 0.5
    assert 0.8 < steady < 1.2


def test_margins_are_those_of_the_world(world: Loaded) -> None:
    """Goods cost 55 to 70 % of what is paid, evenly; what was sent back cost as much and brought nothing."""
    [(least, most, overall, kept)] = world.rows("""
        select min(margin_rate), max(margin_rate),
            sum(historical_margin_amount)::double / sum(historical_costed_amount)::double,
            1 - 0.625 * sum(orders.gross_amount)::double / sum(orders.net_amount)::double
        from marts.value.customer_value
        cross join (
            select sum(gross_amount) as gross_amount, sum(net_amount) as net_amount
            from marts.core.fct_orders where is_identified and is_valid_sale
        ) as orders
    """)
    assert overall == pytest.approx(kept, abs=0.005)
    assert least < overall < most < 0.45


def test_nobody_is_written_to_who_did_not_agree_or_has_unsubscribed_since(world: Loaded) -> None:
    """By the customer file as it was delivered, whatever the marts make of it."""
    [(emails, phones, wrong)] = world.rows("""
        with consents as (
            select customer_id, bool_or(has_email_consent) as may_email, bool_or(has_phone_consent) as may_phone,
                max(updated_at) as updated_at
            from staging.stg_customers
            group by customer_id
        ),
        unsubscribed as (
            select customer_id, max(occurred_at) as unsubscribed_at
            from marts.core.fct_interactions
            where interaction_type = 'unsubscribed'
            group by customer_id
        )
        select
            count(*) filter (where recommended_channel = 'email'),
            count(*) filter (where recommended_channel = 'phone'),
            count(*) filter (
                where (recommended_channel = 'email' and (not may_email or unsubscribed_at > consents.updated_at))
                    or (recommended_channel = 'phone' and not may_phone)
            )
        from marts.churn.retention_actions
        left join consents using (customer_id)
        left join unsubscribed using (customer_id)
    """)
    assert emails > 100
    assert phones > 100
    assert wrong == 0
