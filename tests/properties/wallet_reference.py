"""The wallet marts computed the slow and obvious way: every wallet a dictionary of brands, every rank by a sorted list.

It shares nothing with the models but the conventions of `reference`; money is in whole cents, shares are exact
fractions until they are written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import NamedTuple

from tests.properties.reference import Row, add_months, amount, ratio

WALLET = ("customer_id", "category", "provenance")
Brands = dict[str, tuple[int | None, float | None]]
"""Of one wallet, for each brand: cents, None where they are not known, and the rank that was stated."""


class Period(NamedTuple):
    starts_on: date
    ends_on: date


class Spend(NamedTuple):
    """What somebody spent on a brand; `cents` and `rank` may not be known, `on` is of lines alone."""

    customer_id: str
    period: Period
    category: str
    brand: str
    provenance: str
    cents: int | None
    rank: float | None = None
    on: date | None = None


class Line(NamedTuple):
    category: str | None
    brand: str | None
    cents: int | None


class Basket(NamedTuple):
    """A completed order: its lines in order, and what was paid back in all."""

    customer_id: str | None
    on: date
    lines: Sequence[Line]
    refunded: int


def period_of(day: date, months: int) -> Period:
    """The calendar period of so many months (a divisor of twelve) that holds a day."""
    starts_on = date(day.year, (day.month - 1) // months * months + 1, 1)
    return Period(starts_on, add_months(starts_on, months) - timedelta(days=1))


def spends_of(baskets: Sequence[Basket], months: int, data_end: date) -> Iterator[Spend]:
    """What lines of a panel say, each less its part of the order's refunds: the parts are rounded as they add up."""
    for basket in baskets:
        total = sum(line.cents or 0 for line in basket.lines)
        until = borne = 0
        for line in basket.lines:
            until += line.cents or 0
            share = Fraction(basket.refunded * until, total) if total else Fraction(0)
            rounded = floor(share + Fraction(1, 2)) if share >= 0 else -floor(-share + Fraction(1, 2))
            part, borne = rounded - borne, rounded
            if basket.customer_id is None or basket.on > data_end or line.category is None:
                continue
            cents = None if line.cents is None else line.cents - part
            yield Spend(basket.customer_id, period_of(basket.on, months), line.category,
                        line.brand or "unknown", "panel", cents, on=basket.on)  # fmt: skip


def customer_wallets(spends: Sequence[Spend], own_brands: Sequence[str]) -> list[Row]:
    """Rows of the mart, our brands being one under the name of the first."""
    found: dict[tuple[str, Period, str, str], dict[str, list[Spend]]] = defaultdict(lambda: defaultdict(list))
    for spend in spends:
        brand = own_brands[0] if spend.brand in own_brands else spend.brand
        found[spend.customer_id, spend.period, spend.category, spend.provenance][brand].append(spend)
    rows = []
    for (customer_id, period, category, provenance), by_brand in found.items():
        brands = {brand: (_sum([s.cents for s in of]), _least([s.rank for s in of])) for brand, of in by_brand.items()}
        rows.append(
            {
                "customer_id": customer_id,
                "period_start_on": period.starts_on,
                "period_end_on": period.ends_on,
                "category": category,
                "provenance": provenance,
                **_measures(brands, own_brands[0]),
            }
        )
    return rows


def wallet_changes(wallets: Sequence[Row], data_end: date, tolerance: float) -> list[Row]:
    """Rows of the mart from those of customer_wallets: every wallet beside that of the customer's period before."""
    changes = []
    for row in wallets:
        before = [
            other
            for other in wallets
            if all(other[name] == row[name] for name in WALLET)
            and (row["period_start_on"] - other["period_end_on"]).days == 1
            and _months(other) == _months(row)
        ]
        assert len(before) <= 1
        if not before or row["period_end_on"] > data_end or None in (row["sow_rate"], before[0]["sow_rate"]):
            continue
        [earlier] = before
        own, wallet = row["own_amount"] - earlier["own_amount"], row["wallet_amount"] - earlier["wallet_amount"]
        change = row["sow_rate"] - earlier["sow_rate"]
        movement = "gained" if change > tolerance else "lost" if change < -tolerance else "kept"
        changes.append(
            {
                **{name: row[name] for name in (*WALLET, "period_start_on", "period_end_on")},
                "earlier_own_amount": earlier["own_amount"],
                "own_amount": row["own_amount"],
                "own_change_amount": own,
                "earlier_wallet_amount": earlier["wallet_amount"],
                "wallet_amount": row["wallet_amount"],
                "wallet_change_amount": wallet,
                "earlier_sow_rate": earlier["sow_rate"],
                "sow_rate": row["sow_rate"],
                "sow_change": change,
                "share_movement": movement,
                "is_leaving_slowly": movement == "lost" and own > 0,
            }
        )
    return changes


