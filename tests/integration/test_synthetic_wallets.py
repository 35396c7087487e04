"""The wallet marts against a world in which the wallets of everybody in the panel are known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestration.synthetic.wallets import PANEL_SHARE, SURVEY_SHARE
from orchestration.synthetic.world import World
from tests.integration.test_synthetic import Loaded, loaded


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    folder = tmp_path_factory.mktemp("world")
    with (built := loaded(World(customers=6000, months=24, seed=7, dirt=0, layout="parquet"), folder,
                          marts=("wallet",))).connection:  # fmt: skip
        yield built


def test_every_wallet_of_the_panel_is_the_true_one(world: Loaded) -> None:
    """To the cents to which a brand's spend is rounded; each has four rivals at most."""
    [(wallets, known, different)] = world.rows("""
        select count(*), count(truth.customer_id), count(*) filter (
            where wallets.own_amount <> truth.own_amount or abs(wallets.wallet_amount - truth.wallet_amount) > 0.05
                or abs(wallets.sow_rate - truth.own_amount / truth.wallet_amount) > 0.05 / truth.wallet_amount)
        from marts.wallet.customer_wallets as wallets
        left join truth.wallets as truth
            on truth.customer_id = wallets.customer_id and truth.period_start = wallets.period_start_on
            and truth.category = wallets.category
        where wallets.provenance = 'panel'
    """)
    assert wallets == known > 1500
    assert different == 0


def test_a_survey_of_ranks_has_scores_and_no_wallets(world: Loaded) -> None:
    [(count, amounts, scores)] = world.rows("""
        select count(*), count(own_amount) + count(wallet_amount) + count(sow_rate), count(war_score)
        from marts.wallet.customer_wallets
        where provenance = 'survey'
    """)
    assert amounts == 0
    assert 0 < scores <= count


def test_coverage_is_the_share_of_the_panel(world: Loaded) -> None:
    """Of all customers, in the quarter and over the categories that each has three of."""
    rows = world.rows("""
        select period_start_on, sum(wallet_count) / 3 / max(customer_count)
        from marts.wallet.wallet_shares
        where provenance = 'panel' and segment_name = 'all'
        group by period_start_on
        order by period_start_on
    """)
    assert len(rows) == 8
    assert rows[-1][1] == pytest.approx(PANEL_SHARE, rel=0.3)
    assert all(0 < coverage <= 1.3 * (PANEL_SHARE + SURVEY_SHARE) for _, coverage in rows)
