"""What the report shows: headline numbers, charts and tables, each from a small query on the marts.

A chart never stands alone: it has a title that says what it means, a sentence with the result, the formula, and the
same numbers as a table, which is what a screen reader and a printer get.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import plotly.graph_objects as go

# Okabe and Ito's palette: told apart with any common colour blindness, and readable on white as well as on near black.
BLUE, SKY, ORANGE, VERMILION, GREEN, GREY = "#0072B2", "#56B4E9", "#E69F00", "#D55E00", "#009E73", "#8793A0"
PURPLE = "#CC79A7"
TIER_COLOURS = (GREY, SKY, BLUE, GREEN, ORANGE, VERMILION)  # by rank; beyond, from the first again

MAX_COHORTS = 24  # rows and columns of the heatmap: more cannot be read on a screen; the mart has them all
MAX_MONTHS = 36  # bars of the accounting charts
MAX_BANDS = 12  # cohorts told apart by colour in one stacked area
MAX_TIER_MONTHS = 12  # a year of tiers: rules look back about as far, and each season is in it once
MOVE_MONTHS = (12, 6, 3, 1)  # how far movements look back: the first of these at which there were members
REPEAT_DAYS = (7, 30, 60, 90, 180, 365)  # the days at which the repeat curves are put in words and in the table


@dataclass(frozen=True)
class Context:
    """What a figure must know beside the marts: the watermark and the unit of money ('' if unknown)."""

    data_end: date | None
    currency: str

    def money(self, amount: float, decimals: int = 0) -> str:
        return f"{self.currency} {amount:,.{decimals}f}".strip()


@dataclass(frozen=True)
class Table:
    """A table for people: cells are text already; columns from `first_number` on are numbers, aligned right."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    first_number: int = 1
    empty: str = ""


@dataclass(frozen=True)
class Chart:
    """A plotly figure, the sentence that says what is seen in it, and its numbers."""

    lead: str
    figure: go.Figure
    table: Table
    height: int
    min_width: int = 0


@dataclass(frozen=True)
class Section:
    """One chart of the report; `chart` is None where there is nothing to draw, and `empty` then says why."""

    id: str
    chapter: str
    title: str
    formula: str
    is_wide: bool
    chart: Chart | None
    empty: str = ""
    is_open: bool = False
    """Whether the table is seen at once, being the point of the section."""


@dataclass(frozen=True)
class Headline:
    """One number of the header with its unit in `label` and what it is made of in `detail`."""

    label: str
    value: str
    detail: str = ""


@dataclass(frozen=True)
class _Spec:
    id: str
    title: str
    formula: str
    tables: tuple[str, ...]
    build: Callable[[duckdb.DuckDBPyConnection, Context], Chart | str]
    is_wide: bool = False
    is_open: bool = False


def sections(connection: duckdb.DuckDBPyConnection, context: Context) -> list[Section]:
    """All charts of the report in order, from an open connection to a marts file."""
    return [
        _section(connection, context, chapter, spec)
        for chapter, specs in (("Retention and growth", _retention_specs()), ("Member tiers", _tier_specs()))
        for spec in specs
    ]


def _section(connection: duckdb.DuckDBPyConnection, context: Context, chapter: str, spec: _Spec) -> Section:
    built: Chart | str
    missing = [table for table in spec.tables if not has_table(connection, table)]
    if missing:
        built = f"This version has no table {missing[0]}, so there is nothing to draw from."
    else:
        built = spec.build(connection, context)
    chart, empty = (None, built) if isinstance(built, str) else (built, "")
    return Section(spec.id, chapter, spec.title, spec.formula, spec.is_wide, chart, empty, spec.is_open)


def _retention_specs() -> tuple[_Spec, ...]:
    return (
        _Spec(
            "cohorts",
            "How many customers of each month came back",
            "Rate of a cell = customers of the cohort with a purchase in that month ÷ customers of the cohort. A month "
            "that has not fully elapsed by the end of the data is blank: not yet known is not zero.",
            ("retention.retention_cohorts",),
            _cohort_heatmap,
            is_wide=True,
        ),
        _Spec(
            "retention-curve",
            "How retention develops with a customer’s age",
            "On(k) = Σ customers active in month k ÷ Σ eligible customers, over all cohorts; on or after(k) = Σ "
            "customers whose last purchase is in month k or later ÷ Σ eligible. Eligible: month k has fully elapsed. "
            "The second line sinks towards the right end because there the data leaves less time to come back.",
            ("retention.retention_cohorts",),
            _retention_curve,
        ),
        _Spec(
            "repeat",
            "How long it takes until customers buy again",
            "Share with a next purchase day within d days = 1 − Kaplan–Meier survival of the gap from the n-th to the "
            "(n+1)-th purchase day; gaps still open at the end of the data count as censored. Band: 95% interval "
            "(Greenwood, log-log).",
            ("retention.repeat_purchase_curves",),
            _repeat_curves,
        ),
        _Spec(
            "growth",
            "Where active customers come from and where they go",
            "Active(t) = new + retained + resurrected; active(t−1) = retained(t) + churned(t). "
            "Quick ratio = (new + resurrected) ÷ churned; above 1 the base of active customers grows.",
            ("retention.growth_accounting",),
            _growth_heads,
        ),
        _Spec(
            "growth-money",
            "What moved revenue from month to month",
            "R(t) = R(t−1) + new + resurrected + expansion − contraction − churned, of identified customers, refunds "
            "booked back to the day of their order. The line is R(t) − R(t−1).",
            ("retention.growth_accounting",),
            _growth_money,
        ),
        _Spec(
            "nrr",
            "How much of their revenue known customers keep bringing",
            "Over the customers with revenue > 0 in the window before: NRR = Σ R(t) ÷ Σ R(t−1); "
            "GRR = Σ max(0, min(R(t), R(t−1))) ÷ Σ R(t−1), where growth of one customer never makes up for "
            "the loss of another.",
            ("retention.net_revenue_retention",),
            _net_revenue_retention,
        ),
        _Spec(
            "c3",
            "Which customers a month’s revenue comes from",
            "Net revenue of a month by the month of the customer’s first purchase (C3): a cohort’s band shows how "
            "its revenue lasts. Refunds are booked back to the day of their order.",
            ("retention.revenue_by_cohort",),
            _revenue_by_cohort,
        ),
    )


