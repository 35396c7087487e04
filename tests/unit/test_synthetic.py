"""The made-up world: the same for the same seed, whatever the machine does; different for another; sound in itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest

from orchestration.lib import inputs, loading
from orchestration.lib.errors import UserError
from orchestration.lib.mapping import load_mapping
from orchestration.lib.settings import Settings
from orchestration.synthetic import people, sales
from orchestration.synthetic.generating import generate
from orchestration.synthetic.world import PURCHASE_MEAN, Layout, World, checked_layout
from orchestration.synthetic.writing import digest

SMALL = World(customers=300, months=7, seed=11)


def drawn_people(world: World) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    people.create(connection, world)
    return connection


def test_the_same_seed_gives_the_same_bytes_whatever_the_threads_and_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "BLOCK", 64)
    generate(SMALL, tmp_path / "a", threads=1, blocks_at_once=1)
    generate(SMALL, tmp_path / "b", threads=4, blocks_at_once=3)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_another_seed_gives_another_world(tmp_path: Path) -> None:
    generate(SMALL, tmp_path / "a")
    generate(replace(SMALL, seed=12), tmp_path / "b")
    for file in (
        "orders/orders_2022-03.csv.gz",
        "truth/customers.parquet",
        "interactions/interactions_2022-05.parquet",
    ):
        assert (tmp_path / "a" / file).read_bytes() != (tmp_path / "b" / file).read_bytes()


def test_a_larger_world_begins_with_the_customers_of_the_smaller() -> None:
    smaller = drawn_people(SMALL).execute("from people order by customer_key").fetchall()
    larger = drawn_people(replace(SMALL, customers=400)).execute("from people order by customer_key").fetchall()
    assert larger[:300] == smaller


def test_dirt_spoils_what_is_delivered_and_leaves_the_world_as_it_is(tmp_path: Path) -> None:
    generate(SMALL, tmp_path / "dirty")
    generate(replace(SMALL, dirt=0.0), tmp_path / "clean")
    for fact in ("customers", "wallets"):
        same = [(tmp_path / name / "truth" / f"{fact}.parquet").read_bytes() for name in ("dirty", "clean")]
        assert same[0] == same[1]
    fates = duckdb.execute(
        f"select distinct fate from '{tmp_path}/clean/truth/dirt.parquet' where kind <> 'unmerged' order by 1"
    ).fetchall()
    assert fates in ([("copy",)], [("copy",), ("erased",)])


@pytest.mark.parametrize("layout", ["mixed", "csv", "parquet"])
def test_every_contract_table_is_written_and_marked_as_made_up(tmp_path: Path, layout: Layout) -> None:
    made = generate(replace(SMALL, layout=layout), tmp_path / "world")
    mapping = load_mapping(made.mapping)
    assert mapping.is_synthetic
    assert set(mapping.feeds) == {
        "orders", "order_lines", "refunds", "interactions", "customers", "wallet_observations", "identity_map",
        "erasures",
    }  # fmt: skip
    assert not list(tmp_path.glob(".*"))
    endings = {
        "".join(path.suffixes) for path in tmp_path.glob("world/*/*") if path.parent.name not in ("truth", "rules")
    }
    assert endings == {"mixed": {".csv.gz", ".parquet"}, "csv": {".csv.gz"}, "parquet": {".parquet"}}[layout]


def test_a_world_of_one_person_can_be_loaded(tmp_path: Path) -> None:
    made = generate(World(customers=1, months=1), tmp_path / "world")
    settings = Settings(home=tmp_path / "home", dataset="synthetic", mapping_path=made.mapping)
    mapping = load_mapping(made.mapping)
    assert "orders" in mapping.feeds
    assert loading.load(settings, mapping, inputs.fingerprint(settings, mapping)).load_id == 1


def test_an_older_world_is_replaced_and_nothing_else_is_touched(tmp_path: Path) -> None:
    generate(SMALL, tmp_path / "world")
    generate(replace(SMALL, months=2), tmp_path / "world")
    assert not list(tmp_path.glob("world/orders/*2022-03*"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="is not empty, and what is in it is no generated data set"):
        generate(SMALL, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_parameters_that_make_no_world_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--dirt is 1\.5"):
        generate(replace(SMALL, dirt=1.5), tmp_path / "world")
    with pytest.raises(UserError, match="at least one customer"):
        generate(replace(SMALL, customers=0), tmp_path / "world")
    with pytest.raises(UserError, match="no format 'json'"):
        checked_layout("json")
    assert list(tmp_path.iterdir()) == []


def test_half_of_the_customers_buy_once_and_orders_are_ten_times_customers() -> None:
    row = (
        drawn_people(World(customers=60_000, seed=3))
        .execute("select avg(order_count), avg(cast(order_count = 1 as double)) from people")
        .fetchone()
    )
    assert row is not None
    assert 9 < row[0] < 11.5
    assert 0.45 < row[1] < 0.55


def test_who_is_still_alive_is_as_likely_as_pareto_nbd_says() -> None:
    """P(alive) by each one's true rates [Schmittlein, Morrison & Colombo], in tenths."""
    world = World(customers=30_000, seed=8)
    connection = drawn_people(world)
    sales.create(connection, world)
    found = connection.execute(
        f"""select customer_key, purchase_rate, dropout_rate, dropped_out_at is null as is_alive,
            epoch(max(ordered_at) - timestamp '{world.start}') / 86400 as last_day
        from orders join people using (customer_key) where not is_guest group by all"""
    ).fetchnumpy()
    clock, day = world.clock, np.floor(found["last_day"])
    open_share = ((found["last_day"] - day) * 86400 - clock.OPENS_AT) / clock.OPEN_SECONDS
    last = np.interp(day + open_share, np.arange(len(clock.day_starts)), clock.day_starts)
    total = found["purchase_rate"] + found["dropout_rate"]
    odds_against = found["dropout_rate"] / total * np.expm1(np.minimum(total * (clock.end - last), 700))
    p_alive = 1 / (1 + odds_against)
    for tenth in np.array_split(np.argsort(p_alive), 10):
        assert abs(p_alive[tenth].mean() - found["is_alive"][tenth].mean()) < 0.03


