"""What a wallet of a past period is judged by was known by then: later rows change nothing of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from orchestration.lib.mapping import load_mapping
from orchestration.synthetic.world import World
from tests.integration.test_synthetic import Loaded, loaded
from tests.support.project import compiled

DATED = {"orders": "ordered_at", "refunds": "refunded_at", "interactions": "occurred_at"}
KEY = ("period_end_on", "customer_id", "category")
# What is learnt comes with the period, or from a panel that delivers late.
LEARNT = ("is_current", "wallet_minor")
# A feature as somebody might write it who forgets the date: whatever the customer has bought, ever.
PLANTED = """
    select features.* replace (cast(purchases.purchase_day_count as double) as purchase_day_count)
    from intermediate.int_wallet_features as features
    inner join intermediate.int_customer_purchases as purchases using (customer_id)
"""


@pytest.fixture(scope="module", params=["observed", "own_spend"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """What is known `now` of the period before the latest, and what was known `then`, before anything later had come.

    Of basis own_spend, what comes in the period itself is later, too.
    """
    folder = tmp_path_factory.mktemp("world")
    made = World(customers=3000, months=24, seed=5, layout="parquet")
    least = 1 if request.param == "observed" else 1_000_000
    with (built := loaded(made, folder, marts=())).connection:
        variables: dict[str, Any] = {**load_mapping(built.mapping).dbt_vars(), "wallet_least_customers": least}
        # Who is one and the same is restated when it is found out, of the past too.
        built.rows("delete from staging.stg_identity_map_checked")
        compiled(json.dumps(variables, default=str)).build(built.connection, only=("intermediate",))
        [(basis, day, ends_on)] = built.rows(
            "select basis, known_until_on, period_end_on from intermediate.int_wallet_periods where period_number = 1"
        )
        assert basis == request.param
        _keep(built, "now", f"date '{ends_on}'")
        zone = variables["business_timezone"]
        for table, column in DATED.items():
            later = f"cast(timezone('{zone}', timezone('UTC', {column})) as date) > date '{day}'"
            assert built.rows(f"delete from staging.stg_{table}_checked where {later}")[0][0] > 50, table
        # The periods stay: when they are over is no feature.
        project = compiled(json.dumps({**variables, "data_end": ends_on}, default=str))
        project.build(built.connection, only=("intermediate",))
        _keep(built, "then", f"date '{ends_on}'")
        yield built


def _keep(world: Loaded, schema: str, ends_on: str) -> None:
    world.rows(f'create schema "{schema}"')
    world.rows(
        f'create table "{schema}".features as from intermediate.int_wallet_features where period_end_on = {ends_on}'
    )
    world.rows(f'create table "{schema}".planted as from ({PLANTED}) where period_end_on = {ends_on}')


def _different(world: Loaded, table: str) -> set[str]:
    """Columns in which what is known now of the period is not what was known then; `rows` where rows are missing.

    Then the period is the latest, which has all customers; now it has those to learn from.
    """
    columns = [name for (name,) in world.rows(f"select column_name from (describe now.{table})")]
    names = [name for name in columns if name not in (*KEY, *LEARNT)]
    counts = ", ".join(f"count(*) filter (where known.{name} is distinct from was.{name})" for name in names)
    [(count, unmatched, *different)] = world.rows(f"""
        select count(*), count(*) filter (where was.customer_id is null), {counts}
        from now.{table} as known
        left join "then".{table} as was using ({", ".join(KEY)})
    """)
    assert count > 50
    return {name for name, count in zip(["rows", *names], [unmatched, *different], strict=True) if count}


def test_nothing_of_the_future_is_in_it(world: Loaded) -> None:
    assert _different(world, "features") == set()


def test_a_feature_of_the_future_would_be_found(world: Loaded) -> None:
    assert _different(world, "planted") == {"purchase_day_count"}