def _months(row: Row) -> int:
    """Length of the period to the nearest month."""
    return round(((row["period_end_on"] - row["period_start_on"]).days + 1) / 365 * 12)


def _measures(brands: Brands, own_brand: str) -> Row:
    amounts = {brand: cents for brand, (cents, _) in brands.items()}
    wallet = _sum(list(amounts.values()))
    # None of ours among amounts that are known is nothing spent with us.
    nothing_known = all(cents is None for cents in amounts.values())
    own = amounts.get(own_brand, None if nothing_known else 0)
    ratio = top = None
    if wallet is not None and wallet > 0:
        top = Fraction(max(cents for cents in amounts.values() if cents is not None), wallet)
        ratio = None if own is None else Fraction(own, wallet)
    ranks = ranks_of(brands)
    score = scores_of(ranks).get(own_brand)
    rank = ranks.get(own_brand)
    return {
        "own_amount": _amount(own),
        "wallet_amount": _amount(wallet),
        "sow_rate": None if ratio is None else float(min(max(ratio, Fraction(0)), Fraction(1))),
        "raw_ratio": None if ratio is None else float(ratio),
        "is_wallet_understated": own is not None and wallet is not None and own > wallet,
        "opportunity_amount": None if own is None or wallet is None else amount(max(wallet - own, 0)),
        "brand_count": sum(1 for cents, stated in brands.values() if (cents or 0) > 0 or stated is not None),
        "ranked_count": len(ranks),
        "own_rank": None if rank is None else Decimal(rank.numerator) / rank.denominator,
        "war_score": None if score is None else float(score),
        "top_brand_share": None if top is None else float(min(top, Fraction(1))),
        "concentration": None if top is None else "concentrated" if top > Fraction(1, 2) else "split",
    }


def ranks_of(brands: Brands) -> dict[str, Fraction]:
    """By the stated ranks where there are any, else by spend; of equal brands, the mean of the places they take."""
    stated = {brand: rank for brand, (_, rank) in brands.items() if rank is not None}
    bought = {brand: -cents for brand, (cents, _) in brands.items() if cents is not None and cents > 0}
    standing: Mapping[str, float] = stated or bought
    places = sorted(standing.values())
    return {
        brand: Fraction(
            sum(place for place, other in enumerate(places, start=1) if other == value), places.count(value)
        )
        for brand, value in standing.items()
    }