def _tier_specs() -> tuple[_Spec, ...]:
    return (
        _Spec(
            "tiers",
            "How many members hold each tier",
            "Members by the tier that they hold at the end of the month. Active membership rate = members whose state "
            "is active, by their own rhythm, ÷ members: enrolled is not active.",
            ("tiers.tier_history", "tiers.tier_movements", "tiers.tier_economics"),
            _tier_members,
        ),
        _Spec(
            "tier-moves",
            "Who rose, and who fell",
            "Members by the tier that they held on the first day (left) and on the last (right); new are those who "
            "joined in between.",
            ("tiers.tier_history",),
            _tier_moves,
        ),
        _Spec(
            "tier-economics",
            "What each tier brings and costs",
            "By the tier with which a month began; who joined within it is new. Active = Σ members active at the end "
            "of a month ÷ Σ members. Retained = Σ members with a purchase in the month ÷ Σ members. Churned = Σ "
            "churned in the month ÷ Σ members who were there when it began, of churns that are certain; then with "
            "those pending. Margin is of the orders whose cost is known. Benefits = Σ members × what the tier costs a "
            "month, points aside.",
            ("tiers.tier_history", "tiers.tier_economics"),
            _tier_economics,
            is_wide=True,
            is_open=True,
        ),
    )


# --- headline numbers


