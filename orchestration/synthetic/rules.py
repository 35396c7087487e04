"""The club of the made-up shop as rules of its own: tiers by net spend of twelve calendar months, and points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestration.synthetic.truth import TIER_MONTHS
from orchestration.synthetic.world import TIERS

PROGRAM = "club"
_BEGINS = "2000-01-01"
_POINTS_PER_UNIT = 6  # members redeem a few hundred at a time, and seldom more than they have
_EXPIRY_MONTHS = 18
_BENEFITS = ("0", "0.20", "1.50", "6.00")
_MULTIPLIERS = ("1", "1.25", "1.5", "2")


def lines() -> Mapping[str, Sequence[Sequence[Any]]]:
    """Seed → its rows, in the order of `orchestration.lib.tiers.rules.COLUMNS`."""
    return {
        "tier_programs": [(PROGRAM, "The club", "enrolled", "true")],
        "tiers": [(PROGRAM, tier, rank, _BENEFITS[rank]) for rank, tier in enumerate(TIERS)],
        "tier_rules": [
            (PROGRAM, 1, _BEGINS, tier, "spend", bound, "calendar_months", TIER_MONTHS, 0, 0, "full")
            for tier, bound in TIERS.items()
            if bound > 0
        ],
        "tier_overrides": [],
        "points_rules": [(PROGRAM, 1, _BEGINS, "fixed", _EXPIRY_MONTHS, "", "", "", "0.01", "0.008", "")],
        "earn_rules": [
            (PROGRAM, 1, "order", "", _POINTS_PER_UNIT),
            *((PROGRAM, 1, "tier", tier, _MULTIPLIERS[rank]) for rank, tier in enumerate(TIERS) if rank > 0),
        ],
    }