def scores_of(ranks: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """The Wallet Allocation Rule, in its own words: (1 − rank ÷ (n + 1)) × 2 ÷ n."""
    count = len(ranks)
    scores = {brand: (1 - rank / (count + 1)) * 2 / count for brand, rank in ranks.items()}
    assert not scores or sum(scores.values()) == 1
    return scores


def wallet_shares(wallets: Sequence[Row], segments: Mapping[str, Sequence[tuple[str, str]]]) -> list[Row]:
    """Rows of the mart; `segments` has (name, value) of every segment of every known customer."""
    names = ["period_start_on", "period_end_on", "category", "provenance"]
    cells: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in wallets:
        for segment in segments[row["customer_id"]]:
            cells[(*(row[name] for name in names), *segment)].append(row)
    shares = []
    for key, members in cells.items():
        covered = [row for row in members if row["sow_rate"] is not None]
        own = sum((row["own_amount"] for row in covered), Decimal(0))
        wallet = sum((row["wallet_amount"] for row in covered), Decimal(0))
        customers = sum(key[4:] in of for of in segments.values())
        shares.append(
            {
                **dict(zip([*names, "segment_name", "segment_value"], key, strict=True)),
                "own_amount": own,
                "wallet_amount": wallet,
                "sow_ratio_of_sums": float(own / wallet) if covered else None,
                "sow_mean_of_ratios": sum(row["sow_rate"] for row in covered) / len(covered) if covered else None,
                "wallet_count": len(covered),
                "customer_count": customers,
                "coverage_rate": len(covered) / customers,
            }
        )
    return shares


class Use(NamedTuple):
    """What a customer bought of a brand in a period."""

    is_bought: bool
    days: int | None
    cents: int | None


def brand_marts(spends: Sequence[Spend], own_brands: Sequence[str], most: int) -> tuple[list[Row], list[Row]]:
    """Rows of brand_panel, without what is expected, and of brand_duplication, of so many brands of a category."""
    panels: dict[tuple[Period, str], dict[str, dict[str, dict[str, list[Spend]]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    )
    for spend in spends:
        panels[spend.period, spend.provenance][spend.category][spend.customer_id][spend.brand].append(spend)
    brands, pairs = [], []
    for (period, provenance), categories in panels.items():
        panel_count = len({customer for customers in categories.values() for customer in customers})
        for category, customers in categories.items():
            key = {"period_start_on": period.starts_on, "period_end_on": period.ends_on, "category": category,
                   "provenance": provenance, "panel_count": panel_count}  # fmt: skip
            uses = {who: {brand: _use(of) for brand, of in by.items()} for who, by in customers.items()}
            measures = _brand_measures(uses)
            for row in measures.values():
                row |= {"penetration_rate": row["buyer_count"] / panel_count, **key}
                rate = row["purchase_rate"]
                row["double_jeopardy_rate"] = None if rate is None else rate * (1 - row["penetration_rate"])
            ranked = sorted(measures.values(), key=lambda row: (
                -row["buyer_count"], row["purchase_count"] is None, -(row["purchase_count"] or 0), row["brand"]
            ))[:most]  # fmt: skip
            of_category = [
                key | row for row in _pairs(uses, [row for row in ranked if row["buyer_count"]], panel_count)
            ]
            for brand, row in measures.items():
                of_brand = [pair for pair in of_category if pair["brand"] == brand]
                both = sum(pair["both_count"] for pair in of_brand) if of_brand else None
                row |= {
                    "is_own": brand in own_brands,
                    "duplicated_count": both,
                    "other_brand_count": len(of_brand) or None,
                    "duplication_rate": ratio(both, row["buyer_count"] * len(of_brand)),
                    "duplication_ratio": of_brand[0]["duplication_ratio"] if of_brand else None,
                }
            brands += measures.values()
            pairs += of_category
    return brands, pairs


def _use(spends: Sequence[Spend]) -> Use:
    return Use(
        is_bought=any(spend.on or (spend.cents or 0) > 0 or spend.rank is not None for spend in spends),
        days=len({spend.on for spend in spends}) if all(spend.on for spend in spends) else None,
        cents=_sum([spend.cents for spend in spends]),
    )


def _brand_measures(uses: Mapping[str, Mapping[str, Use]]) -> dict[str, Row]:
    every = [use for by in uses.values() for use in by.values()]
    purchases, cents = _sum([use.days for use in every]), _sum([use.cents for use in every])
    found = {}
    for brand in {brand for by in uses.values() for brand in by}:
        own = [by[brand] for by in uses.values() if brand in by]
        baskets = [by.values() for by in uses.values() if brand in by and by[brand].is_bought]
        bought, spent = _sum([use.days for use in own]), _sum([use.cents for use in own])
        of_category = _sum([use.days for basket in baskets for use in basket])
        spent_on_category = _sum([use.cents for basket in baskets for use in basket])
        sole = sum(1 for basket in baskets if sum(use.is_bought for use in basket) == 1)
        found[brand] = {
            "brand": brand,
            "category_buyer_count": sum(1 for by in uses.values() if any(use.is_bought for use in by.values())),
            "category_purchase_count": purchases,
            "category_spend_amount": _amount(cents),
            "buyer_count": len(baskets),
            "purchase_count": bought,
            "spend_amount": _amount(spent),
            "market_share_rate": ratio(bought, purchases),
            "spend_share_rate": _share(spent, cents),
            "purchase_rate": ratio(bought, len(baskets)),
            "buyer_category_purchase_count": of_category,
            "scr_rate": ratio(bought, of_category),
            "buyer_category_spend_amount": _amount(spent_on_category),
            "spend_scr_rate": _share(spent, spent_on_category),
            "sole_count": sole,
            "sole_rate": ratio(sole, len(baskets)),
        }
    return found


def _pairs(uses: Mapping[str, Mapping[str, Use]], brands: Sequence[Row], panel_count: int) -> list[Row]:
    buyers = {
        row["brand"]: {who for who, by in uses.items() if row["brand"] in by and by[row["brand"]].is_bought}
        for row in brands
    }
    pairs = [(brand, other) for brand in buyers for other in buyers if brand != other]
    both = {pair: len(buyers[pair[0]] & buyers[pair[1]]) for pair in pairs}
    # To nine digits, as the model has it.
    duplications = sum(round(both[brand, other] / len(buyers[brand]), 9) for brand, other in pairs)
    penetrations = sum(round(len(buyers[other]) / panel_count, 9) for _, other in pairs)
    coefficient = duplications / penetrations if pairs else 0.0
    return [
        {
            "brand": brand,
            "other_brand": other,
            "both_count": both[brand, other],
            "buyer_count": len(buyers[brand]),
            "duplication_rate": both[brand, other] / len(buyers[brand]),
            "other_buyer_count": len(buyers[other]),
            "duplication_ratio": coefficient,
            "expected_duplication_rate": min(coefficient * len(buyers[other]) / panel_count, 1),
        }
        for brand, other in pairs
    ]


def _share(part: int | None, whole: int | None) -> float | None:
    return None if part is None or whole is None or whole <= 0 else min(max(part / whole, 0.0), 1.0)


def _sum(parts: Sequence[int | None]) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _least(ranks: Sequence[float | None]) -> float | None:
    return min((rank for rank in ranks if rank is not None), default=None)


def _amount(cents: int | None) -> Decimal | None:
    return None if cents is None else amount(cents)
