"""Charts of member tiers: who holds them, who moves, what they bring and cost."""

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
    PURPLE,
    SKY,
    VERMILION,
    Chart,
    Context,
    Spec,
    Table,
    amount,
    blank,
    by_data_end,
    count,
    first_row,
    listed,
    no_complete_month,
    percent,
    queried,
)

if TYPE_CHECKING:
    import duckdb
    import plotly.graph_objects as go

TIER_COLOURS = (GREY, SKY, BLUE, GREEN, ORANGE, VERMILION)  # by rank; beyond, from the first again


MAX_TIER_MONTHS = 12  # a year of tiers: rules look back about as far, and each season is in it once


MOVE_MONTHS = (12, 6, 3, 1)  # how far movements look back: the first of these at which there were members


def specs() -> tuple[Spec, ...]:
    return (
        Spec(
            "tiers",
            "How many members hold each tier",
            "Members by the tier that they hold at the end of the month. Active membership rate = members whose state "
            "is active, by their own rhythm, ÷ members: enrolled is not active.",
            ("tiers.tier_history", "tiers.tier_movements", "tiers.tier_economics"),
            _tier_members,
        ),
        Spec(
            "tier-moves",
            "Who rose, and who fell",
            "Members by the tier that they held on the first day (left) and on the last (right); new are those who "
            "joined in between.",
            ("tiers.tier_history",),
            _tier_moves,
        ),
        Spec(
            "tier-economics",
            "What each tier brings and costs",
            "By the tier with which a month began; who joined within it is new. Active = Σ members active at the end "
            "of a month ÷ Σ members. Retained = Σ members with a purchase in the month ÷ Σ members. Churned = Σ "
            "churned in the month ÷ Σ members who were there when it began, of churns that are certain; then with "
            "those pending. Margin is of the orders whose cost is known. Benefits = Σ members × what the tier costs a "
            "month. Points = Σ points earned, as far as they are expected to be redeemed × what one costs.",
            ("tiers.tier_history", "tiers.tier_economics"),
            _tier_economics,
            is_wide=True,
            is_open=True,
        ),
    )


def _tier_members(connection: duckdb.DuckDBPyConnection, context: Context) -> Chart | str:
    program = _program(connection)
    if program is None:
        return _NO_MEMBERS
    months = queried(
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
        return no_complete_month(context)
    wide = months.pivot_table(index="month", columns="tier", values="member_count", fill_value=0).tail(MAX_MONTHS)
    held = [tier for tier in program.tiers if tier in wide]
    active = (
        queried(
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
    figure = blank(rows=2, row_heights=[0.74, 0.26])
    for tier in held:
        figure.add_bar(
            x=starts,
            y=listed(wide[tier]),
            name=tier,
            marker={"color": program.colour(tier), "line": {"width": 0}},
            hovertemplate="%{x|%b %Y}, " + tier + ": <b>%{y:,}</b> members<extra></extra>",
            row=1,
            col=1,
        )
    figure.add_scatter(
        x=starts,
        y=listed(active["active_rate"]),
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
    start = first_row(
        connection,
        """
        select min(start_on)::timestamp as start_on
        from (select ($data_end::date - to_months(unnest($months)))::date as start_on) as choices
        where start_on >= (select min(valid_from) from tiers.tier_history where program_id = $program)
        """,
        {"data_end": context.data_end, "months": list(MOVE_MONTHS), "program": program.id},
    )["start_on"]
    if start is None:
        return f"Nobody has been a member for a month {by_data_end(context)}, so nobody can have moved."
    moves = queried(
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
    figure = blank()
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
    tiers = queried(
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
            sum(benefit_cost_amount)::double as benefit_cost_amount,
            sum(points_cost_amount)::double as points_cost_amount
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
        return no_complete_month(context)
    order = [tier for tier in (*program.tiers[::-1], "new") if tier in tiers.index]
    tiers = tiers.loc[order]
    measures = {
        "member_count": "Members",
        "net_amount": "Revenue",
        "margin_amount": "Margin",
        "benefit_cost_amount": "Benefits",
        "points_cost_amount": "Points",
    }
    # Shares say something where nobody's part is less than nothing.
    shares = {
        name: tiers[column].fillna(0) / tiers[column].sum()
        for column, name in measures.items()
        if tiers[column].sum() > 0 and not (tiers[column] < 0).any()
    }
    figure = blank()
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
    costs = tiers["benefit_cost_amount"].sum() + tiers["points_cost_amount"].sum()
    margin = tiers["margin_amount"].sum()
    if costs > 0:
        lead += f"; benefits and points cost {context.money(costs)}"
        lead += f", {percent(costs / margin)} of the margin" if margin > 0 else ""
    columns = (
        "Tier", "Member-months", "Active", "Retained", "Churned", "With pending", "Revenue", "A member and month",
        "Margin", "Benefits", "Points",
    )  # fmt: skip
    rows = tuple(
        (
            str(row.Index),
            count(row.member_count),
            *map(percent, (row.active_rate, row.retention_rate, row.churn_rate, row.possible_churn_rate)),
            *map(amount, (row.net_amount, row.member_net_amount, row.margin_amount)),
            *map(amount, (row.benefit_cost_amount, row.points_cost_amount)),
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
    ranks = queried(
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
