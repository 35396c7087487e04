"""Charts of points: how they move from month to month, and what becomes of those of each month."""

from __future__ import annotations

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
    count,
    listed,
    percent,
    queried,
)

if TYPE_CHECKING:
    import duckdb

# Column of points_rollforward, its name, colour, and whether it adds or takes.
_FLOWS = (
    ("earned_points", "earned", BLUE, 1),
    ("reinstated_points", "reinstated", SKY, 1),
    ("adjusted_points", "adjusted", GREY, 1),
    ("redeemed_points", "redeemed", GREEN, -1),
    ("expired_points", "expired", ORANGE, -1),
    ("reversed_points", "reversed", VERMILION, -1),
)
# What becomes of the points of a vintage, as SQL on points_liability.
_FATES = (
    ("redeemed", "redeemed_points", GREEN),
    ("to be redeemed", "round(outstanding_points * coalesce(outstanding_redemption_rate, 0))", SKY),
    ("to break", "outstanding_points - round(outstanding_points * coalesce(outstanding_redemption_rate, 0))", GREY),
    ("expired", "expired_points", ORANGE),
    ("withdrawn", "withdrawn_points", VERMILION),
)


def specs() -> tuple[Spec, ...]:
    """The charts of points in their order."""
    return (
        Spec(
            "points-moves",
            "How points move",
            "Points of all members, month by month: closing = opening + earned + adjusted + reinstated − redeemed − "
            "expired − reversed.",
            ("tiers.points_rollforward",),
            _moves,
        ),
        Spec(
            "points-liability",
            "What points still cost",
            "By the month in which points were given. To be redeemed = outstanding × P(redeem), as finance expects or "
            "the points of the past tell; the liability is that × what a point costs. Deferred = what was paid for "
            "points that is not recognised yet (IFRS 15).",
            ("tiers.points_liability",),
            _liability,
        ),
    )


def _moves(connection: duckdb.DuckDBPyConnection, context: Context) -> Chart | str:
    program = _program(connection)
    if program is None:
        return _NO_POINTS
    months = queried(
        connection,
        """
        select * exclude ("month"), "month"::timestamp as month_on
        from tiers.points_rollforward
        where program_id = $program
        order by month_on desc
        limit $most
        """,
        {"program": program, "most": MAX_MONTHS},
    ).iloc[::-1]
    figure = blank(rows=2, row_heights=[0.6, 0.4])
    starts = months["month_on"].tolist()
    add_flows(figure, starts, months, [flow for flow in _FLOWS if months[flow[0]].any()], row=1, col=1)
    figure.add_scatter(
        x=starts,
        y=listed(months["closing_points"]),
        name="outstanding",
        mode="lines",
        line={"color": GREEN, "width": 2, "dash": "dot"},
        hovertemplate="%{x|%b %Y}, outstanding: <b>%{y:,}</b><extra></extra>",
        row=2,
        col=1,
    )
    figure.update_layout(barmode="relative", bargap=0.25)
    figure.update_yaxes(title_text="Moved", tickformat="~s", row=1, col=1)
    figure.update_yaxes(title_text="Outstanding", tickformat="~s", rangemode="tozero", row=2, col=1)
    last = months.iloc[-1]
    parts = [count(last[column]) for column in ("earned_points", "redeemed_points", "expired_points")]
    lead = (
        f"{last['month_on']:%B %Y}: {count(last['closing_points'])} points are outstanding; {parts[0]} were earned, "
        f"{parts[1]} redeemed and {parts[2]} expired."
    )
    if last["debt_points"]:
        lead += f" Members owe {count(last['debt_points'])}."
    columns = ("Month", "Opening", *(name.capitalize() for _, name, *_ in _FLOWS), "Closing", "Owed")
    rows = tuple(
        (
            f"{row.month_on:%Y-%m}",
            count(row.opening_points),
            *(count(getattr(row, column)) for column, *_ in _FLOWS),
            count(row.closing_points),
            count(row.debt_points),
        )
        for row in months.itertuples()
    )
    return Chart(lead, figure, Table("Points by month", columns, rows), height=420)


def _liability(connection: duckdb.DuckDBPyConnection, context: Context) -> Chart | str:
    program = _program(connection)
    if program is None:
        return _NO_POINTS
    fates = ", ".join(f"({sql})::bigint as fate_{number}" for number, (_, sql, _) in enumerate(_FATES))
    vintages = queried(
        connection,
        f"""
        select
            vintage_month::timestamp as vintage_on, issued_points, outstanding_points, expected_redemption_rate,
            outstanding_redemption_rate, breakage_rate, liability_amount::double as liability_amount,
            deferred_amount::double as deferred_amount, {fates}
        from tiers.points_liability
        where program_id = $program
        order by vintage_on
        """,
        {"program": program},
    )
    recent = vintages.tail(MAX_MONTHS)
    figure = blank()
    for number, (name, _, colour) in enumerate(_FATES):
        figure.add_bar(
            x=recent["vintage_on"].tolist(),
            y=listed(recent[f"fate_{number}"]),
            name=name,
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate="%{x|%b %Y}, " + name + ": <b>%{y:,}</b><extra></extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.25)
    figure.update_yaxes(title_text="Points given in the month", tickformat="~s")
    outstanding = vintages["outstanding_points"].sum()
    lead = f"{count(outstanding)} points are outstanding"
    if outstanding:
        expected = (vintages["outstanding_points"] * vintages["outstanding_redemption_rate"].fillna(0)).sum()
        lead += (
            f", of which {percent(expected / outstanding)} are expected to be redeemed; "
            f"that will cost {context.money(vintages['liability_amount'].sum())}"
        )
    lead += f". Deferred revenue is {context.money(vintages['deferred_amount'].sum())}."
    columns = (
        "Given in", "Issued", "Outstanding", "Expected to be redeemed", "Of the outstanding", "Realised breakage",
        "Liability", "Deferred",
    )  # fmt: skip
    rows = tuple(
        (
            f"{row.vintage_on:%Y-%m}",
            count(row.issued_points),
            count(row.outstanding_points),
            *map(percent, (row.expected_redemption_rate, row.outstanding_redemption_rate, row.breakage_rate)),
            *map(amount, (row.liability_amount, row.deferred_amount)),
        )
        for row in recent.itertuples()
    )
    caption = f"Points by the month in which they were given {context.currency}".strip()
    return Chart(lead, figure, Table(caption, columns, rows), height=380)


def _program(connection: duckdb.DuckDBPyConnection) -> str | None:
    """The programme that gave most points; None if none was ever given."""
    found = connection.execute(
        """
        select program_id
        from tiers.points_rollforward
        group by program_id
        order by sum(earned_points) desc, program_id
        limit 1
        """
    ).fetchone()
    return found[0] if found else None


_NO_POINTS = "No points were ever given, so there is nothing to show."