def test_business_time_becomes_calendar_time_alike_in_numpy_and_in_sql() -> None:
    world = World(customers=1)
    moments = np.random.default_rng(0).uniform(0, world.clock.end, 20_000)
    slots = world.clock.slots()  # noqa: F841 (read by DuckDB)
    frame = {"moment": moments}  # noqa: F841
    found = duckdb.execute(
        """select case when moment < next_starts then day + (moment - starts) / weight
            else day + 1 + (moment - next_starts) / next_weight end
        from frame join slots on slot = cast(floor(moment * 8) as bigint) order by moment"""
    ).fetchnumpy()
    days = next(iter(found.values()))
    assert np.allclose(
        days, np.interp(np.sort(moments), world.clock.day_starts, np.arange(len(world.clock.day_starts)))
    )


def test_seasons_do_not_change_how_often_people_buy() -> None:
    world = World(customers=1)
    assert abs(world.clock.end / world.days - 1.0) < 0.06
    assert 0 < PURCHASE_MEAN < 1


def test_draws_of_one_key_for_two_purposes_are_unrelated() -> None:
    world = World(customers=1)
    row = duckdb.execute(
        f"""select corr(a, b), avg(a), var_pop(a), corr(a, lagged) from (
            select {world.uniform("key", "a")} as a, {world.uniform("key", "b")} as b,
                {world.uniform("(key - 1)", "a")} as lagged
            from range(200000) as keys (key))"""
    ).fetchone()
    assert row is not None
    assert abs(row[0]) < 0.01
    assert abs(row[1] - 0.5) < 0.005
    assert abs(row[2] - 1 / 12) < 0.002
    assert abs(row[3]) < 0.01
