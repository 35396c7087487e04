"""Modelled wallets against a world in which those of a fifth of the customers are known, and a panel of 3 % is seen."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

from orchestration.lib.forecast import quality, wallets
from orchestration.lib.forecast.wallets import SEGMENTS, TREES, LearntWallets, Rules, SegmentQuantile
from orchestration.lib.mapping import load_mapping
from orchestration.synthetic.world import World
from tests.integration.test_synthetic import Loaded, loaded
from tests.support.project import compiled

QUANTILE = 0.9
RULES = Rules(quantile=QUANTILE, least_customers=200, trial_count=5)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    folder = tmp_path_factory.mktemp("world")
    made = World(customers=50_000, months=24, seed=7, dirt=0, layout="parquet")
    with (built := loaded(made, folder, marts=())).connection:
        wallets.model_wallets(built.connection, RULES)
        project = compiled(json.dumps(load_mapping(built.mapping).dbt_vars(), default=str))
        next(node for node in project.nodes if node.name == "int_wallets_modelled").make(built.connection)
        project.build(built.connection, only=("marts/wallet",))
        yield built


def truth(world: Loaded) -> tuple[np.ndarray, ...]:
    """Of modelled wallets whose truth is known: these, the true ones, and what the segment's quantile would be."""
    wallets._gather(world.connection)
    current = wallets._periods(world.connection)[0]
    segments = SegmentQuantile.learnt(wallets._learnt_from(world.connection, current), QUANTILE)
    everybody = wallets._read(world.connection, f"period_end_on = date '{current.ends_on}'")
    world.connection.register("by_segment", {"place": everybody.place, "amount": segments.amounts(everybody)})
    columns = world.connection.execute("""
        select cast(modelled.wallet_amount as double) as modelled, cast(truth.wallet_amount as double) as truth,
            by_segment.amount as by_segment
        from marts.wallet.customer_wallets as modelled
        inner join truth.wallets as truth
            on truth.customer_id = modelled.customer_id and truth.period_start = modelled.period_start_on
            and truth.category = modelled.category
        inner join wallets
            on modelled.customer_id = wallets.customer_id and modelled.category = wallets.category_name
            and modelled.period_end_on = wallets.period_end_on
        inner join by_segment on wallets.place = by_segment.place
        where modelled.provenance = 'modelled'
        order by wallets.place
    """).fetchnumpy()
    return tuple(columns[name] for name in ("modelled", "truth", "by_segment"))


def test_of_customers_whom_nobody_observed_nine_in_ten_spend_no_more(world: Loaded) -> None:
    modelled, true, by_segment = truth(world)
    assert len(true) > 5000
    assert np.mean(true <= modelled) == pytest.approx(QUANTILE, abs=0.02)
    losses = [quality.pinball(forecast, true, QUANTILE) for forecast in (modelled, by_segment)]
    assert losses[0] < 0.8 * losses[1]


def test_what_the_trials_said_is_what_came_of_those_whom_nobody_observed(world: Loaded) -> None:
    """Trials know the panel alone; a loss has the standard error of a thousand customers."""
    [(basis, chosen)] = world.rows("select basis, model_id from forecast.wallet_models where is_chosen")
    assert (basis, chosen) == ("observed", TREES)
    said = dict(
        world.rows("select model_id, avg(actual) from forecast.wallet_quality where measure = 'wallet_pinball_loss' "
                   "group by model_id")
    )  # fmt: skip
    modelled, true, by_segment = truth(world)
    assert quality.pinball(modelled, true, QUANTILE) == pytest.approx(said[TREES], rel=0.2)
    assert quality.pinball(by_segment, true, QUANTILE) == pytest.approx(said[SEGMENTS], rel=0.3)


def test_modelled_are_the_categories_that_customers_bought_and_nobody_observed(world: Loaded) -> None:
    rows = world.rows("""
        select count(*), count(distinct modelled.customer_id), count(observed.customer_id),
            max(modelled.period_end_on), count(distinct modelled.period_end_on)
        from marts.wallet.customer_wallets as modelled
        left join marts.wallet.customer_wallets as observed
            on observed.customer_id = modelled.customer_id and observed.category = modelled.category
            and observed.period_end_on = modelled.period_end_on and observed.provenance = 'panel'
        where modelled.provenance = 'modelled'
    """)
    [(wallet_count, customers, observed, ends_on, periods)] = rows
    assert observed == 0
    assert (ends_on, periods) == (world.world.end, 1)
    assert 10_000 < customers < wallet_count < 3 * customers


def test_own_spend_is_that_of_the_books(world: Loaded) -> None:
    """Of customers who were not in the panel, what their orders of the quarter come to: but for the
    rounding of foreign currencies by line."""
    [(own, net)] = world.rows("""
        with modelled as (
            select customer_id, min(period_start_on) as period_start_on, sum(own_amount) as own_amount
            from marts.wallet.customer_wallets
            where provenance = 'modelled'
                and customer_id not in (select customer_id from intermediate.int_wallets_observed)
            group by customer_id
        )
        select sum(own_amount), sum((
            select sum(net_minor) / 100 from intermediate.int_orders_enriched as orders
            where orders.customer_id = modelled.customer_id and is_valid_sale
                and business_date >= modelled.period_start_on
        ))
        from modelled
    """)
    assert float(own) == pytest.approx(net, rel=1e-6)
    assert own > 100_000


@pytest.fixture(scope="module")
def unobserved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Loaded, LearntWallets]]:
    """A world whose panel has fewer customers than it takes."""
    folder = tmp_path_factory.mktemp("unobserved")
    made = World(customers=8000, months=24, seed=7, dirt=0, layout="parquet")
    with (built := loaded(made, folder, marts=())).connection:
        variables = {**load_mapping(built.mapping).dbt_vars(), "wallet_least_customers": 1_000_000}
        for node in compiled(json.dumps(variables, default=str)).nodes:
            if node.name in ("int_wallet_periods", "int_wallet_features"):
                node.make(built.connection)
        yield built, wallets.model_wallets(built.connection, RULES)


def test_without_a_panel_nine_in_ten_customers_spend_no_more_with_us(
    unobserved: tuple[Loaded, LearntWallets],
) -> None:
    """In the mean of the quarters: one differs from another more than customers do."""
    world, learnt = unobserved
    assert {model.period.basis for model in learnt.models} == {"own_spend"}
    coverage = {found.period.ends_on: found.coverage for found in learnt.measures if found.model_id == TREES}
    assert len(coverage) == 5
    assert np.mean(list(coverage.values())) == pytest.approx(QUANTILE, abs=0.02)
    assert world.rows("select max(abs(period_spend) + period_purchase_day_count + period_activity_count) "
                      "from intermediate.int_wallet_features") == [(0,)]  # fmt: skip
    assert learnt.choice.model_id == TREES, learnt.choice.why
