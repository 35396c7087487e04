"""The tier marts against a world in which everybody's tiers are known, found by a rule of calendar months."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.synthetic.truth import TIER_MONTHS
from orchestration.synthetic.world import TIERS, World
from tests.integration.test_synthetic import Loaded, loaded
from tests.support.project import write_tier_files


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    folder = tmp_path_factory.mktemp("world")
    with (built := loaded(World(customers=6000, months=36, seed=5, dirt=0, layout="parquet"), folder,
                          marts=("core", "tiers"), seeds=world_rules(folder))).connection:  # fmt: skip
        yield built


def world_rules(folder: Path) -> Path:
    """Rule files of the world's own programme."""
    lines = {
        "tier_programs": [("club", "The club", "enrolled", "true")],
        "tiers": [("club", tier, rank, 0) for rank, tier in enumerate(TIERS)],
        "tier_rules": [
            ("club", 1, "2000-01-01", tier, "spend", bound, "calendar_months", TIER_MONTHS, 0, 0, "full")
            for tier, bound in TIERS.items()
            if bound > 0
        ],
    }
    write_tier_files(folder, lines)
    return folder


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