def headlines(connection: duckdb.DuckDBPyConnection, context: Context) -> list[Headline]:
    """The numbers of the header; one that cannot be known is left out rather than shown as zero."""
    found: list[Headline] = []
    if has_table(connection, "core.dim_customers"):
        row = _row(
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
        row = _row(
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
        months = _months(connection)
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
        rates = _known_rates(connection)
        if len(rates):
            last = rates.iloc[-1]
            words = f"{_WINDOWS[last['window']].name} to {last['window_end_on']:%d %b %Y}"
            for name, column in (("NRR", "nrr_rate"), ("GRR", "grr_rate")):
                found.append(Headline(name, percent(last[column]), words))
    return found


# --- charts


def _cohort_heatmap(connection: duckdb.DuckDBPyConnection, context: Context) -> Chart | str:
    cells = _frame(
        connection,
        """
        select
            cohort_start_on, cohort_label, period_index, cohort_size, eligible_count, active_count, retention_rate,
            is_left_truncated
        from retention.retention_cohorts
        where period_grain = 'month' and retention_mode = 'calendar' and segment_name = 'all' and segment_value = 'all'
        order by cohort_start_on, period_index
        """,
    )
    if cells.empty:
        return "No customer has bought yet, so there are no cohorts."
    known = cells[(cells["period_index"] > 0) & cells["retention_rate"].notna()]
    if known.empty:
        return f"No cohort has seen a full month after its first one {_by(context)}, so there is no rate yet."
    starts = sorted(cells["cohort_start_on"].unique())[-MAX_COHORTS:]
    newest = known[known["cohort_start_on"].isin(starts)]
    shown = newest[newest["period_index"] <= MAX_COHORTS]
    sizes = {row.cohort_start_on: (row.cohort_label, int(row.cohort_size)) for row in cells.itertuples()}
    by_cell = {(row.cohort_start_on, int(row.period_index)): row for row in shown.itertuples()}
    indexes = list(range(1, int(shown["period_index"].max()) + 1))
    grid = [[by_cell.get((start, index)) for index in indexes] for start in starts]
    rates = [[cell and float(cell.retention_rate) for cell in row] for row in grid]
    labels = [f"{sizes[start][0]} · {count(sizes[start][1])}" for start in starts]
    figure = _figure()
    figure.add_heatmap(
        z=rates,
        x=indexes,
        y=labels,
        text=[[_cell_text(rate) for rate in row] for row in rates],
        texttemplate="%{text}",
        customdata=[[cell and f"{cell.active_count:,} of {cell.eligible_count:,}" for cell in row] for row in grid],
        hovertemplate="cohort %{y}<br>month %{x}: <b>%{z:.1%}</b><br>%{customdata} customers active<extra></extra>",
        hoverongaps=False,
        coloraxis="coloraxis",
        xgap=2,
        ygap=2,
    )
    figure.update_layout(
        coloraxis={"cmin": 0, "cmax": max(float(shown["retention_rate"].max()), 0.01), "showscale": False},
        margin={"l": 8, "r": 8, "t": 52, "b": 8},
    )
    figure.update_xaxes(
        side="top", title_text="Months after the month of the first purchase", dtick=1, showgrid=False, ticks=""
    )
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category", ticks="")
    first = known[known["period_index"] == 1]
    rate = first["active_count"].sum() / first["eligible_count"].sum()
    lead = (
        f"Of {count(first['eligible_count'].sum())} customers whose first month after the purchase month has elapsed, "
        f"{percent(rate)} bought in it again. A row is the month of the first purchase, with its number of customers."
    )
    if cells["is_left_truncated"].iloc[0]:
        lead += f" {cells['cohort_label'].iloc[0]}, where the data begins, may hold customers of earlier months."
    if len(shown) < len(known):
        lead += f" Shown are the newest {MAX_COHORTS} cohorts and their first {MAX_COHORTS} months."
    return Chart(
        lead,
        figure,
        Table(
            "Share of each monthly cohort active in the months after",
            ("Cohort", "Customers", *(f"Month {index}" for index in indexes)),
            tuple(
                (sizes[start][0], count(sizes[start][1]), *("" if rate is None else percent(rate) for rate in row))
                for start, row in zip(starts, rates, strict=True)
            ),
        ),
        height=64 + max(30 * len(starts), 90),
        min_width=130 + 40 * len(indexes),
    )


def _retention_curve(connection: duckdb.DuckDBPyConnection, context: Context) -> Chart | str:
    pooled = _frame(
        connection,
        """
        select
            period_index,
            sum(eligible_count)::bigint as eligible_count,
            sum(active_count)::bigint as active_count,
            sum(active_on_or_after_count)::bigint as active_on_or_after_count,
            sum(active_count) / sum(eligible_count) as on_rate,
            sum(active_on_or_after_count) / sum(eligible_count) as on_or_after_rate
        from retention.retention_cohorts
        where
            period_grain = 'month' and retention_mode = 'calendar' and segment_name = 'all' and segment_value = 'all'
            and period_index > 0
            and eligible_count > 0
        group by period_index
        order by period_index
        """,
    )
    if pooled.empty:
        return f"No cohort has seen a full month after its first one {_by(context)}, so there is no curve yet."
    figure = _figure()
    for column, top, name, colour, dash in (
        ("on_rate", "active_count", "active in month k", BLUE, "solid"),
        ("on_or_after_rate", "active_on_or_after_count", "active in month k or later", ORANGE, "dash"),
    ):
        figure.add_scatter(
            x=pooled["period_index"].tolist(),
            y=pooled[column].tolist(),
            customdata=[
                f"{above:,} of {below:,}" for above, below in zip(pooled[top], pooled["eligible_count"], strict=True)
            ],
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 2.5, "dash": dash},
            marker={"size": 6},
            hovertemplate="month %{x}: <b>%{y:.1%}</b> (%{customdata})<extra></extra>",
        )
    figure.update_xaxes(title_text="Months after the month of the first purchase", rangemode="tozero")
    figure.update_yaxes(tickformat=".0%", rangemode="tozero", title_text="Share of eligible customers")
    last = pooled.iloc[-1]
    lead = (
        f"After {count(last['period_index'])} months {percent(last['on_rate'])} of the customers whose month is known "
        f"are active ({count(last['active_count'])} of {count(last['eligible_count'])})."
        if len(pooled) > 1
        else f"In the first month after, {percent(last['on_rate'])} are active."
    )
    rows = tuple(
        (
            count(row.period_index),
            count(row.eligible_count),
            count(row.active_count),
            percent(row.on_rate),
            count(row.active_on_or_after_count),
            percent(row.on_or_after_rate),
        )
        for row in pooled.itertuples()
    )
    columns = ("Month", "Eligible", "Active", "Rate", "Active on or after", "Rate on or after")
    return Chart(lead, figure, Table("Retention pooled over cohorts", columns, rows), height=340)


def _repeat_curves(connection: duckdb.DuckDBPyConnection, context: Context) -> Chart | str:
    curves = _frame(
        connection,
        """
        select
            from_purchase_number,
            days_since,
            at_risk_count,
            1 - survival_rate as repeat_rate,
            1 - upper_rate as repeat_low_rate,
            1 - lower_rate as repeat_high_rate
        from retention.repeat_purchase_curves
        order by from_purchase_number, days_since
        """,
    )
    if curves.empty:
        return "No customer has bought yet, so there is no gap between purchases to measure."
    figure = _figure()
    names = {1: "from 1st to 2nd", 2: "from 2nd to 3rd", 3: "from 3rd on"}
    colours = {1: (BLUE, "0,114,178"), 2: (ORANGE, "230,159,0"), 3: (GREEN, "0,158,115")}
    leads, rows = [], []
    for number, curve in curves.groupby("from_purchase_number"):
        colour, channels = colours[int(number)]
        days = curve["days_since"].tolist()
        band = {"mode": "lines", "line": {"width": 0, "shape": "hv"}, "showlegend": False, "hoverinfo": "skip"}
        group = str(number)
        figure.add_scatter(x=days, y=_listed(curve["repeat_low_rate"]), legendgroup=group, **band)
        figure.add_scatter(
            x=days,
            y=_listed(curve["repeat_high_rate"]),
            fill="tonexty",
            fillcolor=f"rgba({channels},0.18)",
            legendgroup=group,
            **band,
        )
        figure.add_scatter(
            x=days,
            y=_listed(curve["repeat_rate"]),
            customdata=curve["at_risk_count"].tolist(),
            name=names[int(number)],
            legendgroup=group,
            mode="lines",
            line={"color": colour, "width": 2.5, "shape": "hv", "dash": {1: "solid", 2: "dash", 3: "dot"}[int(number)]},
            hovertemplate="within %{x} days: <b>%{y:.1%}</b> (%{customdata:,} still at risk)<extra></extra>",
        )
        reached = curve[curve["repeat_rate"] >= 0.5]
        median = f"{count(reached['days_since'].min())} days" if len(reached) else "not reached"
        leads.append(f"{names[int(number)]} {median}")
        rows.append((names[int(number)], median, *(_repeat_at(curve, day) for day in REPEAT_DAYS)))
    figure.update_xaxes(title_text="Days since that purchase day", rangemode="tozero")
    figure.update_yaxes(tickformat=".0%", range=[0, 1], title_text="Share that has bought again")
    columns = ("Purchase", "Median", *(f"{day} days" for day in REPEAT_DAYS))
    table = Table("Share of customers who bought again, by days since the purchase", columns, tuple(rows))
    return Chart("Median time to the next purchase day: " + ", ".join(leads) + ".", figure, table, height=340)


def _growth_heads(connection: duckdb.DuckDBPyConnection, context: Context) -> Chart | str:
    months = _months(connection)
    if months.empty:
        return _no_complete_month(context)
    figure = _figure(rows=2, row_heights=[0.74, 0.26])
    starts = months["period_start_on"].tolist()
    for column, name, colour, sign in (
        ("retained_count", "retained", GREY, 1),
        ("new_count", "new", BLUE, 1),
        ("resurrected_count", "resurrected", SKY, 1),
        ("churned_count", "churned", VERMILION, -1),
    ):
        figure.add_bar(
            x=starts,
            y=_listed(months[column] * sign),
            customdata=_listed(months[column]),
            name=name,
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate="%{x|%b %Y}, " + name + ": <b>%{customdata:,}</b><extra></extra>",
            row=1,
            col=1,
        )
    figure.add_scatter(
        x=starts,
        y=_listed(months["quick_ratio"]),
        name="quick ratio",
        mode="lines+markers",
        line={"color": GREEN, "width": 2},
        marker={"size": 5},
        hovertemplate="%{x|%b %Y}, quick ratio: <b>%{y:.2f}</b><extra></extra>",
        row=2,
        col=1,
    )
    figure.add_hline(y=1, line={"color": GREY, "width": 1, "dash": "dot"}, row=2, col=1)
    figure.update_layout(barmode="relative", bargap=0.25)
    figure.update_yaxes(title_text="Customers", row=1, col=1)
    figure.update_yaxes(title_text="Quick ratio", rangemode="tozero", row=2, col=1)
    last = months.iloc[-1]
    lead = (
        f"{last['period_start_on']:%B %Y}: {count(last['active_count'])} active = {count(last['new_count'])} new + "
        f"{count(last['retained_count'])} retained + {count(last['resurrected_count'])} resurrected; "
        f"{count(last['churned_count'])} churned.{_truncated(months)}"
    )
    columns = ("Month", "Active", "New", "Retained", "Resurrected", "Churned", "Quick ratio")
    rows = tuple(
        (
            f"{row.period_start_on:%Y-%m}",
            *map(
                count, (row.active_count, row.new_count, row.retained_count, row.resurrected_count, row.churned_count)
            ),
            ratio(row.quick_ratio),
        )
        for row in months.itertuples()
    )
    return Chart(lead, figure, Table("Active customers by month", columns, rows), height=420)


def _growth_money(connection: duckdb.DuckDBPyConnection, context: Context) -> Chart | str:
    months = _months(connection)
    if months.empty:
        return _no_complete_month(context)
    figure = _figure()
    parts = (
        ("new_amount", "new", BLUE, 1),
        ("resurrected_amount", "resurrected", SKY, 1),
        ("expansion_amount", "expansion", GREEN, 1),
        ("contraction_amount", "contraction", ORANGE, -1),
        ("churned_amount", "churned", VERMILION, -1),
    )
    starts = months["period_start_on"].tolist()
    for column, name, colour, sign in parts:
        figure.add_bar(
            x=starts,
            y=_listed(months[column] * sign),
            customdata=_listed(months[column]),
            name=name,
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate="%{x|%b %Y}, " + name + ": <b>%{customdata:,.2f}</b><extra></extra>",
        )
    change = sum(months[column] * sign for column, _, _, sign in parts)
    figure.add_scatter(
        x=starts,
        y=_listed(change),
        name="net change",
        mode="lines+markers",
        line={"color": GREY, "width": 2},
        marker={"size": 6, "symbol": "diamond"},
        hovertemplate="%{x|%b %Y}, change: <b>%{y:,.2f}</b><extra></extra>",
    )
    figure.update_layout(barmode="relative", bargap=0.25)
    figure.update_yaxes(title_text=context.currency or "Amount", tickformat="~s")
    last = months.iloc[-1]
    kept = change.iloc[-1]
    direction = f"{context.money(abs(kept))} {'more' if kept >= 0 else 'less'} than the month before"
    lead = f"{last['period_start_on']:%B %Y}: {context.money(last['revenue_amount'])}, {direction}.{_truncated(months)}"
    columns = ("Month", "Revenue", "New", "Resurrected", "Expansion", "Contraction", "Churned")
    rows = tuple(
        (
            f"{row.period_start_on:%Y-%m}",
            amount(row.revenue_amount),
            *(amount(getattr(row, column)) for column, *_ in parts),
        )
        for row in months.itertuples()
    )
    return Chart(lead, figure, Table(f"Revenue by month {context.currency}".strip(), columns, rows), height=420)


@dataclass(frozen=True)
class _Window:
    name: str
    before: str
    order: int


_WINDOWS: Mapping[str, _Window] = {
    "trailing_12_months": _Window("12 months", "the 12 months before", 3),
    "quarter": _Window("quarter", "the quarter before", 2),
    "month": _Window("month", "the month before", 1),
}


def _known_rates(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Rates of the longest window for which any is known, oldest first."""
    rates = _frame(
        connection,
        """
        select
            "window",
            window_end_on,
            base_count,
            base_amount::double as base_amount,
            kept_amount::double as kept_amount,
            nrr_rate,
            grr_rate,
            new_amount::double as new_amount,
            resurrected_amount::double as resurrected_amount
        from retention.net_revenue_retention
        where nrr_rate is not null and grr_rate is not null
        order by window_end_on
        """,
    )
    if rates.empty:
        return rates
    longest = max(rates["window"].unique(), key=lambda window: _WINDOWS[window].order)
    return rates[rates["window"] == longest].tail(MAX_MONTHS)


def _net_revenue_retention(connection: duckdb.DuckDBPyConnection, context: Context) -> Chart | str:
    rates = _known_rates(connection)
    if rates.empty:
        return f"A rate needs two whole windows in a row with revenue in the first; there are none {_by(context)}."
    window = _WINDOWS[rates["window"].iloc[0]]
    figure = _figure()
    for column, name, colour, dash in (
        ("nrr_rate", "NRR, net", BLUE, "solid"),
        ("grr_rate", "GRR, gross", VERMILION, "dash"),
    ):
        figure.add_scatter(
            x=rates["window_end_on"].tolist(),
            y=rates[column].tolist(),
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 2.5, "dash": dash},
            marker={"size": 7},
            customdata=[f"{context.money(base)} of {customers:,} customers" for base, customers in
                        zip(rates["base_amount"], rates["base_count"], strict=True)],
            hovertemplate="%{x|%d %b %Y}: <b>%{y:.1%}</b> of %{customdata}<extra></extra>",
        )  # fmt: skip
    figure.add_hline(y=1, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.update_xaxes(title_text=f"End of the {window.name}", tickvals=_few(rates["window_end_on"].tolist()))
    figure.update_xaxes(tickformat="%b %Y")
    figure.update_yaxes(tickformat=".0%", rangemode="tozero", title_text=f"Share of revenue of {window.before}")
    last = rates.iloc[-1]
    lead = (
        f"{window.name.capitalize()} to {last['window_end_on']:%d %B %Y}: {count(last['base_count'])} customers of "
        f"{window.before} brought {percent(last['nrr_rate'])} of their revenue again (NRR); leaving growth out, "
        f"{percent(last['grr_rate'])} (GRR)."
    )
    columns = ("Window end", "Customers", "Base revenue", "NRR", "GRR", "New", "Resurrected")
    rows = tuple(
        (
            f"{row.window_end_on:%Y-%m-%d}",
            count(row.base_count),
            amount(row.base_amount),
            percent(row.nrr_rate),
            percent(row.grr_rate),
            amount(row.new_amount),
            amount(row.resurrected_amount),
        )
        for row in rates.itertuples()
    )
    return Chart(lead, figure, Table(f"Revenue retention by {window.name}", columns, rows), height=360)


def _revenue_by_cohort(connection: duckdb.DuckDBPyConnection, context: Context) -> Chart | str:
    from plotly.colors import sample_colorscale

    revenue = _frame(
        connection,
        """
        select cohort_month, "month", net_amount::double as net_amount
        from retention.revenue_by_cohort
        order by cohort_month, "month"
        """,
    )
    if revenue.empty:
        return "No customer has bought yet, so there is no revenue to split by cohort."
    revenue["band"] = _bands(revenue["cohort_month"])
    wide = revenue.pivot_table(index="month", columns="band", values="net_amount", aggfunc="sum", observed=True)
    bands = list(wide.columns)
    spread = [0.2 + 0.75 * place / max(len(bands) - 1, 1) for place in range(len(bands))]
    figure = _figure()
    for band, colour in zip(bands, sample_colorscale("Cividis", spread), strict=True):
        figure.add_scatter(
            x=wide.index.tolist(),
            y=[float(value) for value in wide[band].fillna(0)],
            name=band,
            stackgroup="revenue",
            mode="lines",
            line={"width": 0.5, "color": "rgba(255,255,255,0.6)"},
            fillcolor=colour,
            hovertemplate="%{x|%b %Y}, customers of " + band + ": <b>%{y:,.2f}</b><extra></extra>",
        )
    figure.update_yaxes(title_text=context.currency or "Amount", tickformat="~s", rangemode="tozero")
    figure.update_xaxes(tickformat="%b %Y")
    totals = wide.sum()
    lead = (
        f"Customers first seen in {totals.index[0]} brought {context.money(totals.iloc[0])} of "
        f"{context.money(totals.sum())}, {percent(totals.iloc[0] / totals.sum())}."
        if totals.sum() > 0
        else "There are purchases, but they add up to no revenue."
    )
    if context.data_end and not _is_month_end(context.data_end):
        lead += f" The last month ends on {context.data_end:%d %B %Y} and is not complete."
    rows = tuple(
        (f"{month:%Y-%m}", *(amount(value) for value in wide.loc[month])) for month in wide.index[-MAX_MONTHS:]
    )
    table = Table(f"Net revenue by month and cohort {context.currency}".strip(), ("Month", *bands), rows)
    return Chart(lead, figure, table, height=360)


def _tier_members(connection: duckdb.DuckDBPyConnection, context: Context) -> Chart | str:
    program = _program(connection)
    if program is None:
        return _NO_MEMBERS
    months = _frame(
        connection,
        """
        select "month", to_tier as tier, sum(member_count)::bigint as member_count
        from tiers.tier_movements
        where program_id = $program and is_complete
        group by all
        """,
        {"program": program.id},
    )
    if months.empty:
        return _no_complete_month(context)
    wide = months.pivot_table(index="month", columns="tier", values="member_count", fill_value=0).tail(MAX_MONTHS)
    held = [tier for tier in program.tiers if tier in wide]
    active = (
        _frame(
            connection,
            """
        select "month", sum(active_count)::bigint as active_count, sum(active_count) / sum(member_count) as active_rate
        from tiers.tier_economics
        where program_id = $program and is_complete
        group by "month"
        """,
            {"program": program.id},
        )
        .set_index("month")
        .loc[wide.index]
    )
    starts = wide.index.tolist()
    figure = _figure(rows=2, row_heights=[0.74, 0.26])
    for tier in held:
        figure.add_bar(
            x=starts,
            y=_listed(wide[tier]),
            name=tier,
            marker={"color": program.colour(tier), "line": {"width": 0}},
            hovertemplate="%{x|%b %Y}, " + tier + ": <b>%{y:,}</b> members<extra></extra>",
            row=1,
            col=1,
        )
    figure.add_scatter(
        x=starts,
        y=_listed(active["active_rate"]),
        customdata=active["active_count"].tolist(),
        name="active membership rate",
        mode="lines+markers",
        line={"color": PURPLE, "width": 2},
        marker={"size": 5},
        hovertemplate="%{x|%b %Y}: <b>%{y:.1%}</b> active (%{customdata:,} members)<extra></extra>",
        row=2,
        col=1,
    )
    figure.update_layout(barmode="stack", bargap=0.25)
    figure.update_xaxes(tickformat="%b %Y")
    figure.update_yaxes(title_text="Members", row=1, col=1)
    figure.update_yaxes(title_text="Active", tickformat=".0%", range=[0, 1.05], row=2, col=1)
    last = wide.iloc[-1]
    lead = (
        f"{starts[-1]:%B %Y}: {count(last.sum())} members, {percent(active['active_rate'].iloc[-1])} of them active; "
        + ", ".join(f"{count(last[tier])} {tier}" for tier in held[::-1])
        + f".{program.words}"
    )
    rows = tuple(
        (
            f"{month:%Y-%m}",
            *(count(wide.loc[month, tier]) for tier in held[::-1]),
            count(wide.loc[month].sum()),
            count(active.loc[month, "active_count"]),
            percent(active.loc[month, "active_rate"]),
        )
        for month in starts
    )
    columns = ("Month", *held[::-1], "Members", "Active", "Active rate")
    return Chart(lead, figure, Table("Members by tier at the end of the month", columns, rows), height=420)


def _tier_moves(connection: duckdb.DuckDBPyConnection, context: Context) -> Chart | str:
    program = _program(connection)
    if program is None or context.data_end is None:
        return _NO_MEMBERS
    start = _row(
        connection,
        """
        select min(start_on)::timestamp as start_on
        from (select ($data_end::date - to_months(unnest($months)))::date as start_on) as choices
        where start_on >= (select min(valid_from) from tiers.tier_history where program_id = $program)
        """,
        {"data_end": context.data_end, "months": list(MOVE_MONTHS), "program": program.id},
    )["start_on"]
    if start is None:
        return f"Nobody has been a member for a month {_by(context)}, so nobody can have moved."
    moves = _frame(
        connection,
        """
        select coalesce(earlier.tier, 'new') as from_tier, later.tier as to_tier, count(*) as member_count
        from tiers.tier_history as later
        left join tiers.tier_history as earlier
            on later.program_id = earlier.program_id and later.customer_id = earlier.customer_id
            and earlier.valid_from <= $start and coalesce(earlier.valid_to > $start, true)
        where later.program_id = $program and later.valid_to is null
        group by all
        """,
        {"start": start, "program": program.id},
    )
    heads = {(str(row.from_tier), str(row.to_tier)): int(row.member_count) for row in moves.itertuples()}
    before = {tier: sum(n for (left, _), n in heads.items() if left == tier) for tier in (*program.tiers[::-1], "new")}
    after = {tier: sum(n for (_, right), n in heads.items() if right == tier) for tier in program.tiers[::-1]}
    lefts, rights = [tier for tier in before if before[tier]], [tier for tier in after if after[tier]]
    ways = {pair: program.way(*pair) for pair in heads}
    totals = {way: sum(heads[pair] for pair in heads if ways[pair] == way) for way in _WAYS}
    known = sum(before.values()) - before["new"]
    lead = (
        f"Of {count(known)} members on {start:%d %B %Y}, {percent(totals['same tier'] / known)} hold the same tier on "
        f"{context.data_end:%d %B %Y}, {percent(totals['rose'] / known)} a higher and "
        f"{percent(totals['fell'] / known)} a lower one; {count(before['new'])} joined since.{program.words}"
    )
    rows = tuple(
        (tier, *(count(heads.get((tier, right), 0)) for right in rights), count(before[tier])) for tier in lefts
    )
    columns = (f"On {start:%Y-%m-%d}", *rights, "Members")
    caption = f"Members by tier on {start:%Y-%m-%d} and, across, on {context.data_end:%Y-%m-%d}"
    figure = _flows(heads, ways, {tier: before[tier] for tier in lefts}, {tier: after[tier] for tier in rights})
    return Chart(lead, figure, Table(caption, columns, rows), height=420)


def _flows(
    heads: Mapping[tuple[str, str], int],
    ways: Mapping[tuple[str, str], str],
    before: Mapping[str, int],
    after: Mapping[str, int],
) -> go.Figure:
    """Members as bands from where they were, on the left, to where they are, each in the colour of its way."""
    gap = 0.035
    unit = (1 - gap * (max(len(before), len(after)) - 1)) / sum(before.values())
    tops = [_stacked(before, unit, gap), _stacked(after, unit, gap)]
    free = [dict(side) for side in tops]
    order = [list(before), list(after)]
    figure = _figure()
    drawn: set[str] = set()
    for left, right in sorted(heads, key=lambda pair: (order[0].index(pair[0]), order[1].index(pair[1]))):
        way, width = ways[left, right], heads[left, right] * unit
        begin, end = free[0][left], free[1][right]
        free[0][left], free[1][right] = begin + width, end + width
        upper = [begin + (end - begin) * bend for bend in _BENDS]
        figure.add_scatter(
            x=[*_STEPS, *_STEPS[::-1]],
            y=[*upper, *(y + width for y in upper[::-1])],
            mode="lines",
            line={"width": 0},
            fill="toself",
            fillcolor=_WAYS[way],
            hoveron="fills",
            hoverinfo="text",
            text=f"{left} → {right}: <b>{count(heads[left, right])}</b> members",
            name=way,
            legendgroup=way,
            legendrank=list(_WAYS).index(way),
            showlegend=way not in drawn,
        )
        drawn.add(way)
    for place, (axis, sizes) in enumerate((("y", before), ("y2", after))):
        figure.add_scatter(
            x=[place, place, None] * len(sizes),
            y=[y for name in sizes for y in (tops[place][name], tops[place][name] + sizes[name] * unit, None)],
            yaxis=axis,
            mode="lines",
            line={"color": GREY, "width": 10},
            hoverinfo="skip",
            showlegend=False,
        )
    axes = [
        {
            "tickvals": [tops[place][name] + sizes[name] * unit / 2 for name in sizes],
            "ticktext": [f"{name} {count(sizes[name])}" for name in sizes],
            "range": [1, 0],
            "showgrid": False,
            "zeroline": False,
            "ticks": "",
            "automargin": True,
        }
        for place, sizes in enumerate((before, after))
    ]
    figure.update_layout(
        yaxis=axes[0],
        yaxis2={**axes[1], "side": "right", "overlaying": "y"},
        xaxis={"range": [-0.02, 1.02], "visible": False},
    )
    return figure


def _tier_economics(connection: duckdb.DuckDBPyConnection, context: Context) -> Chart | str:
    program = _program(connection)
    if program is None:
        return _NO_MEMBERS
    tiers = _frame(
        connection,
        """
        select
            tier,
            min("month")::timestamp as first_month,
            max("month")::timestamp as last_month,
            sum(member_count)::double as member_count,
            sum(active_count) / sum(member_count) as active_rate,
            sum(buyer_count) filter (where retention_rate is not null) / sum(member_count) as retention_rate,
            sum(churned_count) / nullif(sum(base_count), 0) as churn_rate,
            (sum(churned_count) + sum(pending_count)) / nullif(sum(base_count), 0) as possible_churn_rate,
            sum(net_amount)::double as net_amount,
            sum(net_amount)::double / sum(member_count) as member_net_amount,
            sum(margin_amount)::double as margin_amount,
            sum(benefit_cost_amount)::double as benefit_cost_amount
        from tiers.tier_economics
        where
            program_id = $program and is_complete
            and "month" > (
                select max("month") - to_months($months)
                from tiers.tier_economics
                where program_id = $program and is_complete
            )
        group by tier
        """,
        {"program": program.id, "months": MAX_TIER_MONTHS},
    ).set_index("tier")
    if tiers.empty:
        return _no_complete_month(context)
    order = [tier for tier in (*program.tiers[::-1], "new") if tier in tiers.index]
    tiers = tiers.loc[order]
    measures = {
        "member_count": "Members",
        "net_amount": "Revenue",
        "margin_amount": "Margin",
        "benefit_cost_amount": "Benefits",
    }
    # Shares say something where nobody's part is less than nothing.
    shares = {
        name: tiers[column].fillna(0) / tiers[column].sum()
        for column, name in measures.items()
        if tiers[column].sum() > 0 and not (tiers[column] < 0).any()
    }
    figure = _figure()
    for tier in order:
        figure.add_bar(
            x=[float(share[tier]) for share in shares.values()],
            y=list(shares),
            orientation="h",
            name=tier,
            marker={"color": program.colour(tier), "line": {"width": 0}},
            texttemplate="%{x:.0%}",
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            hovertemplate="%{y}, " + tier + ": <b>%{x:.1%}</b><extra></extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.3, uniformtext={"minsize": 9, "mode": "hide"})
    figure.update_xaxes(tickformat=".0%", range=[0, 1])
    figure.update_yaxes(autorange="reversed", ticksuffix=" ")
    first, last, top = tiers["first_month"].min(), tiers["last_month"].max(), order[0]
    lead = f"{first:%B %Y} to {last:%B %Y}: {top}, {percent(shares['Members'][top])} of the member-months"
    lead += f", brought {percent(shares['Revenue'][top])} of the revenue" if "Revenue" in shares else ""
    benefits, margin = tiers["benefit_cost_amount"].sum(), tiers["margin_amount"].sum()
    if benefits > 0:
        lead += f"; benefits cost {context.money(benefits)}"
        lead += f", {percent(benefits / margin)} of the margin" if margin > 0 else ""
    columns = (
        "Tier", "Member-months", "Active", "Retained", "Churned", "With pending", "Revenue", "A member and month",
        "Margin", "Benefits",
    )  # fmt: skip
    rows = tuple(
        (
            str(row.Index),
            count(row.member_count),
            *map(percent, (row.active_rate, row.retention_rate, row.churn_rate, row.possible_churn_rate)),
            *map(amount, (row.net_amount, row.member_net_amount, row.margin_amount, row.benefit_cost_amount)),
        )
        for row in tiers.itertuples()
    )
    caption = f"Tiers from {first:%Y-%m} to {last:%Y-%m} {context.currency}".strip()
    return Chart(f"{lead}.{program.words}", figure, Table(caption, columns, rows), height=130 + 44 * len(shares))


_NO_MEMBERS = "Nobody is a member yet, so there are no tiers to show."
# How a member moved, and the colour of it: pale, for they cross.
_WAYS: Mapping[str, str] = {
    "rose": "rgba(0,158,115,0.5)",
    "same tier": "rgba(135,147,160,0.4)",
    "fell": "rgba(213,94,0,0.5)",
    "new": "rgba(86,180,233,0.55)",
}
# A band runs level where it begins and where it ends.
_STEPS = [step / 20 for step in range(21)]
_BENDS = [step * step * (3 - 2 * step) for step in _STEPS]


@dataclass(frozen=True)
class _Program:
    """The programme that is shown, of several the one with most members, and its tiers by rank."""

    id: str
    tiers: tuple[str, ...]
    others: int

    def colour(self, tier: str) -> str:
        return PURPLE if tier == "new" else TIER_COLOURS[self.tiers.index(tier) % len(TIER_COLOURS)]

    def way(self, before: str, after: str) -> str:
        if before == "new":
            return "new"
        ranks = [self.tiers.index(tier) for tier in (before, after)]
        return "same tier" if ranks[0] == ranks[1] else "rose" if ranks[0] < ranks[1] else "fell"

    @property
    def words(self) -> str:
        return f" Shown is the programme {self.id}, the largest of {self.others + 1}." if self.others else ""


def _program(connection: duckdb.DuckDBPyConnection) -> _Program | None:
    ranks = _frame(
        connection,
        """
        select program_id, tier, min(tier_rank) as tier_rank, count(*) filter (where valid_to is null) as member_count
        from tiers.tier_history
        group by program_id, tier
        order by program_id, tier_rank
        """,
    )
    if ranks.empty:
        return None
    sizes = ranks.groupby("program_id")["member_count"].sum()
    largest = sizes.idxmax()
    return _Program(str(largest), tuple(ranks[ranks["program_id"] == largest]["tier"]), len(sizes) - 1)


def _stacked(sizes: Mapping[str, int], unit: float, gap: float) -> dict[str, float]:
    """Where each begins, from 0 downwards, when they stand one below the other with gaps between."""
    tops, top = {}, 0.0
    for name, size in sizes.items():
        tops[name] = top
        top += size * unit + gap
    return tops


# --- data quality


def load_accounting(connection: duckdb.DuckDBPyConnection) -> Table:
    """What became of every row read, by contract table, over all loads."""
    columns = ("Table", "Read", "Accepted", "Quarantined", "Copies dropped", "Superseded", "Filtered out", "Erased")
    caption = "Every row read, and what became of it"
    if not has_table(connection, "quality.load_accounting"):
        return Table(caption, columns, (), empty="This version has no table quality.load_accounting.")
    frame = _frame(
        connection,
        """
        select
            table_name,
            sum(rows_read) as rows_read,
            sum(accepted_count) as accepted_count,
            sum(quarantined_count) as quarantined_count,
            sum(copy_count) as copy_count,
            sum(superseded_count) as superseded_count,
            sum(filtered_count) as filtered_count,
            sum(erased_count) as erased_count
        from quality.load_accounting
        group by table_name
        order by rows_read desc, table_name
        """,
    )
    rows = tuple((str(name), *map(count, values)) for name, *values in frame.itertuples(index=False))
    return Table(caption, columns, rows, empty="Nothing has been loaded yet.")


def quarantine(connection: duckdb.DuckDBPyConnection) -> Table:
    """Rows set aside, by table and reason, most first."""
    columns = ("Table", "Reason", "Rows")
    caption = "Rows set aside, and why"
    if not has_table(connection, "quality.quarantine_summary"):
        return Table(caption, columns, (), 2, "This version has no table quality.quarantine_summary.")
    frame = _frame(
        connection,
        """
        select table_name, reason, sum(row_count) as row_count
        from quality.quarantine_summary
        group by table_name, reason
        having sum(row_count) > 0
        order by row_count desc, table_name, reason
        limit 30
        """,
    )
    rows = tuple((str(row.table_name), str(row.reason), count(row.row_count)) for row in frame.itertuples())
    return Table(caption, columns, rows, 2, "No row was set aside.")


def checks(results: Sequence[Mapping[str, Any]]) -> tuple[Table, Table]:
    """Check results of a manifest: how many passed by layer and tool, and each one that did not pass."""
    groups: dict[tuple[str, str], list[bool]] = {}
    for result in results:
        layer = str(result["table"]).partition(".")[0]
        groups.setdefault((layer or "across tables", str(result["tool"])), []).append(bool(result["passed"]))
    passed = tuple(
        (layer, tool, count(len(outcomes)), count(sum(outcomes)), count(len(outcomes) - sum(outcomes)))
        for (layer, tool), outcomes in sorted(groups.items())
    )
    failed = tuple(
        (
            str(result["table"]) or "across tables",
            str(result["name"]),
            "blocking" if result["is_blocking"] else "warning",
            str(result["observed"]),
        )
        for result in results
        if not result["passed"]
    )
    return (
        Table("Checks by layer", ("Layer", "Tool", "Checks", "Passed", "Failed"), passed, 2, "No check was recorded."),
        Table(
            "Checks that did not pass",
            ("Table", "Check", "Kind", "Observed"),
            failed,
            first_number=4,
            empty="Every check passed." if results else "No check was recorded.",
        ),
    )


# --- small things


def has_table(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    schema, _, table = name.partition(".")
    found = connection.execute(
        "select 1 from information_schema.tables where table_schema = ? and table_name = ?", [schema, table]
    )
    return found.fetchone() is not None


def count(value: Any) -> str:
    return f"{int(value):,}" if _is_known(value) else ""


def percent(value: Any) -> str:
    return f"{float(value):.1%}" if _is_known(value) else ""


def amount(value: Any) -> str:
    return f"{float(value):,.2f}" if _is_known(value) else ""


def ratio(value: Any) -> str:
    return f"{float(value):.2f}" if _is_known(value) else ""


def _is_known(value: Any) -> bool:
    return value is not None and value == value  # NaN is the one value that is not itself


def _frame(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    return connection.execute(sql, parameters).df()


def _row(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    cursor = connection.execute(sql, parameters)
    names = [column[0] for column in cursor.description]
    return dict(zip(names, cursor.fetchall()[0], strict=True))


def _months(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The complete months of growth accounting, oldest first, at most the last MAX_MONTHS."""
    return _frame(
        connection,
        """
        select * replace (
            revenue_amount::double as revenue_amount,
            new_amount::double as new_amount,
            resurrected_amount::double as resurrected_amount,
            expansion_amount::double as expansion_amount,
            contraction_amount::double as contraction_amount,
            churned_amount::double as churned_amount
        )
        from retention.growth_accounting
        where period_grain = 'month' and is_complete
        order by period_start_on
        """,
    ).tail(MAX_MONTHS)


def _figure(rows: int = 1, **subplots: Any) -> go.Figure:
    """An empty figure: colours of text, axes and background come from the page, so that it follows light and dark."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    figure = go.Figure()
    if rows > 1:
        figure = make_subplots(rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.06, **subplots)
    figure.update_layout(
        template="none",
        autosize=True,
        dragmode=False,  # on a phone a finger on a chart must go on scrolling the page
        margin={"l": 8, "r": 12, "t": 8, "b": 8},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"},
        hovermode="closest",
    )
    figure.update_xaxes(automargin=True, title_standoff=8)
    figure.update_yaxes(automargin=True, title_standoff=8)
    return figure


def _listed(values: pd.Series) -> list[float | None]:
    return [float(value) if _is_known(value) else None for value in values]


def _few(values: list[Any], most: int = 8) -> list[Any]:
    """At most `most` of the values, evenly spaced from the last backwards."""
    step = -(-len(values) // most)
    return values[::-1][::step][::-1]


def _bands(months: pd.Series) -> pd.Series:
    """Cohorts as text, by month, quarter or year: the finest of these with no more than MAX_BANDS of them."""
    by_month = months.dt.strftime("%Y-%m")
    if by_month.nunique() <= MAX_BANDS:
        return by_month
    by_quarter = months.dt.year.astype(str) + "-Q" + months.dt.quarter.astype(str)
    return by_quarter if by_quarter.nunique() <= MAX_BANDS else months.dt.year.astype(str)


def _repeat_at(curve: pd.DataFrame, day: int) -> str:
    """The curve's value at a day, '' beyond the last gap observed."""
    if day > curve["days_since"].max():
        return ""
    return percent(curve.loc[curve["days_since"] <= day, "repeat_rate"].iloc[-1])


def _cell_text(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.1%}"


def _truncated(months: pd.DataFrame) -> str:
    first = months.iloc[0]
    if not first["is_left_truncated"]:
        return ""
    return f" In {first['period_start_on']:%B %Y}, where the data begins, all count as new whether they are or not."


def _no_complete_month(context: Context) -> str:
    return f"The data covers no complete month {_by(context)}."


def _by(context: Context) -> str:
    return f"by {context.data_end:%d %B %Y}" if context.data_end else "yet"


def _is_month_end(day: date) -> bool:
    from datetime import timedelta

    return (day + timedelta(days=1)).day == 1
