"""What charts of the report are made of: sections, tables, headline numbers, colours, and numbers as text.

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


MAX_MONTHS = 36  # bars of the accounting charts


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
class Spec:
    id: str
    title: str
    formula: str
    tables: tuple[str, ...]
    build: Callable[[duckdb.DuckDBPyConnection, Context], Chart | str]
    is_wide: bool = False
    is_open: bool = False


def has_table(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    schema, _, table = name.partition(".")
    found = connection.execute(
        "select 1 from information_schema.tables where table_schema = ? and table_name = ?", [schema, table]
    )
    return found.fetchone() is not None


def count(value: Any) -> str:
    return f"{int(value):,}" if is_known(value) else ""


def percent(value: Any) -> str:
    return f"{float(value):.1%}" if is_known(value) else ""


def amount(value: Any) -> str:
    return f"{float(value):,.2f}" if is_known(value) else ""


def ratio(value: Any) -> str:
    return f"{float(value):.2f}" if is_known(value) else ""


def is_known(value: Any) -> bool:
    return value is not None and value == value  # NaN is the one value that is not itself


def queried(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    return connection.execute(sql, parameters).df()


def first_row(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    cursor = connection.execute(sql, parameters)
    names = [column[0] for column in cursor.description]
    return dict(zip(names, cursor.fetchall()[0], strict=True))


def blank(rows: int = 1, **subplots: Any) -> go.Figure:
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


def add_flows(
    figure: go.Figure,
    months: Sequence[Any],
    frame: pd.DataFrame,
    flows: Sequence[tuple[str, str, str, int]],
    number_format: str = ",",
    **place: int,
) -> None:
    """Bars above and below zero by month, one trace per (column of the frame, name, colour, 1 or −1)."""
    for column, name, colour, sign in flows:
        figure.add_bar(
            x=months,
            y=listed(frame[column] * sign),
            customdata=listed(frame[column]),
            name=name,
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate="%{x|%b %Y}, " + name + ": <b>%{customdata:" + number_format + "}</b><extra></extra>",
            **place,
        )


def listed(values: pd.Series) -> list[float | None]:
    return [float(value) if is_known(value) else None for value in values]


def few(values: list[Any], most: int = 8) -> list[Any]:
    """At most `most` of the values, evenly spaced from the last backwards."""
    step = -(-len(values) // most)
    return values[::-1][::step][::-1]


def no_complete_month(context: Context) -> str:
    return f"The data covers no complete month {by_data_end(context)}."


def by_data_end(context: Context) -> str:
    return f"by {context.data_end:%d %B %Y}" if context.data_end else "yet"


def is_month_end(day: date) -> bool:
    from datetime import timedelta

    return (day + timedelta(days=1)).day == 1
