"""Charts of retention and growth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration.lib.report.charts import (
    BLUE,
    GREEN,
    GREY,
    MAX_MONTHS,
    ORANGE,
    SKY,
    VERMILION,
    Chart,
    Context,
    Spec,
    Table,
    add_flows,
    amount,
    blank,
    by_data_end,
    count,
    few,
    is_month_end,
    listed,
    no_complete_month,
    percent,
    queried,
    ratio,
)

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

MAX_COHORTS = 24  # rows and columns of the heatmap: more cannot be read on a screen; the mart has them all


MAX_BANDS = 12  # cohorts told apart by colour in one stacked area


REPEAT_DAYS = (7, 30, 60, 90, 180, 365)  # the days at which the repeat curves are put in words and in the table


def specs() -> tuple[Spec, ...]:
    return (
        Spec(
            "cohorts",
            "How many customers of each month came back",
            "Rate of a cell = customers of the cohort with a purchase in that month ÷ customers of the cohort. A month "
            "that has not fully elapsed by the end of the data is blank: not yet known is not zero.",
            ("retention.retention_cohorts",),
            _cohort_heatmap,
            is_wide=True,
        ),
        Spec(
            "retention-curve",
            "How retention develops with a customer’s age",
            "On(k) = Σ customers active in month k ÷ Σ eligible customers, over all cohorts; on or after(k) = Σ "
            "customers whose last purchase is in month k or later ÷ Σ eligible. Eligible: month k has fully elapsed. "
            "The second line sinks towards the right end because there the data leaves less time to come back.",
            ("retention.retention_cohorts",),
            _retention_curve,
        ),
        Spec(
            "repeat",
            "How long it takes until customers buy again",
            "Share with a next purchase day within d days = 1 − Kaplan–Meier survival of the gap from the n-th to the "
            "(n+1)-th purchase day; gaps still open at the end of the data count as censored. Band: 95% interval "
            "(Greenwood, log-log).",
            ("retention.repeat_purchase_curves",),
            _repeat_curves,
        ),
        Spec(
            "growth",
            "Where active customers come from and where they go",
            "Active(t) = new + retained + resurrected; active(t−1) = retained(t) + churned(t). "
            "Quick ratio = (new + resurrected) ÷ churned; above 1 the base of active customers grows.",
            ("retention.growth_accounting",),
            _growth_heads,
        ),
        Spec(
            "growth-money",
            "What moved revenue from month to month",
            "R(t) = R(t−1) + new + resurrected + expansion − contraction − churned, of identified customers, refunds "
            "booked back to the day of their order. The line is R(t) − R(t−1).",
            ("retention.growth_accounting",),
            _growth_money,
        ),
        Spec(
            "nrr",
            "How much of their revenue known customers keep bringing",
            "Over the customers with revenue > 0 in the window before: NRR = Σ R(t) ÷ Σ R(t−1); "
            "GRR = Σ max(0, min(R(t), R(t−1))) ÷ Σ R(t−1), where growth of one customer never makes up for "
            "the loss of another.",
            ("retention.net_revenue_retention",),
            _net_revenue_retention,
        ),
        Spec(
            "c3",
            "Which customers a month’s revenue comes from",
            "Net revenue of a month by the month of the customer’s first purchase (C3): a cohort’s band shows how "
            "its revenue lasts. Refunds are booked back to the day of their order.",
            ("retention.revenue_by_cohort",),
            _revenue_by_cohort,
        ),
    )


def _cohort_heatmap(connection: duckdb.DuckDBPyConnection, context: Context) -> Chart | str:
    cells = queried(
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
        return f"No cohort has seen a full month after its first one {by_data_end(context)}, so there is no rate yet."
    starts = sorted(cells["cohort_start_on"].unique())[-MAX_COHORTS:]
    newest = known[known["cohort_start_on"].isin(starts)]
    shown = newest[newest["period_index"] <= MAX_COHORTS]
    sizes = {row.cohort_start_on: (row.cohort_label, int(row.cohort_size)) for row in cells.itertuples()}
    by_cell = {(row.cohort_start_on, int(row.period_index)): row for row in shown.itertuples()}
    indexes = list(range(1, int(shown["period_index"].max()) + 1))
    grid = [[by_cell.get((start, index)) for index in indexes] for start in starts]
    rates = [[cell and float(cell.retention_rate) for cell in row] for row in grid]
    labels = [f"{sizes[start][0]} · {count(sizes[start][1])}" for start in starts]
    figure = blank()
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
    pooled = queried(
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
        return f"No cohort has seen a full month after its first one {by_data_end(context)}, so there is no curve yet."
    figure = blank()
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
    curves = queried(
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
    figure = blank()
    names = {1: "from 1st to 2nd", 2: "from 2nd to 3rd", 3: "from 3rd on"}
    colours = {1: (BLUE, "0,114,178"), 2: (ORANGE, "230,159,0"), 3: (GREEN, "0,158,115")}
    leads, rows = [], []
    for number, curve in curves.groupby("from_purchase_number"):
        colour, channels = colours[int(number)]
        days = curve["days_since"].tolist()
        band = {"mode": "lines", "line": {"width": 0, "shape": "hv"}, "showlegend": False, "hoverinfo": "skip"}
        group = str(number)
        figure.add_scatter(x=days, y=listed(curve["repeat_low_rate"]), legendgroup=group, **band)
        figure.add_scatter(
            x=days,
            y=listed(curve["repeat_high_rate"]),
            fill="tonexty",
            fillcolor=f"rgba({channels},0.18)",
            legendgroup=group,
            **band,
        )
        figure.add_scatter(
            x=days,
            y=listed(curve["repeat_rate"]),
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
    months = recent_months(connection)
    if months.empty:
        return no_complete_month(context)
    figure = blank(rows=2, row_heights=[0.74, 0.26])
    starts = months["period_start_on"].tolist()
    flows = (
        ("retained_count", "retained", GREY, 1),
        ("new_count", "new", BLUE, 1),
        ("resurrected_count", "resurrected", SKY, 1),
        ("churned_count", "churned", VERMILION, -1),
    )
    add_flows(figure, starts, months, flows, row=1, col=1)
    figure.add_scatter(
        x=starts,
        y=listed(months["quick_ratio"]),
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
    months = recent_months(connection)
    if months.empty:
        return no_complete_month(context)
    figure = blank()
    parts = (
        ("new_amount", "new", BLUE, 1),
        ("resurrected_amount", "resurrected", SKY, 1),
        ("expansion_amount", "expansion", GREEN, 1),
        ("contraction_amount", "contraction", ORANGE, -1),
        ("churned_amount", "churned", VERMILION, -1),
    )
    starts = months["period_start_on"].tolist()
    add_flows(figure, starts, months, parts, number_format=",.2f")
    change = sum(months[column] * sign for column, _, _, sign in parts)
    figure.add_scatter(
        x=starts,
        y=listed(change),
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


WINDOWS: Mapping[str, _Window] = {
    "trailing_12_months": _Window("12 months", "the 12 months before", 3),
    "quarter": _Window("quarter", "the quarter before", 2),
    "month": _Window("month", "the month before", 1),
}


def known_rates(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Rates of the longest window for which any is known, oldest first."""
    rates = queried(
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
    longest = max(rates["window"].unique(), key=lambda window: WINDOWS[window].order)
    return rates[rates["window"] == longest].tail(MAX_MONTHS)


def _net_revenue_retention(connection: duckdb.DuckDBPyConnection, context: Context) -> Chart | str:
    rates = known_rates(connection)
    if rates.empty:
        return (
            f"A rate needs two whole windows in a row with revenue in the first; there are none {by_data_end(context)}."
        )
    window = WINDOWS[rates["window"].iloc[0]]
    figure = blank()
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
    figure.update_xaxes(title_text=f"End of the {window.name}", tickvals=few(rates["window_end_on"].tolist()))
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

    revenue = queried(
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
    figure = blank()
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
    if context.data_end and not is_month_end(context.data_end):
        lead += f" The last month ends on {context.data_end:%d %B %Y} and is not complete."
    rows = tuple(
        (f"{month:%Y-%m}", *(amount(value) for value in wide.loc[month])) for month in wide.index[-MAX_MONTHS:]
    )
    table = Table(f"Net revenue by month and cohort {context.currency}".strip(), ("Month", *bands), rows)
    return Chart(lead, figure, table, height=360)


def recent_months(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The complete months of growth accounting, oldest first, at most the last MAX_MONTHS."""
    return queried(
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
