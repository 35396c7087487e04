"""The tier marts against a world in which everybody's tiers are known, found by a rule of calendar months."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestration.synthetic.world import World
from tests.integration.test_synthetic import Loaded, loaded


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    folder = tmp_path_factory.mktemp("world")
    with (built := loaded(World(customers=6000, months=36, seed=5, dirt=0, layout="parquet"), folder,
                          marts=("core", "tiers"))).connection:  # fmt: skip
        yield built


def test_every_tier_of_every_member_is_the_true_one(world: Loaded) -> None:
    """Of members to whom nothing was refunded: the world knows all refunds from the beginning, a history must not."""
    differences = world.rows("""
        with refunded as (
            select distinct true_customer_id as customer_id from truth.refunds
        )
        select truth.*, history.*
        from truth.tier_paths as truth
        full join marts.tiers.tier_history as history
            on truth.customer_id = history.customer_id and truth.valid_from = history.valid_from
        where coalesce(truth.customer_id, history.customer_id) not in (select customer_id from refunded)
            and (truth.tier is distinct from history.tier or truth.valid_to is distinct from history.valid_to)
    """)
    assert differences == []
    [(members, changes)] = world.rows("select count(distinct customer_id), count(*) from marts.tiers.tier_history")
    assert members > 1500
    assert changes > 1.5 * members


def test_members_with_refunds_end_in_the_true_tier(world: Loaded) -> None:
    """The refunds that came in time are known by the end of the data."""
    rows = world.rows("""
        select count(*), count(*) filter (where truth.tier = members.tier)
        from truth.tier_paths as truth
        inner join marts.tiers.member_tiers as members on truth.customer_id = members.customer_id
        where truth.valid_to is null
    """)
    [(count, right)] = rows
    assert count > 1500
    assert right / count > 0.995


def test_points_of_the_club_are_spent_as_they_were_given(world: Loaded) -> None:
    """Nearly all that the world's members redeem is there; the rest is owed and paid."""
    [(given, redeemed, owed, expired)] = world.rows("""
        select
            sum(points) filter (where entry_type = 'earned'),
            -sum(points) filter (where entry_type = 'redeemed'),
            -sum(points) filter (where entry_type = 'debt' and points < 0 and source_type = 'interaction'),
            -sum(points) filter (where entry_type = 'expired')
        from marts.tiers.points_ledger
    """)
    [(told,)] = world.rows("""
        select sum(interactions.score)
        from marts.core.fct_interactions as interactions
        inner join marts.tiers.member_tiers as members
            on interactions.customer_id = members.customer_id and interactions.business_date >= members.member_since_on
        where interactions.interaction_type = 'points_redeemed'
    """)
    [(unpaid,)] = world.rows("""
        select -sum(points)
        from marts.tiers.points_ledger
        where entry_type = 'debt' and source_type = 'interaction'
    """)
    assert redeemed + unpaid == told > 100_000
    assert 0 < owed < 0.05 * told, owed / told
    assert given > 5 * redeemed
    assert expired > redeemed
