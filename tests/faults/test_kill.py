"""SIGKILL at any moment of a run: what is served is whole, and the next run puts everything right by itself."""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass

from tests.faults.conftest import Shops
from tests.faults.world import Shop

RANDOM_KILLS = 10
SEED = 20_240_503

# Lines that a run writes, in order: the beginning of each stage, and steps within. Publishing is killed at each of its
# steps in tests/unit/test_publishing.py; here at those around which the version gets its number and becomes current.
BOUNDARIES = [
    "] Start dbt and Dagster",
    "] Prepare",
    "] Load the raw files",
    "  sales: landing/sales-2024-02.csv",
    "  clicks: landing/clicks-4.csv",
    "] Build the marts with dbt",
    "staging.stg_orders_checked",
    "core.fct_orders",
    "retention.retention_cohorts",
    "] Fit models of purchases and spend",
    "] Learn the risk of churn",
    "] Build the forecasts with dbt",
    "value.customer_value",
    "] Check with Great Expectations",
    "rules on",
    "] Publish",
    "  copy marts",
    "  name the version",
    "  make it current",
    "  remove old versions",
]
IS_PUBLISHED = ["  remove old versions"]


@dataclass(frozen=True)
class Kill:
    """What became of a killed run: its last line, the version served then, and what went wrong afterwards."""

    where: str
    served: int
    wrong: str


def after(shops: Shops, shop: Shop, where: str) -> Kill:
    """Looks at what the killed run left, then runs again."""
    served = shop.served()
    code, said = shop.run()
    wrong = [f"exit code {code}: {said}"] if code else []
    if not code:
        wrong += [f"version {shop.served()} is served"] if shop.served() != 2 else []
        wrong += [f"left over: {name}" for name in shop.leftovers()]
        wrong += [f"{table} differs by {rows} rows" for table, rows in shops.reference.differences(shop).items()]
    print(f"served {served}, then {'WRONG' if wrong else 'right'}: {where}", flush=True)
    return Kill(where, served, "; ".join(wrong))


def test_at_each_boundary(shops: Shops) -> None:
    def kill(shop: Shop, boundary: str) -> Kill:
        killed = shop.start(kill_at=boundary)
        assert killed.wait() == -signal.SIGKILL, killed.output
        return after(shops, shop, boundary)

    kills = shops.each(BOUNDARIES, kill)
    assert [kill for kill in kills if kill.wrong] == []
    assert [kill.where for kill in kills if kill.served == 2] == IS_PUBLISHED


def test_at_random_moments(shops: Shops) -> None:
    draw = random.Random(SEED)

    def kill(shop: Shop, share: float) -> Kill:
        while True:
            killed = shop.start()
            killed.process.join(share * shops.seconds)
            killed.kill()
            if killed.wait() == -signal.SIGKILL:
                break
            # The machine was quicker than when the run was timed: earlier, then.
            shop.put_back()
            share *= 0.9
        return after(shops, shop, f"{share:.0%}: {(killed.output.splitlines() or [''])[-1]}")

    # Spread: one moment in each tenth of the run.
    kills = shops.each([(part + draw.random()) / RANDOM_KILLS for part in range(RANDOM_KILLS)], kill)
    assert [kill for kill in kills if kill.wrong] == []
