"""Charts of share of wallet: what we get, what goes elsewhere and whose it is, and how brands stand to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from orchestration.lib.report.charts import (
    BLUE,
    GREY,
    ORANGE,
    SKY,
    Chart,
    Context,
    Spec,
    Table,
    blank,
    by_data_end,
    count,
    is_known,
    listed,
    percent,
    queried,
    ratio,
)

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

MOST_CATEGORIES = 15
MOST_BRANDS = 12
MOST_PAIRED = 10  # a matrix of more cannot be read on a phone
_NO_WALLETS = (
    "No share is known: neither wallet_observations nor order lines of a panel (panel_period) say what is spent on "
    "which brand, or own_brands does not say which are ours."
)
# How much of a wallet is ours, in percent; up to the bound, and less than all.
_SHARES = ("none", "to 20", "to 40", "to 60", "to 80", "to 100", "all")
# Wallets are cut at these quantiles of their amounts; their names from the smallest.
_CUTS = (0.2, 0.4, 0.6, 0.8)
_FIFTHS = ("smallest fifth", "second fifth", "middle fifth", "fourth fifth", "largest fifth")


def specs() -> tuple[Spec, ...]:
    """The charts of share of wallet in their order."""
    return (
        Spec(
            "wallet-categories",
            "What we get of each category, and what goes elsewhere",
            "Share of money = Σ own ÷ Σ wallet; of customers = mean of own ÷ wallet. Both are of the customers whose "
            "wallet is known; coverage = these ÷ all customers.",
            ("wallet.wallet_shares",),
            _categories,
        ),
        Spec(
            "wallet-distribution",
            "How the shares are spread",
            "Wallets (one customer, one category) by own ÷ wallet, and what is spent in them.",
            ("wallet.wallet_shares", "wallet.customer_wallets"),
            _distribution,
        ),
        Spec(
            "wallet-opportunities",
            "Where the opportunity is",
            "Opportunity = wallet − own, by the size of the wallet (fifths of all wallets) and by the share that is "
            "ours. The greatest ones are listed in wallet.wallet_opportunities.",
            ("wallet.wallet_shares", "wallet.customer_wallets"),
            _opportunities,
        ),
        Spec(
            "double-jeopardy",
            "Do our brands do better than brands of their size",
            "Penetration b = buyers of the brand ÷ panel; purchase rate w = purchases ÷ buyers. Small brands have "
            "fewer buyers who buy it a little less often (double jeopardy). The line is what an NBD–Dirichlet fit to "
            "the category expects: a brand above it is bought more often than its size explains.",
            ("wallet.brand_panel",),
            _double_jeopardy,
        ),
        Spec(
            "duplication",
            "With whom we share our buyers",
            "Duplication = buyers of both brands ÷ buyers of the row’s brand. By the duplication of purchase law it is "
            "D × the penetration of the column’s brand: brands compete with each other in line with their size.",
            ("wallet.brand_panel", "wallet.brand_duplication"),
            _duplication,
            is_wide=True,
        ),
    )


@dataclass(frozen=True)
class _Scope:
    """The wallets of which the charts are: one provenance and its latest period that is over."""

    provenance: str
    start_on: date
    end_on: date

    @property
    def words(self) -> str:
        return f"{self.start_on:%d %B %Y} to {self.end_on:%d %B %Y}, {_PROVENANCES[self.provenance]}"

    @property
    def parameters(self) -> dict[str, Any]:
        return {"provenance": self.provenance, "start_on": self.start_on, "end_on": self.end_on}


_PROVENANCES = {
    "panel": "as a panel observed",
    "survey": "as a survey found",
    "modelled": "as modelled, each wallet at the upper end of what such customers spend",
}


def _scope(connection: duckdb.DuckDBPyConnection, context: Context) -> _Scope | None:
    """What was observed goes before what is modelled, and they are never in one chart."""
    found = connection.execute(
        """
        select provenance, period_start_on, period_end_on
        from wallet.wallet_shares
        where segment_name = 'all' and wallet_count > 0 and period_end_on <= $data_end
        order by list_position(['panel', 'survey', 'modelled'], provenance), period_end_on desc, period_start_on
        limit 1
        """,
        {"data_end": context.data_end},
    ).fetchone()
    return _Scope(*found) if found else None


def _categories(connection: duckdb.DuckDBPyConnection, context: Context) -> Chart | str:
    scope = _scope(connection, context)
    if scope is None:
        return _NO_WALLETS
    all_categories = queried(
        connection,
        """
        select category, own_amount::double as own_amount, (wallet_amount - own_amount)::double as elsewhere_amount,
            wallet_amount::double as wallet_amount, sow_ratio_of_sums, sow_mean_of_ratios, wallet_count, customer_count,
            coverage_rate
        from wallet.wallet_shares
        where segment_name = 'all' and provenance = $provenance and wallet_count > 0
            and period_start_on = $start_on and period_end_on = $end_on
        order by wallet_amount desc, category
        """,
        scope.parameters,
    )
    shown = all_categories.head(MOST_CATEGORIES)
    figure = blank()
    names = shown["category"].tolist()
    for column, name, colour in (("own_amount", "with us", BLUE), ("elsewhere_amount", "elsewhere", GREY)):
        figure.add_bar(
            y=names,
            x=listed(shown[column]),
            orientation="h",
            name=name,
            marker={"color": colour, "line": {"width": 0}},
            customdata=[percent(share) for share in shown["sow_ratio_of_sums"]],
            hovertemplate="%{y}, " + name + ": <b>%{x:,.0f}</b><br>our share %{customdata}<extra></extra>",
        )
    figure.update_layout(barmode="relative", bargap=0.3)
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
    figure.update_xaxes(title_text=f"Spent, {context.currency}".rstrip(", "), tickformat="~s", showgrid=True)
    own, wallet = all_categories["own_amount"].sum(), all_categories["wallet_amount"].sum()
    most = all_categories.loc[all_categories["elsewhere_amount"].idxmax()]
    categories = "1 category" if len(all_categories) == 1 else f"{count(len(all_categories))} categories"
    lead = (
        f"{scope.words}: of {context.money(wallet)} in {categories} {percent(own / wallet)} "
        f"is ours. Most goes elsewhere in {most['category']}: {context.money(most['elsewhere_amount'])}, our share "
        f"being {percent(most['sow_ratio_of_sums'])}."
    )
    rows = tuple(
        (
            row.category,
            f"{row.wallet_amount:,.2f}",
            f"{row.own_amount:,.2f}",
            percent(row.sow_ratio_of_sums),
            percent(row.sow_mean_of_ratios),
            count(row.wallet_count),
            percent(row.coverage_rate),
        )
        for row in shown.itertuples()
    )
    columns = ("Category", "Wallet", "With us", "Share of money", "Share of customers", "Wallets known", "Coverage")
    caption = "Wallets by category" + (f", the {MOST_CATEGORIES} largest" if len(all_categories) > len(shown) else "")
    return Chart(lead, figure, Table(caption, columns, rows), height=120 + 24 * len(shown))


def _distribution(connection: duckdb.DuckDBPyConnection, context: Context) -> Chart | str:
    scope = _scope(connection, context)
    if scope is None:
        return _NO_WALLETS
    bins = queried(
        connection,
        """
        select
            case
                when sow_rate <= 0 then 0
                when sow_rate >= 1 then 6
                else 1 + floor(sow_rate * 5)::integer
            end as place,
            count(*) as wallet_count, sum(wallet_amount)::double as wallet_amount
        from wallet.customer_wallets
        where sow_rate is not null and provenance = $provenance
            and period_start_on = $start_on and period_end_on = $end_on
        group by all
        """,
        scope.parameters,
    )
    bins = bins.set_index("place").reindex(range(len(_SHARES)), fill_value=0)
    of_wallets, of_money = (bins[name] / bins[name].sum() for name in ("wallet_count", "wallet_amount"))
    figure = blank()
    for shares, column, name, colour in (
        (of_wallets, "wallet_count", "of wallets", BLUE),
        (of_money, "wallet_amount", "of money", SKY),
    ):
        figure.add_bar(
            x=list(_SHARES),
            y=listed(shares),
            customdata=listed(bins[column]),
            name=name,
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate="ours %{x} %: <b>%{y:.1%}</b> " + name + " (%{customdata:,.0f})<extra></extra>",
        )
    figure.update_layout(barmode="group", bargap=0.25)
    figure.update_xaxes(title_text="Share of the wallet that is ours, %", type="category", tickangle=0)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    lead = (
        f"{scope.words}: {percent(of_wallets[0])} of {count(bins['wallet_count'].sum())} wallets give us nothing and "
        f"{percent(of_wallets[6])} everything; in money it is {percent(of_money[0])} and {percent(of_money[6])}."
    )
    rows = tuple(
        (
            name,
            count(bins.loc[place, "wallet_count"]),
            percent(of_wallets[place]),
            f"{bins.loc[place, 'wallet_amount']:,.2f}",
            percent(of_money[place]),
        )
        for place, name in enumerate(_SHARES)
    )
    columns = ("Ours", "Wallets", "Of all", "Spent", "Of all money")
    return Chart(lead, figure, Table("Wallets by the share that is ours", columns, rows), height=380)


def _opportunities(connection: duckdb.DuckDBPyConnection, context: Context) -> Chart | str:
    scope = _scope(connection, context)
    if scope is None:
        return _NO_WALLETS
    cells = queried(
        connection,
        """
        with wallets as (
            select wallet_amount, sow_rate, opportunity_amount
            from wallet.customer_wallets
            where sow_rate is not null and provenance = $provenance
                and period_start_on = $start_on and period_end_on = $end_on
        ),
        cuts as (
            select quantile_disc(wallet_amount, $cuts) as bounds
            from wallets
        )
        select
            len(list_filter(bounds, lambda bound: wallet_amount > bound)) as fifth,
            case
                when sow_rate <= 0 then 0
                else 1 + floor(sow_rate * 5)::integer
            end as place,
            count(*) as wallet_count, sum(opportunity_amount)::double as opportunity_amount,
            min(wallet_amount)::double as least
        from wallets
        cross join cuts
        where sow_rate < 1
        group by all
        """,
        {**scope.parameters, "cuts": list(_CUTS)},
    )
    total = cells["opportunity_amount"].sum()
    if not total:
        return f"{scope.words}: nothing goes elsewhere."
    fifths, places = sorted(cells["fifth"].unique(), reverse=True), range(len(_SHARES) - 1)
    amounts, wallets = (
        cells.pivot_table(index="fifth", columns="place", values=name, fill_value=0).reindex(
            index=fifths, columns=places, fill_value=0
        )
        for name in ("opportunity_amount", "wallet_count")
    )
    labels = [f"{_FIFTHS[fifth]}<br>from {cells[cells['fifth'] == fifth]['least'].min():,.2f}" for fifth in fifths]
    figure = blank()
    figure.add_heatmap(
        z=amounts.to_numpy().tolist(),
        x=list(_SHARES[:-1]),
        y=labels,
        text=[[_short(value) if value else "" for value in row] for row in amounts.to_numpy()],
        texttemplate="%{text}",
        customdata=wallets.to_numpy().tolist(),
        hovertemplate="%{y}<br>ours %{x} %<br><b>%{z:,.0f}</b> elsewhere, %{customdata:,} wallets<extra></extra>",
        coloraxis="coloraxis",
        xgap=2,
        ygap=2,
    )
    figure.update_layout(coloraxis={"cmin": 0, "showscale": False})
    figure.update_xaxes(title_text="Share of the wallet that is ours, %", type="category", tickangle=0, showgrid=False)
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
    largest, untapped = amounts.iloc[0].sum(), amounts[0].sum()
    lead = (
        f"{scope.words}: {context.money(total)} goes elsewhere, {percent(largest / total)} of it from the largest "
        f"fifth of wallets and {percent(untapped / total)} from wallets of which we have nothing."
    )
    rows = tuple(
        (_FIFTHS[fifth], *(f"{amounts.loc[fifth, place]:,.2f}" for place in places), count(wallets.loc[fifth].sum()))
        for fifth in fifths
    )
    columns = ("Wallets", *_SHARES[:-1], "Number")
    return Chart(lead, figure, Table("Spent elsewhere, by size of the wallet and our share", columns, rows), height=380)


def _double_jeopardy(connection: duckdb.DuckDBPyConnection, context: Context) -> Chart | str:
    category = _category(connection, context)
    if category is None:
        return f"Of no category is it known how often enough buyers bought which brand {by_data_end(context)}."
    brands = _brands(connection, category, MOST_BRANDS)
    norms = brands.sort_values(["expected_penetration_rate", "expected_purchase_rate"])
    figure = blank()
    figure.add_scatter(
        x=listed(norms["expected_penetration_rate"]),
        y=listed(norms["expected_purchase_rate"]),
        customdata=norms["label"].tolist(),
        name="expected",
        mode="lines+markers",
        line={"color": ORANGE, "width": 2, "dash": "dot"},
        marker={"size": 4},
        hovertemplate="%{customdata}, expected: bought by %{x:.1%}, <b>%{y:.2f}</b> times<extra></extra>",
    )
    for is_own, name, colour in ((False, "other brands", GREY), (True, "our brands", BLUE)):
        group = brands[brands["is_own"] == is_own]
        figure.add_scatter(
            x=listed(group["penetration_rate"]),
            y=listed(group["purchase_rate"]),
            customdata=group["label"].tolist(),
            name=name,
            mode="markers",
            marker={"size": 10, "color": colour},
            hovertemplate="%{customdata}: bought by %{x:.1%}, <b>%{y:.2f}</b> times<extra></extra>",
        )
    figure.update_xaxes(title_text="Penetration", tickformat=".0%", rangemode="tozero", showgrid=True)
    figure.update_yaxes(title_text="Purchases per buyer")
    named = brands[brands["is_own"]] if brands["is_own"].any() else brands
    first = named.iloc[0]
    lead = (
        f"{category.words}: {first['label']} is bought by {percent(first['penetration_rate'])} of the panel, "
        f"{ratio(first['purchase_rate'])} times each; of a brand of its size {ratio(first['expected_purchase_rate'])} "
        f"times would be expected. Its buyers give it {percent(first['scr_rate'])} of what they buy of the category "
        f"({percent(first['expected_scr_rate'])} expected), and {percent(first['sole_rate'])} buy nothing else "
        f"({percent(first['expected_sole_rate'])})."
    )
    measures = (("penetration_rate", percent), ("purchase_rate", ratio), ("scr_rate", percent), ("sole_rate", percent))
    rows = tuple(
        (
            str(row["label"]),
            count(row["buyer_count"]),
            *(shown(row[name]) for measure, shown in measures for name in (measure, f"expected_{measure}")),
        )
        for _, row in brands.iterrows()
    )
    of_measures = (
        name for measure in ("Bought by", "Times", "Share of needs", "Sole") for name in (measure, "Expected")
    )
    columns = ("Brand", "Buyers", *of_measures)
    return Chart(lead, figure, Table(f"Brands of {category.name}, most bought first", columns, rows), height=400)


def _duplication(connection: duckdb.DuckDBPyConnection, context: Context) -> Chart | str:
    category = _category(connection, context)
    if category is None:
        return f"Of no category is it known how often enough buyers bought which brand {by_data_end(context)}."
    pairs = queried(
        connection,
        f"""
        select brand, other_brand, both_count, buyer_count, duplication_rate, duplication_ratio,
            expected_duplication_rate
        from wallet.brand_duplication
        where {_OF_CATEGORY}
        """,
        category.parameters,
    )
    paired = set(pairs["brand"])
    brands = _brands(connection, category, MOST_PAIRED, paired)
    if len(brands) < 2:
        return f"{category.words}: fewer than two brands have buyers."
    labels = dict(zip(brands["brand"], brands["label"], strict=True))
    cells = {(row.brand, row.other_brand): row for row in pairs.itertuples()}
    grid = [[cells.get((brand, other)) for other in labels] for brand in labels]
    figure = blank()
    figure.add_heatmap(
        z=[[cell and float(cell.duplication_rate) for cell in row] for row in grid],
        x=list(labels.values()),
        y=list(labels.values()),
        text=[[f"{cell.duplication_rate:.0%}" if cell else "" for cell in row] for row in grid],
        texttemplate="%{text}",
        customdata=[[cell and _duplicated(cell) for cell in row] for row in grid],
        hovertemplate="of the buyers of %{y}, <b>%{z:.1%}</b> bought %{x}<br>%{customdata}<extra></extra>",
        hoverongaps=False,
        coloraxis="coloraxis",
        xgap=2,
        ygap=2,
    )
    figure.update_layout(coloraxis={"cmin": 0, "showscale": False}, margin={"l": 8, "r": 8, "t": 52, "b": 8})
    figure.update_xaxes(side="top", showgrid=False, type="category", ticks="")
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category", ticks="")
    known = pairs[pairs["duplication_ratio"].notna()]
    law = f" D = {ratio(known['duplication_ratio'].iloc[0])}." if len(known) else ""
    most = max(
        (cell for row in grid for cell in row if cell and is_known(cell.expected_duplication_rate)),
        key=lambda cell: cell.duplication_rate - cell.expected_duplication_rate,
        default=None,
    )
    lead = f"{category.words}.{law}" + (
        f" Closer than their sizes explain are {labels[most.brand]} and {labels[most.other_brand]}: "
        f"{percent(most.duplication_rate)} of the buyers of the first bought the second, "
        f"{percent(most.expected_duplication_rate)} would be expected."
        if most
        else ""
    )
    rows = tuple(
        (label, *(percent(cell.duplication_rate) if cell else "" for cell in row))
        for label, row in zip(labels.values(), grid, strict=True)
    )
    table = Table(
        f"Of the buyers of a brand of {category.name}, who bought another, too", ("Brand", *labels.values()), rows
    )
    return Chart(lead, figure, table, height=120 + 34 * len(labels), min_width=640)


_OF_CATEGORY = (
    "category = $category and provenance = $provenance and period_start_on = $start_on and period_end_on = $end_on"
)


@dataclass(frozen=True)
class _Category:
    """The category that stands for the others: of those with norms and a brand of ours, the most bought one."""

    name: str
    scope: _Scope

    @property
    def words(self) -> str:
        return f"{self.name}, {self.scope.words}"

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"category": self.name, **self.scope.parameters}


def _category(connection: duckdb.DuckDBPyConnection, context: Context) -> _Category | None:
    found = connection.execute(
        """
        select category, provenance, period_start_on, period_end_on
        from wallet.brand_panel
        where expected_purchase_rate is not null and period_end_on <= $data_end
        group by all
        order by period_end_on desc, period_start_on, coalesce(bool_or(is_own), false) desc,
            max(category_purchase_count) desc, category
        limit 1
        """,
        {"data_end": context.data_end},
    ).fetchone()
    return _Category(found[0], _Scope(*found[1:])) if found else None


def _brands(
    connection: duckdb.DuckDBPyConnection, category: _Category, most: int, among: set[str] | None = None
) -> pd.DataFrame:
    """The most bought brands, and of ours the first, which may be a small one; most bought first."""
    brands = queried(
        connection,
        f"""
        select brand, coalesce(is_own, false) as is_own, buyer_count, penetration_rate, purchase_rate, scr_rate,
            sole_rate, expected_penetration_rate, expected_purchase_rate, expected_scr_rate, expected_sole_rate
        from wallet.brand_panel
        where {_OF_CATEGORY} and buyer_count > 0
        order by buyer_count desc, brand
        """,
        category.parameters,
    )
    if among is not None:
        brands = brands[brands["brand"].isin(among)]
    first = brands.head(most)
    if not first["is_own"].any():
        first = brands[brands.index.isin([*first.index[:-1], *brands[brands["is_own"]].index[:1]])]
    return first.assign(label=[f"{row.brand} (ours)" if row.is_own else row.brand for row in first.itertuples()])


def _duplicated(cell: Any) -> str:
    expected = cell.expected_duplication_rate
    return f"{cell.both_count:,} of {cell.buyer_count:,}" + (f"; {expected:.1%} expected" if is_known(expected) else "")


def _short(value: float) -> str:
    """An amount in three or four characters."""
    for bound, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= bound:
            return f"{value / bound:.3g}{unit}"
    return f"{value:.0f}"
