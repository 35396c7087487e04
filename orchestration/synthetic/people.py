"""Who buys: each customer's rates, spend, life, complaint, loyalty account and identities, drawn with NumPy.

Customers are drawn in blocks of a fixed size, each with a random stream of its own, so that a world does not depend on
how many blocks are handled at a time, and a larger world begins with the smaller one's customers.
"""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from orchestration.synthetic.world import (
    ACQUISITION_CHANNELS,
    CHURN_CAUSES,
    DROPOUT_SCALE,
    DROPOUT_SHAPE,
    FORECAST_DAYS,
    PURCHASE_MEAN,
    PURCHASE_SHAPE,
    SEGMENTS,
    SPEND_GAMMA,
    SPEND_Q,
    Floats,
    World,
)

BLOCK = 1 << 16
# Customers with the lowest keys have identity stories of their own (see `identities`) and no others.
RESERVED_KEYS = 8
# Every tenth sales person leaves; customers who come later are given to the one before.
OWNER_LEAVES_EVERY, LEAVING_OWNER = 10, 3
FOLLOW_DAYS = 180.0

Columns = dict[str, NDArray[Any]]


def create(connection: duckdb.DuckDBPyConnection, world: World, *, blocks_at_once: int = 4) -> None:
    """Table `people`: one row per customer. `first_order_key` numbers all orders through."""
    next_order = 0
    created = False
    count = -(-world.customers // BLOCK)
    for first in range(0, count, blocks_at_once):
        drawn = [_block(world, number) for number in range(first, min(first + blocks_at_once, count))]
        block = {name: np.concatenate([columns[name] for columns in drawn]) for name in drawn[0]}
        orders = block["order_count"]
        block["first_order_key"] = next_order + np.cumsum(orders) - orders
        next_order += int(orders.sum())
        connection.execute(f"{'insert into people' if created else 'create table people as'} select * from block")
        created = True


def owner_leaves(world: World) -> Floats:
    """By owner: when they leave, in business time; infinite for those who stay."""
    random = np.random.Generator(np.random.Philox(key=[world.salt("owners"), 0]))
    leaves = world.clock.end * random.uniform(0.3, 0.9, world.owner_count)
    return np.where(np.arange(world.owner_count) % OWNER_LEAVES_EVERY == LEAVING_OWNER, leaves, np.inf)


def _block(world: World, number: int) -> Columns:
    random = np.random.Generator(np.random.Philox(key=[world.salt("people"), number]))
    clock, end = world.clock, world.clock.end
    key = number * BLOCK + np.arange(BLOCK)
    ordinary = key >= RESERVED_KEYS

    def chance(share: float) -> NDArray[np.bool_]:
        return random.random(BLOCK) < share

    acquired = end * random.random(BLOCK) ** 1.2
    channel = _choice(random, [share for share, _, _ in ACQUISITION_CHANNELS.values()])
    rate_factor = np.array([rate for _, rate, _ in ACQUISITION_CHANNELS.values()])[channel]
    dropout_factor = np.array([rate for _, _, rate in ACQUISITION_CHANNELS.values()])[channel]
    guest = chance(0.04) & ordinary
    rate = np.maximum(random.gamma(PURCHASE_SHAPE, PURCHASE_MEAN / PURCHASE_SHAPE, BLOCK) * rate_factor, 1e-12)
    dropout_rate = np.maximum(random.gamma(DROPOUT_SHAPE, 1 / DROPOUT_SCALE, BLOCK) * dropout_factor, 1e-12)
    left = acquired + random.exponential(1.0, BLOCK) / dropout_rate
    cause = _choice(random, [weight for _, weight in CHURN_CAUSES.values()])

    # A sales person who leaves takes customers along. These would have left soon after anyhow: people who leave for a
    # reason are chosen among those who leave, or there would be more of them than the drop-out rates say.
    owner = (random.random(BLOCK) * world.owner_count).astype(np.int64)
    leaves = owner_leaves(world)
    owner = np.where(leaves[owner] <= acquired, owner - 1, owner)
    follows = (leaves[owner] < left) & (left < leaves[owner] + FOLLOW_DAYS) & chance(0.7) & ~guest
    left = np.where(follows, leaves[owner], left)
    cause = np.where(follows, _cause("better_elsewhere"), cause)

    # Some who leave have had a complaint that nobody settled; others complain too. At most one is told of each.
    before_leaving = left - random.exponential(14.0, BLOCK)
    angry = (left < end) & (before_leaving > acquired) & ~follows & ~guest & chance(0.12)
    complained = np.where(angry, before_leaving, acquired + random.exponential(1500.0, BLOCK))
    complains = (complained < np.minimum(left, end)) & ~guest
    replied = complains & chance(0.8)
    resolved = replied & chance(0.75) & ~angry
    reply_days, resolve_days = random.exponential(1.2, BLOCK), random.gamma(2.0, 3.0, BLOCK)
    blames_company = chance(0.3)
    cause = np.where(angry, np.where(blames_company, _cause("complaint_unresolved"), _cause("dissatisfied")), cause)

    active_until = np.minimum(left, end)
    repeats = np.where(guest, 0, random.poisson(rate * (active_until - acquired)))
    spend_rate = random.gamma(SPEND_Q, 1 / SPEND_GAMMA, BLOCK)

    gone = (left < end) & ~guest
    by_company = np.array([initiator == "company" for initiator, _ in CHURN_CAUSES.values()])[cause]
    closed = gone & np.where(by_company, chance(0.8), chance(0.2))
    interviewed = gone & np.where(closed, chance(0.4), chance(0.1))
    left_at = clock.timestamps(np.where(left < end, left, np.nan))
    last_instant = clock.start + np.timedelta64(clock.days * 86400 - 1, "s")
    closed_at = _after(left_at, random.exponential(3.0, BLOCK), closed, last_instant)
    interviewed_at = _after(left_at, 5 + random.exponential(20.0, BLOCK), interviewed, last_instant)

    members = ~guest & chance(0.6)
    enrolled = acquired + np.where(chance(0.5), 0.0, random.exponential(60.0, BLOCK))
    enrolled = np.where(members & (enrolled < active_until), enrolled, np.nan)

    identity = random.random(BLOCK)
    aliases = np.where(guest | ~ordinary, 0, np.where(identity < 0.005, 2, np.where(identity < 0.04, 1, 0)))
    unmerged = ~guest & ordinary & (identity > 0.997)
    erased = ~guest & ordinary & (identity > 0.5) & (identity < 0.501)
    merged = acquired + (end - acquired) * random.uniform(0.2, 1.0, BLOCK)
    unmerge_after = random.uniform(0.1, 0.9, BLOCK)
    panel = random.random(BLOCK)

    columns: Columns = {
        "customer_key": key,
        "purchase_rate": rate,
        "dropout_rate": dropout_rate,
        "spend_rate": spend_rate,
        "acquired": acquired,
        "active_until": active_until,
        "acquired_at": clock.timestamps(acquired),
        "dropped_out_at": left_at,
        "cause": cause.astype(np.int16),
        "left_after_complaint": angry & gone,
        "left_with_owner": follows & gone,
        "closed_at": closed_at,
        "interviewed_at": interviewed_at,
        "complained_at": clock.timestamps(np.where(complains, complained, np.nan)),
        "replied_at": _after(clock.timestamps(complained), reply_days, replied, last_instant),
        "resolved_at": _after(clock.timestamps(complained), reply_days + resolve_days, resolved, last_instant),
        "channel": channel.astype(np.int16),
        "owner": owner.astype(np.int32),
        "owner_left_at": clock.timestamps(leaves[owner]),
        "is_guest": guest,
        "enrolled_at": clock.timestamps(enrolled),
        "alias_count": aliases.astype(np.int16),
        "merged_at": clock.timestamps(np.where((aliases > 0) | unmerged | ~ordinary, merged, np.nan)),
        "unmerged_at": clock.timestamps(np.where(unmerged, merged + (end - merged) * unmerge_after, np.nan)),
        "erased_at": clock.timestamps(np.where(erased, merged, np.nan)),
        "segment": (random.random(BLOCK) ** 2 * len(SEGMENTS)).astype(np.int16),
        "has_profile": ~guest & (chance(0.85) | ~ordinary),
        "tries_first": ~guest & chance(0.06),
        # A friend is somebody with a lower key, so that a larger world has the same friends.
        "friend_key": (random.random(BLOCK) * key).astype(np.int64),
        "wallet_sample": np.where(guest, 1.0, panel),
        "order_count": 1 + repeats,
        **_future(random, world, rate, left, guest),
    }
    return {name: column[: max(0, world.customers - number * BLOCK)] for name, column in columns.items()}


def _future(random: np.random.Generator, world: World, rate: Floats, left: Floats, guest: NDArray[np.bool_]) -> Columns:
    """The first order after the data's end (NaT: none within a year), and how many come within each horizon."""
    clock = world.clock
    following = clock.end + random.exponential(1.0, BLOCK) / rate
    following = np.where((following < left) & ~guest, following, np.inf)
    columns: Columns = {"next_order_at": clock.timestamps(following)}
    since, orders = clock.end, np.zeros(BLOCK, dtype=np.int64)
    for days in FORECAST_DAYS:
        until = clock.at_day(clock.days + days)
        exposed = np.maximum(0.0, np.minimum(until, left) - np.maximum(since, following))
        orders = orders + ((following >= since) & (following < until)) + random.poisson(rate * exposed)
        columns[f"orders_next_{days}d"] = orders
        since = until
    return columns


def _choice(random: np.random.Generator, weights: list[float]) -> NDArray[np.int64]:
    bounds = np.cumsum(weights) / np.sum(weights)
    return np.minimum(np.searchsorted(bounds, random.random(BLOCK), side="right"), len(weights) - 1)


def _cause(name: str) -> int:
    return list(CHURN_CAUSES).index(name)


def _after(
    moments: NDArray[np.datetime64], days: Floats, happens: NDArray[np.bool_], last: np.datetime64
) -> NDArray[np.datetime64]:
    """Moments some days later; NaT where it does not happen, or only after the data's end."""
    later = moments + (days * 86400).astype(np.int64).astype("timedelta64[s]")
    return np.where(happens & (later <= last), later, np.datetime64("NaT", "us")).astype("datetime64[us]")
