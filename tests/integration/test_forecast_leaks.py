"""What a forecast as of a past date is made from was known by then: it equals what a warehouse of that day holds."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from orchestration.lib.mapping import load_mapping
from orchestration.synthetic.world import World
from tests.integration.test_synthetic import Loaded, loaded
from tests.support.project import compiled

TABLES = ("int_forecast_histories", "int_forecast_thresholds", "int_forecast_features")
DATED = {"orders": "ordered_at", "refunds": "refunded_at", "interactions": "occurred_at"}

# A feature as somebody might write it who forgets the date: whatever the customer has bought, ever.
PLANTED = """
    select features.* replace (purchases.purchase_day_count as purchase_day_count)
    from intermediate.int_forecast_features as features
    inner join intermediate.int_customer_purchases as purchases using (customer_id)
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """What is known `now` of a date 180 days ago, and what was known `then`, before anything later had come."""
    folder = tmp_path_factory.mktemp("world")
    made = World(customers=3000, months=30, seed=5, layout="parquet")
    with (built := loaded(made, folder, marts=())).connection:
        variables = load_mapping(folder / "world" / "synthetic.yml").dbt_vars()
        # Who is one and the same is restated when it is found out, of the past too.
        built.rows("delete from staging.stg_identity_map_checked")
        compiled(json.dumps(variables, default=str)).build(built.connection, only=("intermediate",))
        [(day,)] = built.rows("select as_of_on from intermediate.int_forecast_dates where backtest_number = 2")
        _keep(built, "now", f"date '{day}'")

        zone = variables["business_timezone"]
        for table, column in DATED.items():
            later = f"cast(timezone('{zone}', timezone('UTC', {column})) as date) > date '{day}'"
            assert built.rows(f"delete from staging.stg_{table}_checked where {later}")[0][0] > 50, table
        project = compiled(json.dumps({**variables, "data_end": day}, default=str))
        project.build(built.connection, only=("intermediate",))
        _keep(built, "then", f"date '{day}'")
        yield built


def _keep(world: Loaded, schema: str, day: str) -> None:
    world.rows(f'create schema "{schema}"')
    for table in TABLES:
        world.rows(f'create table "{schema}".{table} as from intermediate.{table} where as_of_on = {day}')
    world.rows(f'create table "{schema}".planted as from ({PLANTED}) where as_of_on = {day}')


def _different(world: Loaded, table: str) -> set[str]:
    """Columns in which what is known now of that day is not what was known then; `rows` where rows are missing."""
    columns = [name for (name,) in world.rows(f"select column_name from (describe now.{table})")]
    names = [name for name in columns if name not in ("as_of_on", "is_current", "customer_id")]
    counts = ", ".join(f"count(*) filter (where known.{name} is distinct from was.{name})" for name in names)
    [(count, unmatched, *different)] = world.rows(f"""
        select count(*), count(*) filter (where known.customer_id is null or was.customer_id is null), {counts}
        from now.{table} as known
        full join "then".{table} as was on known.customer_id = was.customer_id
    """)
    assert count > 500
    return {name for name, count in zip(["rows", *names], [unmatched, *different], strict=True) if count}


@pytest.mark.parametrize("table", TABLES)
def test_nothing_of_the_future_is_in_it(world: Loaded, table: str) -> None:
    assert _different(world, table) == set()


def test_a_feature_of_the_future_would_be_found(world: Loaded) -> None:
    assert _different(world, "planted") == {"purchase_day_count"}
