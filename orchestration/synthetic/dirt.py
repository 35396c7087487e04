"""What is spoilt on purpose, how often, and what a warehouse has to do with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orchestration.lib.sql import literal
from orchestration.synthetic.world import World

Fate = Literal["accepted", "quarantined", "copy", "superseded"]
MISSING = "is required and missing"
FUTURE = "lies in the future, more than a day after the end of the data"
NO_RATE = "has no rate to EUR on that day in the seed exchange_rates"
NO_TIMESTAMP, NO_AMOUNT = "cannot be read as timestamp", "cannot be read as amount"
CONFLICT = "two different rows have this key and neither is later by updated_at"


@dataclass(frozen=True)
class Defect:
    """A kind of defect of a table.

    Attributes:
        kind: its name in truth/dirt.
        share: share of the table's records at dirt 1.
        column: column that is spoilt.
        spoilt: SQL of what stands there instead; {v} is the sound value, {later} a day after the data's end, {id} and
            {start} the record's id and period_start. Empty where another row is added.
        fate: of the spoilt row; of an added row see `EXTRA`.
        reason: why it is quarantined, as the warehouse says it (its beginning).
        is_text: whether it needs a text file: no typed Parquet column can hold it.
    """

    kind: str
    share: float
    column: str = ""
    spoilt: str = ""
    fate: Fate = "quarantined"
    reason: str = ""
    is_text: bool = False


# Kinds that add a row to a record: the fate of the record's own row, and of the added one.
EXTRA: dict[str, tuple[Fate, Fate]] = {
    "duplicate": ("accepted", "copy"),
    "corrected": ("accepted", "superseded"),
    "conflict": ("quarantined", "quarantined"),
}


def _added(column: str, *, duplicate: float, corrected: float = 0.0, conflict: float = 0.0003) -> tuple[Defect, ...]:
    added = (
        Defect("duplicate", duplicate, fate="accepted"),
        Defect("corrected", corrected, fate="accepted"),
        Defect("conflict", conflict, column, reason=CONFLICT),
    )
    return tuple(defect for defect in added if defect.share)


_UNREADABLE_DATES = ["2024-02-30 10:00:00", "yesterday", "31.12.2023 18:05", "2023-13-01 09:00:00"]
_UNREADABLE_DATE = f"{literal(_UNREADABLE_DATES)}[1 + (hash({{v}}) % 4)::integer]"
_UNKNOWN_CURRENCY = "['XXX', 'eur', 'DOLLAR'][1 + (hash({id}) % 3)::integer]"
_PADDED = "chr(160) || {v} || chr(8195) || chr(9)"

DEFECTS: dict[str, tuple[Defect, ...]] = {
    "orders": (
        *_added("order_id", duplicate=0.005, corrected=0.005),
        Defect("bad_timestamp", 0.0005, "ordered_at", _UNREADABLE_DATE, reason=NO_TIMESTAMP, is_text=True),
        Defect("bad_amount", 0.0005, "amount", "replace({v}, '.', ',') || ' EUR'", reason=NO_AMOUNT, is_text=True),
        Defect("missing_order_id", 0.0003, "order_id", "null", reason=MISSING),
        Defect("missing_ordered_at", 0.0003, "ordered_at", "null", reason=MISSING),
        Defect("missing_amount", 0.0003, "amount", "null", reason=MISSING),
        Defect("future", 0.0004, "ordered_at", "{later}", reason=FUTURE),
        Defect("unknown_currency", 0.0004, "currency", _UNKNOWN_CURRENCY, reason=NO_RATE),
        Defect("negative_amount", 0.0004, "amount", "-1", reason="is negative"),
        Defect("unknown_status", 0.0003, "status", "'shipped?'", reason="is none of completed, cancelled, test"),
        Defect("padded_order_id", 0.002, "order_id", _PADDED, "accepted"),
        Defect("padded_customer_id", 0.002, "customer_id", _PADDED, "accepted"),
    ),
    "order_lines": (
        *_added("order_id", duplicate=0.003, corrected=0.002, conflict=0.0002),
        Defect("missing_line_number", 0.0003, "line_number", "null", reason=MISSING),
    ),
    "refunds": (
        *_added("refund_id", duplicate=0.005, conflict=0.001),
        Defect("bad_timestamp", 0.0016, "refunded_at", _UNREADABLE_DATE, reason=NO_TIMESTAMP, is_text=True),
        Defect("bad_amount", 0.0016, "amount", "'minus ' || {v}", reason=NO_AMOUNT, is_text=True),
        Defect("missing_order_id", 0.0016, "order_id", "null", reason=MISSING),
        Defect("future", 0.0016, "refunded_at", "{later}", reason=FUTURE),
        Defect("negative_amount", 0.0016, "amount", "-1", reason="is negative"),
        Defect("unknown_order", 0.002, "order_id", "'X' || {v}", "accepted"),
    ),
    "interactions": (
        *_added("interaction_id", duplicate=0.005),
        Defect("missing_interaction_type", 0.0004, "interaction_type", "null", reason=MISSING),
        Defect("missing_occurred_at", 0.0004, "occurred_at", "null", reason=MISSING),
        Defect("missing_interaction_id", 0.0004, "interaction_id", "null", reason=MISSING),
        Defect("future", 0.0004, "occurred_at", "{later}", reason=FUTURE),
        Defect("unknown_type", 0.002, "interaction_type", "'kiosk_touched'", "accepted"),
        Defect("padded_customer_id", 0.002, "customer_id", _PADDED, "accepted"),
    ),
    "customers": (
        *_added("customer_id", duplicate=0.01, corrected=0.05, conflict=0.001),
        Defect("missing_customer_id", 0.0012, "customer_id", "null", reason=MISSING),
        Defect("bad_birth_date", 0.0012, "birth_date", "'29.02.1981'", reason="cannot be read as date", is_text=True),
        Defect("bad_consent", 0.0012, "has_email_consent", "'maybe'", reason="cannot be read as boolean", is_text=True),
    ),
    "wallet_observations": (
        *_added("customer_id", duplicate=0.003),
        Defect("negative_spend", 0.0005, "spend", "-1", reason="is negative"),
        Defect("rank_zero", 0.0005, "rank", "0", reason="is not positive"),
        Defect("period_reversed", 0.0005, "period_end", "cast({start} - 1 as date)", reason="is before period_start"),
        Defect("unknown_source", 0.0005, "source", "'hearsay'", reason="is none of panel, survey"),
        Defect("missing_brand", 0.0005, "brand", "null", reason=MISSING),
    ),
}  # fmt: skip

# Lines that no row of the world stands behind, and that a CSV reader cannot take: kind, bytes, reason.
BROKEN_LINE_SHARE = 0.0002
BROKEN_LINES: tuple[tuple[str, str], ...] = (
    ("too_many_columns", "the row has too many columns"),
    ("invalid_utf8", "the row is not valid UTF-8"),
    ("too_few_columns", "the row has too few columns"),
)


def planted(world: World, table: str) -> tuple[Defect, ...]:
    """Defects that the table's files can hold."""
    return tuple(defect for defect in DEFECTS[table] if is_csv(world, table) or not defect.is_text)


def is_csv(world: World, table: str) -> bool:
    """Whether the table is written as CSV."""
    if world.layout != "mixed":
        return world.layout == "csv"
    return table not in ("order_lines", "interactions", "wallet_observations")


def kind_sql(world: World, table: str, key: str) -> str:
    """SQL: the defect of a record, NULL for most."""
    uniform = world.uniform(key, f"{table} dirt")
    branches, bound = [], 0.0
    for defect in planted(world, table):
        bound += defect.share * world.dirt
        branches.append(f"when {uniform} < {bound!r} then '{defect.kind}'")
    # The outer case spares nearly all rows the comparisons.
    return f"case when {uniform} < {bound!r} then case {' '.join(branches)} end end"


def accepted_sql(world: World, table: str, kind: str) -> str:
    """SQL condition: a record whose own row has this defect (or none) is accepted."""
    refused = ", ".join(f"'{defect.kind}'" for defect in planted(world, table) if defect.fate == "quarantined")
    return f"({kind} is null or {kind} not in ({refused}))"
