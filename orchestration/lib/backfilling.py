"""Backfill: what happened on some days is computed anew, with all that it concerns.

The orders, refunds and interactions of the days, and their customers, are noted as touched, as if a load had brought
them; the increments of the next build do the rest (see `increments`). Raw files are not read again for it, and the
verdicts of staging on their rows stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from orchestration.lib.errors import UserError

if TYPE_CHECKING:
    from orchestration.lib.settings import Settings

_EVENTS = """
create temporary view events as
select 'order' as kind, customer_id, order_id, null as interaction_id, row_status, ordered_at as happened_at
from staging.stg_orders_checked
union all
select 'refund', null, order_id, null, row_status, refunded_at from staging.stg_refunds_checked
union all
select 'interaction', customer_id, null, interaction_id, row_status, occurred_at from staging.stg_interactions_checked
"""
_BUSINESS_DATE = "cast(timezone($timezone, timezone('UTC', {timestamp})) as date)"
# The time zone of each row would take a second per million: first those that cannot be meant are left out.
_IN_SPAN = f"""
happened_at between $first::timestamp - interval 2 day and $last::timestamp + interval 3 day
and {_BUSINESS_DATE.format(timestamp="happened_at")} between $first and $last
"""
_COUNT = f"select kind, count(*) from events where row_status = 'accepted' and {_IN_SPAN} group by kind"
_WINDOW = f"""
select {_BUSINESS_DATE.format(timestamp="min(happened_at)")}, {_BUSINESS_DATE.format(timestamp="max(happened_at)")}
from events where row_status = 'accepted'
"""
# Of the rows that were not accepted too: what was made of them once would have to go.
_NOTE = f"""
insert into staging.touched (customer_id, order_id, interaction_id)
select distinct customer_id, order_id, interaction_id from events where {_IN_SPAN}
"""


@dataclass(frozen=True)
class Span:
    """Business dates from `first` to `last`, both included."""

    first: date
    last: date

    @classmethod
    def parse(cls, first: str, last: str) -> Span:
        """The span between two ISO dates.

        Raises:
            UserError: one is no date, or the first is later than the last.
        """
        dates = []
        for option, text in (("--from", first), ("--to", last)):
            try:
                dates.append(date.fromisoformat(text))
            except ValueError:
                raise UserError(f"{option} {text} is not a date.", "Write it as 2024-01-31.") from None
        if dates[0] > dates[1]:
            raise UserError(f"--from {first} is later than --to {last}.", "Exchange the two.")
        return cls(*dates)

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"


@dataclass(frozen=True)
class Noted:
    """How many accepted orders, refunds and interactions of a span are to be computed anew."""

    orders: int
    refunds: int
    interactions: int


def note(settings: Settings, business_timezone: str, span: Span) -> Noted:
    """Notes in the warehouse whom and what the events of a span concern, until a build has gone through.

    Raises:
        UserError: no table was ever built of the data set, or none of its events lies in the span. Nothing is noted
            then.
    """
    import duckdb

    remedy = f"`tenure run --dataset {settings.mapping_path}` builds everything there is."
    never_built = UserError(f"Nothing was ever built of '{settings.dataset}' in {settings.home}.", remedy)
    if not settings.warehouse_path.is_file():
        raise never_built
    zone = {"timezone": business_timezone}
    days = zone | {"first": span.first, "last": span.last}
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        try:
            connection.execute(_EVENTS)
        except duckdb.CatalogException:
            raise never_built from None
        counts = dict(connection.execute(_COUNT, days).fetchall())
        if not counts:
            row = connection.execute(_WINDOW, zone).fetchone()
            known = f"its data runs from {row[0]} to {row[1]}" if row and row[0] else "it has none at all"
            raise UserError(
                f"'{settings.dataset}' has no order, refund or interaction from {span} ({business_timezone}): {known}.",
                "Give days on which there is something to compute anew.",
            )
        connection.execute(_NOTE, days)
    return Noted(counts.get("order", 0), counts.get("refund", 0), counts.get("interaction", 0))
