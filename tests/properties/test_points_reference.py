"""The reference of points itself, by examples small enough to be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from tests.properties import tier_reference
from tests.properties.earning_reference import Order, Points, PointsVersion, Refund
from tests.properties.points_reference import Account, Interaction, accounts, points_balances, points_rollforward
from tests.properties.tier_reference import Program, Rule

FIRST_DAY = date(2024, 1, 1)
ONE_A_UNIT = PointsVersion(FIRST_DAY, 12, Decimal(1))
SILVER_FROM_100 = Rule(1, 1, "spend", 10_000, "lifetime", None, 0, 0, "full")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def order(number: int, when: str, cents: int, **details: Any) -> Order:
    return Order(number, "a", at(when), cents, **details)


def change(number: int, when: str, what: str, score: str) -> Interaction:
    return Interaction(f"i{number}", "a", at(when), f"points_{what}", Decimal(score), None)


def program(*versions: PointsVersion, expiry_type: str = "fixed") -> Program:
    points = Points(expiry_type, versions)
    begins = {1: FIRST_DAY}
    return Program("club", ("base", "silver"), (0, 0), "enrolled", False, begins, [SILVER_FROM_100], points=points)


def account(
    of: Program,
    orders: Sequence[Order] = (),
    refunds: Sequence[Refund] = (),
    interactions: Sequence[Interaction] = (),
    data_end: str = "2025-12-31",
) -> Account:
    """Of member a, since the first day."""
    ends = date.fromisoformat(data_end)
    members = tier_reference.members(of, orders, refunds, {"a": FIRST_DAY}, ends)
    [found] = accounts(of, {m.customer_id: (m, m.walk(ends)) for m in members}, interactions, ends)
    return found


def entries(of: Account) -> list[tuple[str, str | None, str | None, int, str]]:
    """Entry type, source, source of the lot, points, day."""
    return [
        (row["entry_type"], row["source_id"], row["lot"] and row["lot"][1], row["points"], str(row["business_date"]))
        for row in of.rows
    ]


def test_debits_take_from_the_first_lots_and_what_is_left_expires_at_the_beginning_of_its_day() -> None:
    found = account(
        program(ONE_A_UNIT),
        [order(1, "2024-01-10 12:00", 10_000), order(2, "2024-03-01 12:00", 5_099)],
        interactions=[
            change(1, "2024-04-01 12:00", "redeemed", "120"),
            change(2, "2025-03-01 00:00", "redeemed", "10"),
        ],
    )
    assert entries(found) == [
        ("earned", "1", "1", 100, "2024-01-10"),
        ("earned", "2", "2", 50, "2024-03-01"),
        ("redeemed", "i1", "1", -100, "2024-04-01"),
        ("redeemed", "i1", "2", -20, "2024-04-01"),
        ("expired", None, "2", -30, "2025-03-01"),
        ("debt", "i2", None, -10, "2025-03-01"),
    ]
    assert found.rows[4]["occurred_at"] == at("2025-03-01 00:00")
    assert found.rows[4]["expires_on"] == date(2025, 3, 1)
    assert found.rows[4]["vintage_month"] == date(2024, 3, 1)


def test_what_is_taken_back_beyond_the_balance_is_paid_by_the_next_lots() -> None:
    orders = [order(1, "2024-01-10 12:00", 10_000), order(2, "2024-02-01 12:00", 5_000)]
    found = account(
        program(ONE_A_UNIT),
        orders,
        [Refund(7, orders[0], at("2024-01-20 12:00"), 10_000)],
        [change(1, "2024-01-15 12:00", "redeemed", "80"), change(2, "2024-02-02 12:00", "adjusted", "40")],
        data_end="2024-02-29",
    )
    assert entries(found)[1:] == [
        ("redeemed", "i1", "1", -80, "2024-01-15"),
        ("reversed", "7", "1", -20, "2024-01-20"),
        ("debt", "7", None, -80, "2024-01-20"),
        ("earned", "2", "2", 50, "2024-02-01"),
        ("reversed", "7", "2", -50, "2024-02-01"),
        ("debt", "7", None, 50, "2024-02-01"),
        ("adjusted", "i2", "i2", 40, "2024-02-02"),
        ("reversed", "7", "i2", -30, "2024-02-02"),
        ("debt", "7", None, 30, "2024-02-02"),
    ]
    assert points_balances([found]) == [
        {
            "program_id": "club", "customer_id": "a", "balance_points": 10, "debt_points": 0, "earned_points": 150,
            "adjusted_points": 40, "reinstated_points": 0, "redeemed_points": 80, "expired_points": 0,
            "reversed_points": 100, "open_lot_count": 1, "next_expires_on": date(2025, 2, 2),
            "next_expiring_points": 10,
        }
    ]  # fmt: skip
    flows = ("opening", "earned", "adjusted", "redeemed", "reversed", "closing", "debt")
    months = points_rollforward(program(ONE_A_UNIT), [found], date(2024, 2, 28))
    assert [[row[f"{flow}_points"] for flow in flows] for row in months] == [
        [0, 100, 0, 80, 20, 0, 80],
        [0, 50, 40, 0, 80, 10, 0],
    ]
    assert [row["is_complete"] for row in months] == [True, False]


def test_by_activity_everything_expires_after_the_last_thing_given_or_redeemed() -> None:
    found = account(
        program(replace(ONE_A_UNIT, expiry_months=2), expiry_type="activity"),
        [order(1, "2024-01-31 12:00", 10_000)],
        interactions=[
            change(1, "2024-02-29 12:00", "redeemed", "30"),
            # Taking is no activity.
            change(2, "2024-03-15 12:00", "adjusted", "-5"),
        ],
        data_end="2024-04-29",
    )
    assert entries(found)[1:] == [
        ("redeemed", "i1", "1", -30, "2024-02-29"),
        ("adjusted", "i2", "1", -5, "2024-03-15"),
        ("expired", None, "1", -65, "2024-04-29"),
    ]
    assert {row["expires_on"] for row in found.rows} == {date(2024, 3, 31)}


def test_caps_apply_in_turn_to_the_order_the_day_and_the_month() -> None:
    capped = replace(ONE_A_UNIT, order_cap=60, day_cap=100, month_cap=130)
    found = account(
        program(capped, replace(capped, begins=date(2024, 1, 20))),
        [
            order(3, "2024-01-10 10:00", 7_000),
            order(1, "2024-01-10 09:00", 8_000),
            order(2, "2024-01-11 09:00", 8_000),
            order(4, "2024-01-12 09:00", 8_000),
            # The next version counts by itself.
            order(5, "2024-01-20 09:00", 3_000),
        ],
    )
    assert [(source, points) for kind, source, _, points, _ in entries(found) if kind == "earned"] == [
        ("1", 60), ("3", 40), ("2", 30), ("5", 30)
    ]  # fmt: skip


def test_a_version_that_shortens_expiry_lets_no_lot_expire_before_an_older_one() -> None:
    found = account(
        program(replace(ONE_A_UNIT, expiry_months=24), replace(ONE_A_UNIT, begins=date(2024, 6, 1), expiry_months=6)),
        [order(1, "2024-05-31 12:00", 100), order(2, "2024-06-02 12:00", 100), order(3, "2026-01-01 12:00", 100)],
        data_end="2026-01-01",
    )
    assert [row["expires_on"] for row in found.rows] == [date(2026, 5, 31), date(2026, 5, 31), date(2026, 7, 1)]


def test_refunds_take_back_in_proportion_and_never_more_than_there_was() -> None:
    bought = order(1, "2024-01-10 12:00", 9_999)
    found = account(
        program(ONE_A_UNIT),
        [bought],
        [
            Refund(1, bought, at("2024-02-01 12:00"), 3_333),
            Refund(2, bought, at("2024-02-02 12:00"), 1),
            Refund(3, bought, at("2024-02-03 12:00"), 20_000),
            Refund(4, bought, at("2024-02-04 12:00"), 1),
        ],
    )
    # 99 × 6666 ÷ 9999 = 66, 99 × 6665 ÷ 9999 = 65.99.
    assert entries(found)[1:] == [
        ("reversed", "1", "1", -33, "2024-02-01"),
        ("reversed", "2", "1", -1, "2024-02-02"),
        ("reversed", "3", "1", -65, "2024-02-03"),
    ]


def test_a_refund_from_before_its_order_takes_back_at_the_orders_time() -> None:
    bought = order(1, "2024-01-10 12:00", 10_000)
    found = account(program(ONE_A_UNIT), [bought], [Refund(1, bought, at("2024-01-08 12:00"), 5_000)])
    assert entries(found)[:2] == [("earned", "1", "1", 100, "2024-01-10"), ("reversed", "1", "1", -50, "2024-01-10")]


def test_categories_are_scaled_down_to_what_was_paid() -> None:
    multipliers = {("category", "shoes"): Decimal(2), ("category", "hats"): Decimal("0.5")}
    version = replace(ONE_A_UNIT, multipliers=multipliers)

    def points(cents: int, *lines: tuple[str | None, int]) -> float:
        return version.millionths(order(1, "2024-01-10 12:00", cents, lines=lines)) / 1_000_000

    assert points(10_000, ("shoes", 6_000), ("hats", 1_000), ("ties", 50_000), (None, 1)) == 120 + 5 + 30
    assert points(10_000, ("shoes", 8_000), ("shoes", -2_000), ("hats", -1_000)) == 120 + 40
    assert points(9_000, ("shoes", 8_000), ("hats", 4_000)) == 120 + 15
    # 33 and 66 cents, and one that is of neither.
    assert points(100, ("shoes", 100), ("hats", 200)) == 0.66 + 0.33 + 0.01


def test_multipliers_are_rounded_to_a_millionth_before_the_tier() -> None:
    multipliers = {("channel", "web"): Decimal("0.5"), ("campaign", "spring"): Decimal("1.1")}
    version = replace(ONE_A_UNIT, per_unit=Decimal("0.333333"), multipliers=multipliers)
    bought = order(1, "2024-01-10 12:00", 10_000, channel="web", campaign_id="spring")
    # 0.333333 × 0.5 × 1.1 = 0.18333315
    assert version.millionths(bought) == 18_333_300
    assert version.millionths(bought._replace(channel="shop")) == 36_666_600
    assert version.millionths(bought._replace(cents=1)) == 1_833


def test_an_order_is_multiplied_by_the_tier_from_before_its_day() -> None:
    doubled = replace(ONE_A_UNIT, multipliers={("tier", "silver"): Decimal(2)})
    found = account(
        program(doubled),
        [
            order(1, "2024-01-10 12:00", 10_000),
            order(2, "2024-01-10 13:00", 1_000),
            order(3, "2024-01-11 12:00", 1_000),
        ],
    )
    assert [points for kind, *_, points, _ in entries(found) if kind == "earned"] == [100, 10, 20]


def test_of_things_at_one_time_lots_come_first_and_redemptions_last() -> None:
    bought, noon = order(1, "2024-01-10 12:00", 5_000), "2024-01-10 12:00"
    found = account(
        program(replace(ONE_A_UNIT, expiry_months=None), expiry_type="never"),
        [bought],
        [Refund(1, bought, at(noon), 500)],
        [change(1, noon, "redeemed", "29.5"), change(2, noon, "adjusted", "-40"), change(3, noon, "reinstated", "3")],
    )
    assert entries(found) == [
        ("earned", "1", "1", 50, "2024-01-10"),
        ("reinstated", "i3", "i3", 3, "2024-01-10"),
        ("reversed", "1", "1", -5, "2024-01-10"),
        ("adjusted", "i2", "1", -40, "2024-01-10"),
        ("redeemed", "i1", "1", -5, "2024-01-10"),
        ("redeemed", "i1", "i3", -3, "2024-01-10"),
        ("debt", "i1", None, -22, "2024-01-10"),
    ]
    assert points_balances([found])[0]["next_expires_on"] is None


def test_qualifying_points_are_without_the_tiers_multiplier_and_go_with_refunds() -> None:
    doubled = replace(ONE_A_UNIT, order_cap=90, multipliers={("tier", "silver"): Decimal(2)})
    from_150 = replace(SILVER_FROM_100, metric="points", threshold=150)
    bought = [order(number, f"2024-01-1{number} 12:00", 10_000) for number in (1, 2, 3)]
    of = replace(program(doubled), rules=[from_150])
    refunds = [Refund(1, bought[0], at("2024-02-01 12:00"), 9_000), Refund(2, bought[1], at("2024-02-02 12:00"), 6_000)]
    [member] = tier_reference.members(of, bought, refunds, {"a": FIRST_DAY}, date(2024, 2, 29))
    walk = member.walk(date(2024, 2, 29))
    # 90, 180, 270; less 81; less 54.
    assert [member.total(from_150, date(2024, 1, day)) for day in (11, 12, 13)] == [90, 180, 270]
    assert [member.total(from_150, date(2024, 2, day)) for day in (1, 2)] == [189, 135]
    assert walk.reasons == {
        FIRST_DAY: "enrolled", date(2024, 1, 12): "upgraded", date(2024, 2, 2): "refunded",
    }  # fmt: skip
