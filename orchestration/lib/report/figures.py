"""What the report shows: headline numbers and sections by chapter, each from a small query on the marts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestration.lib.report import points, retention, tiers, wallet
from orchestration.lib.report.charts import (
    Chart,
    Context,
    Headline,
    Section,
    Spec,
    count,
    first_row,
    has_table,
    percent,
)

if TYPE_CHECKING:
    import duckdb


def sections(connection: duckdb.DuckDBPyConnection, context: Context) -> list[Section]:
    """All charts of the report in order, from an open connection to a marts file."""
    return [_section(connection, context, chapter, spec) for chapter, specs in chapters().items() for spec in specs]


def chapters() -> dict[str, tuple[Spec, ...]]:
    """Title of a chapter → its charts, in order."""
    return {
        "Retention and growth": retention.specs(),
        "Member tiers": tiers.specs(),
        "Points": points.specs(),
        "Share of wallet": wallet.specs(),
    }


def _section(connection: duckdb.DuckDBPyConnection, context: Context, chapter: str, spec: Spec) -> Section:
    built: Chart | str
    missing = [table for table in spec.tables if not has_table(connection, table)]
    if missing:
        built = f"This version has no table {missing[0]}, so there is nothing to draw from."
    else:
        built = spec.build(connection, context)
    chart, empty = (None, built) if isinstance(built, str) else (built, "")
    return Section(spec.id, chapter, spec.title, spec.formula, spec.is_wide, chart, empty, spec.is_open)


def headlines(connection: duckdb.DuckDBPyConnection, context: Context) -> list[Headline]:
    """The numbers of the header; one that cannot be known is left out rather than shown as zero."""
    found: list[Headline] = []
    if has_table(connection, "core.dim_customers"):
        row = first_row(
            connection,
            """
            select
                count(*) filter (where order_count > 0) as buyer_count,
                count(*) filter (where purchase_day_count > 1) as repeat_count
            from core.dim_customers
            """,
        )
        found.append(Headline("Customers", count(row["buyer_count"]), "with at least one purchase"))
        if row["buyer_count"]:
            once = row["buyer_count"] - row["repeat_count"]
            found.append(
                Headline(
                    "One-time buyers",
                    percent(once / row["buyer_count"]),
                    f"{count(once)} customers with a single purchase day",
                )
            )
    if has_table(connection, "core.fct_orders"):
        row = first_row(
            connection,
            """
            select
                count(*) as order_count,
                coalesce(sum(net_amount), 0)::double as net_amount,
                count(*) filter (where not is_identified) as guest_count
            from core.fct_orders
            where is_valid_sale
            """,
        )
        guests = f"{count(row['guest_count'])} of them by guests" if row["guest_count"] else "all by known customers"
        found.append(Headline("Orders", count(row["order_count"]), guests if row["order_count"] else "none yet"))
        revenue_label = f"Revenue, {context.currency}" if context.currency else "Revenue"
        found.append(Headline(revenue_label, f"{row['net_amount']:,.2f}", "net of refunds"))
    if has_table(connection, "retention.growth_accounting"):
        months = retention.recent_months(connection)
        if len(months):
            last = months.iloc[-1]
            label = f"{last['period_start_on']:%B %Y}"
            found.append(Headline(f"Active, {label}", count(last["active_count"]), f"{count(last['new_count'])} new"))
            before = last["retained_count"] + last["churned_count"]
            if before:
                found.append(
                    Headline(
                        f"Retained, {label}",
                        percent(last["retained_count"] / before),
                        f"{count(last['retained_count'])} of {count(before)} active the month before",
                    )
                )
    if has_table(connection, "retention.net_revenue_retention"):
        rates = retention.known_rates(connection)
        if len(rates):
            last = rates.iloc[-1]
            words = f"{retention.WINDOWS[last['window']].name} to {last['window_end_on']:%d %b %Y}"
            for name, column in (("NRR", "nrr_rate"), ("GRR", "grr_rate")):
                found.append(Headline(name, percent(last[column]), words))
    return found
