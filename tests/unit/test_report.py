"""The report's numbers, words and page, from small marts whose answers can be worked out by hand."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.lib.report import figures, quality, render_report
from orchestration.lib.report.charts import Chart, Context, Section

SCHEMA = """
create schema core; create schema retention; create schema tiers; create schema quality;
create schema wallet;
create table core.dim_customers (customer_id text, order_count bigint, purchase_day_count bigint);
create table core.fct_orders (net_amount decimal(18, 2), is_identified boolean, is_valid_sale boolean);
create table retention.retention_cohorts (
    period_grain text, retention_mode text, segment_name text, segment_value text, cohort_start_on date,
    cohort_label text, period_index bigint, cohort_size bigint, eligible_count bigint, active_count bigint,
    active_on_or_after_count bigint, retention_rate double, is_left_truncated boolean
);
create table retention.growth_accounting (
    period_grain text, period_start_on date, active_count bigint, new_count bigint, retained_count bigint,
    resurrected_count bigint, churned_count bigint, quick_ratio double, revenue_amount decimal(18, 2),
    new_amount decimal(18, 2), resurrected_amount decimal(18, 2), expansion_amount decimal(18, 2),
    contraction_amount decimal(18, 2), churned_amount decimal(18, 2), is_left_truncated boolean, is_complete boolean
);
create table retention.net_revenue_retention (
    "window" text, window_end_on date, base_count bigint, base_amount decimal(18, 2), kept_amount decimal(18, 2),
    nrr_rate double, grr_rate double, new_amount decimal(18, 2), resurrected_amount decimal(18, 2)
);
create table retention.repeat_purchase_curves (
    from_purchase_number integer, days_since bigint, at_risk_count bigint, survival_rate double, lower_rate double,
    upper_rate double
);
create table retention.revenue_by_cohort (cohort_month date, "month" date, net_amount decimal(18, 2));
create table tiers.tier_history (
    program_id text, customer_id text, tier text, tier_rank bigint, valid_from date, valid_to date
);
create table tiers.tier_movements (
    program_id text, "month" date, from_tier text, to_tier text, member_count bigint, is_complete boolean
);
create table tiers.tier_economics (
    program_id text, "month" date, tier text, member_count bigint, active_count bigint, buyer_count bigint,
    retention_rate double, base_count bigint, churned_count bigint, pending_count bigint, net_amount decimal(18, 2),
    margin_amount decimal(18, 2), benefit_cost_amount decimal(18, 2), is_complete boolean,
    points_cost_amount decimal(18, 2)
);
create table tiers.points_rollforward (
    program_id text, "month" date, opening_points bigint, earned_points bigint, adjusted_points bigint,
    reinstated_points bigint, redeemed_points bigint, expired_points bigint, reversed_points bigint,
    closing_points bigint, debt_points bigint
);
create table tiers.points_liability (
    program_id text, vintage_month date, issued_points bigint, redeemed_points bigint, expired_points bigint,
    withdrawn_points bigint, outstanding_points bigint, expected_redemption_rate double,
    outstanding_redemption_rate double, breakage_rate double, liability_amount decimal(18, 2),
    deferred_amount decimal(18, 2)
);
create table wallet.wallet_shares (
    period_start_on date, period_end_on date, category text, segment_name text, provenance text,
    own_amount decimal(18, 2), wallet_amount decimal(18, 2), sow_ratio_of_sums double, sow_mean_of_ratios double,
    wallet_count bigint, customer_count bigint, coverage_rate double
);
create table wallet.customer_wallets (
    customer_id text, period_start_on date, period_end_on date, category text, provenance text,
    wallet_amount decimal(18, 2), sow_rate double, opportunity_amount decimal(18, 2)
);
create table wallet.brand_panel (
    period_start_on date, period_end_on date, category text, brand text, provenance text, is_own boolean,
    category_purchase_count bigint, buyer_count bigint, penetration_rate double, purchase_rate double, scr_rate double,
    sole_rate double, expected_penetration_rate double, expected_purchase_rate double, expected_scr_rate double,
    expected_sole_rate double
);
create table wallet.brand_duplication (
    period_start_on date, period_end_on date, category text, brand text, other_brand text, provenance text,
    both_count bigint, buyer_count bigint, duplication_rate double, duplication_ratio double,
    expected_duplication_rate double
);
create table quality.load_accounting (
    load_id text, table_name text, rows_read bigint, accepted_count bigint, quarantined_count bigint,
    copy_count bigint, superseded_count bigint, filtered_count bigint, erased_count bigint
);
create table quality.quarantine_summary (load_id text, table_name text, reason text, row_count bigint);
"""

# Cohorts of 10 and 20 customers; of the second, month 2 has not elapsed. Other grains and segments must stay out.
ROWS = """
insert into core.dim_customers values ('a', 3, 2), ('b', 1, 1), ('c', 1, 1), ('d', 0, 0);
insert into core.fct_orders values (10.25, true, true), (5, false, true), (-3, true, true), (0, true, false);
insert into retention.retention_cohorts values
    ('month', 'calendar', 'all', 'all', '2024-01-01', '2024-01', 0, 10, 10, 10, 10, 1.0, true),
    ('month', 'calendar', 'all', 'all', '2024-01-01', '2024-01', 1, 10, 10, 4, 6, 0.4, true),
    ('month', 'calendar', 'all', 'all', '2024-01-01', '2024-01', 2, 10, 10, 3, 3, 0.3, true),
    ('month', 'calendar', 'all', 'all', '2024-01-01', '2024-01', 3, 10, 0, null, null, null, true),
    ('month', 'calendar', 'all', 'all', '2024-02-01', '2024-02', 0, 20, 20, 20, 20, 1.0, false),
    ('month', 'calendar', 'all', 'all', '2024-02-01', '2024-02', 1, 20, 20, 2, 5, 0.1, false),
    ('month', 'calendar', 'all', 'all', '2024-02-01', '2024-02', 2, 20, 0, null, null, null, false),
    ('month', 'rolling', 'all', 'all', '2024-01-01', '2024-01', 1, 10, 10, 9, 9, 0.9, true),
    ('month', 'calendar', 'channel', 'web', '2024-01-01', '2024-01', 1, 5, 5, 5, 5, 1.0, true),
    ('week', 'calendar', 'all', 'all', '2024-01-01', '2024-W01', 1, 10, 10, 9, 9, 0.9, true);
insert into retention.growth_accounting values
    ('month', '2024-01-01', 10, 10, 0, 0, 0, null, 100, 100, 0, 0, 0, 0, true, true),
    ('month', '2024-02-01', 24, 20, 4, 0, 6, 3.33, 250, 200, 0, 20, 10, 60, false, true),
    ('month', '2024-03-01', 5, 0, 5, 0, null, null, 30, 0, 0, null, null, null, false, false),
    ('week', '2024-02-05', 77, 77, 0, 0, 0, null, 1, 1, 0, 0, 0, 0, false, true);
insert into retention.net_revenue_retention values
    ('month', '2024-01-31', null, null, null, null, null, 100, 0),
    ('month', '2024-02-29', 10, 100, 30, 0.5, 0.3, 200, 0),
    ('quarter', '2024-03-31', 8, 80, 60, 1.25, 0.75, 10, 0),
    ('trailing_12_months', '2024-02-29', null, null, null, null, null, 0, 0);
insert into retention.repeat_purchase_curves values
    (1, 0, 30, 1.0, 1.0, 1.0), (1, 10, 30, 0.8, 0.7, 0.9), (1, 40, 12, 0.45, 0.3, 0.6), (1, 70, 2, 0.45, 0.3, 0.6),
    (2, 0, 9, 1.0, 1.0, 1.0), (2, 25, 9, 0.7, 0.4, 0.9);
insert into retention.revenue_by_cohort values
    ('2024-01-01', '2024-01-01', 100), ('2024-01-01', '2024-02-01', 50), ('2024-02-01', '2024-02-01', 200);
insert into tiers.tier_history values
    ('club', 'a', 'base', 0, '2024-01-05', '2024-02-20'), ('club', 'a', 'gold', 1, '2024-02-20', null),
    ('club', 'b', 'gold', 1, '2024-01-10', '2024-03-01'), ('club', 'b', 'base', 0, '2024-03-01', null),
    ('club', 'c', 'base', 0, '2024-02-16', null), ('club', 'd', 'base', 0, '2024-01-05', null),
    ('crew', 'a', 'mate', 0, '2023-01-05', null), ('crew', 'b', 'mate', 0, '2023-01-05', null);
insert into tiers.tier_movements values
    ('club', '2024-01-01', 'new', 'base', 2, true), ('club', '2024-01-01', 'new', 'gold', 1, true),
    ('club', '2024-02-01', 'base', 'base', 1, true), ('club', '2024-02-01', 'base', 'gold', 1, true),
    ('club', '2024-02-01', 'gold', 'gold', 1, true), ('club', '2024-02-01', 'new', 'base', 1, true),
    ('club', '2024-03-01', 'base', 'base', 2, false), ('club', '2024-03-01', 'gold', 'gold', 2, false),
    ('crew', '2024-02-01', 'new', 'mate', 2, true);
insert into tiers.tier_economics values
    ('club', '2024-01-01', 'new', 3, 3, 3, null, 0, 0, 0, 30, null, 0, true, 0),
    ('club', '2024-02-01', 'base', 2, 1, 1, 0.5, 2, 0, 1, 20, 8, 0, true, 1),
    ('club', '2024-02-01', 'gold', 1, 1, 1, 1.0, 1, 0, 0, 50, 20, 7, true, 0.5),
    ('club', '2024-02-01', 'new', 1, 1, 1, null, 0, 0, 0, 0, 0, 0, true, 0),
    ('club', '2024-03-01', 'gold', 2, null, 1, null, 2, 0, 0, 9, 9, 14, false, 5),
    ('crew', '2024-02-01', 'new', 2, 2, 2, null, 0, 0, 0, 99, 99, 99, true, 9);
insert into tiers.points_rollforward values
    ('club', '2024-01-01', 0, 500, 0, 0, 100, 0, 0, 400, 0), ('club', '2024-02-01', 400, 0, 0, 0, 0, 150, 50, 200, 30),
    ('crew', '2024-01-01', 0, 10, 0, 0, 0, 0, 0, 10, 0);
insert into tiers.points_liability values
    ('club', '2023-12-01', 80, 60, 20, 0, 0, 0.75, null, 0.25, 0, 0),
    ('club', '2024-01-01', 500, 100, 150, 50, 200, 0.5, 0.625, null, 1.25, 2.5),
    ('crew', '2024-01-01', 10, 0, 0, 0, 10, 1.0, 1.0, null, 9, 9);
insert into wallet.wallet_shares values
    ('2023-10-01', '2023-12-31', 'tea', 'all', 'panel', 40, 100, 0.4, 0.3, 4, 10, 0.4),
    ('2023-10-01', '2023-12-31', 'hats', 'all', 'panel', 0, 50, 0, 0, 1, 10, 0.1),
    ('2023-10-01', '2023-12-31', 'hats', 'channel', 'panel', 0, 50, 0, 0, 1, 5, 0.2),
    ('2023-07-01', '2023-09-30', 'tea', 'all', 'panel', 9, 9, 1, 1, 1, 10, 0.1),
    ('2024-01-01', '2024-03-31', 'tea', 'all', 'panel', 9, 9, 1, 1, 1, 10, 0.1),
    ('2023-10-01', '2023-12-31', 'tea', 'all', 'modelled', 1, 999, 0, 0, 9, 10, 0.9);
insert into wallet.customer_wallets values
    ('a', '2023-10-01', '2023-12-31', 'tea', 'panel', 60, 0.5, 30),
    ('b', '2023-10-01', '2023-12-31', 'tea', 'panel', 25, 0.2, 20),
    ('c', '2023-10-01', '2023-12-31', 'tea', 'panel', 5, 1, 0),
    ('d', '2023-10-01', '2023-12-31', 'tea', 'panel', 10, 0, 10),
    ('a', '2023-10-01', '2023-12-31', 'hats', 'panel', 50, 0, 50),
    ('b', '2023-10-01', '2023-12-31', 'hats', 'panel', 0, null, 0),
    ('c', '2023-10-01', '2023-12-31', 'tea', 'modelled', 999, 0, 999),
    ('a', '2024-01-01', '2024-03-31', 'tea', 'panel', 9, 1, 0);
insert into wallet.brand_panel values
    ('2023-10-01', '2023-12-31', 'tea', 'x', 'panel', false, 90, 20, 0.4, 2.5, 0.6, 0.3, 0.41, 2.4, 0.55, 0.25),
    ('2023-10-01', '2023-12-31', 'tea', 'us', 'panel', true, 90, 10, 0.2, 3.0, 0.5, 0.2, 0.19, 2.2, 0.4, 0.1),
    ('2023-10-01', '2023-12-31', 'tea', 'y', 'panel', false, 90, 0, 0, null, null, null, null, null, null, null),
    ('2023-10-01', '2023-12-31', 'pipes', 'z', 'panel', false, 900, 30, 0.6, 2, 0.6, 0.3, 0.4, 2, 0.5, 0.2),
    ('2023-10-01', '2023-12-31', 'hats', 'us', 'panel', true, 999, 3, 0.1, 2, 0.6, 0.3, null, null, null, null);
insert into wallet.brand_duplication values
    ('2023-10-01', '2023-12-31', 'tea', 'x', 'us', 'panel', 5, 20, 0.25, 1.2, 0.24),
    ('2023-10-01', '2023-12-31', 'tea', 'us', 'x', 'panel', 5, 10, 0.5, 1.2, 0.48);
insert into quality.load_accounting values
    ('1', 'orders', 105, 90, 4, 3, 2, 1, 5), ('2', 'orders', 10, 10, 0, 0, 0, 0, 0),
    ('1', 'customers', 7, 7, 0, 0, 0, 0, 0);
insert into quality.quarantine_summary values ('1', 'orders', 'no <b>date</b> & </script><script>alert(1)</script>', 4);
"""

INFO: dict[str, Any] = {
    "dataset": "shop",
    "version": 7,
    "created_at": "2024-03-16T03:00:00+00:00",
    "data_start": "2024-01-01",
    "data_end": "2024-03-15",
    "reporting_currency": "EUR",
    "business_timezone": "Europe/Berlin",
    "is_synthetic": False,
    "code": {"tenure": "0.1.0"},
    "data_docs": "data_docs/index.html",
    "checks": [
        {"name": "one", "table": "core.fct_orders", "tool": "dbt", "passed": True, "is_blocking": True, "observed": ""},
        {"name": "usual", "table": "", "tool": "gx", "passed": False, "is_blocking": False, "observed": "9 of 10"},
    ],
}  # fmt: skip


@pytest.fixture
def marts(tmp_path: Path) -> Path:
    path = tmp_path / "marts.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(SCHEMA + ROWS)
    return path


@pytest.fixture
def built(marts: Path) -> dict[str, Section]:
    with duckdb.connect(str(marts), read_only=True) as connection:
        found = figures.sections(connection, Context(data_end=date(2024, 3, 15), currency="EUR"))
    return {section.id: section for section in found}


def chart(section: Section) -> Chart:
    assert section.chart is not None, section.empty
    return section.chart


def render(marts: Path, **changes: Any) -> str:
    out = marts.with_name("report.html")
    render_report(marts, out, manifest_info={**INFO, **changes})
    return out.read_text(encoding="utf-8")


class Page(HTMLParser):
    """Ids, headings, scripts and whatever could make the browser ask for something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[tuple[str, str]] = []
        self.headings: list[str] = []
        self.references: list[str] = []
        self.tags: list[str] = []
        self.policy = ""
        self.language = ""
        self._open: tuple[str, str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.references += [given[name] for name in ("src", "href") if name in given]
        if tag == "html":
            self.language = given["lang"]
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]
        if tag == "script" or re.fullmatch("h[1-6]", tag):
            self._open = (tag, given.get("type", ""))

    def handle_data(self, data: str) -> None:
        if self._open and self._open[0] == "script":
            self.scripts.append((self._open[1], data))
        elif self._open:
            self.headings.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._open = None


def test_headlines_are_the_marts_numbers_with_what_they_are_made_of(marts: Path) -> None:
    with duckdb.connect(str(marts), read_only=True) as connection:
        found = figures.headlines(connection, Context(date(2024, 3, 15), "EUR"))
    assert {each.label: (each.value, each.detail) for each in found} == {
        "Customers": ("3", "with at least one purchase"),
        "One-time buyers": ("66.7%", "2 customers with a single purchase day"),
        "Orders": ("3", "1 of them by guests"),
        "Revenue, EUR": ("12.25", "net of refunds"),
        "Active, February 2024": ("24", "20 new"),
        "Retained, February 2024": ("40.0%", "4 of 10 active the month before"),
        "NRR": ("125.0%", "quarter to 31 Mar 2024"),
        "GRR": ("75.0%", "quarter to 31 Mar 2024"),
    }


def test_the_heatmap_leaves_cells_blank_that_cannot_be_known(built: dict[str, Section]) -> None:
    heatmap = chart(built["cohorts"]).figure.data[0]
    assert [list(row) for row in heatmap.z] == [[0.4, 0.3], [0.1, None]]
    assert [list(row) for row in heatmap.text] == [["40.0%", "30.0%"], ["10.0%", ""]]
    assert heatmap.customdata[0][0] == "4 of 10"
    assert list(heatmap.x) == [1, 2]
    assert list(heatmap.y) == ["2024-01 · 10", "2024-02 · 20"]
    assert chart(built["cohorts"]).table.rows == (("2024-01", "10", "40.0%", "30.0%"), ("2024-02", "20", "10.0%", ""))
    assert chart(built["cohorts"]).lead == (
        "Of 30 customers whose first month after the purchase month has elapsed, 20.0% bought in it again. "
        "A row is the month of the first purchase, with its number of customers. "
        "2024-01, where the data begins, may hold customers of earlier months."
    )


def test_the_pooled_curve_is_the_sum_of_numerators_over_the_sum_of_eligible(built: dict[str, Section]) -> None:
    on, on_or_after = chart(built["retention-curve"]).figure.data
    assert list(on.y) == pytest.approx([6 / 30, 3 / 10])
    assert list(on_or_after.y) == pytest.approx([11 / 30, 3 / 10])
    assert list(on.customdata) == ["6 of 30", "3 of 10"]


def test_growth_shows_complete_months_only_and_says_where_history_is_cut_off(built: dict[str, Section]) -> None:
    heads = {trace.name: list(trace.y) for trace in chart(built["growth"]).figure.data}
    assert heads == {
        "retained": [0, 4],
        "new": [10, 20],
        "resurrected": [0, 0],
        "churned": [0, -6],
        "quick ratio": [None, 3.33],
    }
    assert "In January 2024, where the data begins, all count as new" in chart(built["growth"]).lead
    money = {trace.name: list(trace.y) for trace in chart(built["growth-money"]).figure.data}
    assert money["net change"] == [100, 150]  # R(t) - R(t-1): 100 from nothing, then 250
    assert (money["contraction"], money["churned"]) == ([0, -10], [0, -60])


def test_revenue_retention_takes_the_longest_window_that_is_known(built: dict[str, Section]) -> None:
    net, gross = chart(built["nrr"]).figure.data
    assert (list(net.y), list(gross.y)) == ([1.25], [0.75])
    assert chart(built["nrr"]).lead.startswith("Quarter to 31 March 2024: 8 customers of the quarter before")


def test_repeat_curves_turn_survival_over_and_give_the_median_only_where_it_is_reached(
    built: dict[str, Section],
) -> None:
    repeat = chart(built["repeat"])
    assert repeat.lead == "Median time to the next purchase day: from 1st to 2nd 40 days, from 2nd to 3rd not reached."
    low, high, middle = repeat.figure.data[:3]
    assert list(middle.y) == pytest.approx([0, 0.2, 0.55, 0.55])
    assert all(a <= b <= c for a, b, c in zip(low.y, middle.y, high.y, strict=True))
    assert repeat.table.rows[0] == ("from 1st to 2nd", "40 days", "0.0%", "20.0%", "55.0%", "", "", "")


def test_revenue_is_stacked_by_cohort(built: dict[str, Section]) -> None:
    c3 = chart(built["c3"])
    assert {trace.name: list(trace.y) for trace in c3.figure.data} == {"2024-01": [100, 50], "2024-02": [0, 200]}
    assert c3.lead == (
        "Customers first seen in 2024-01 brought EUR 150 of EUR 350, 42.9%. "
        "The last month ends on 15 March 2024 and is not complete."
    )


@pytest.mark.parametrize(("months", "bands", "first"), [(12, 12, "2020-01"), (13, 5, "2020-Q1"), (60, 5, "2020")])
def test_many_cohorts_are_stacked_by_quarter_or_year(months: int, bands: int, first: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(SCHEMA)
        connection.execute("""
            insert into retention.revenue_by_cohort
            select (date '2020-01-01' + to_months(i::integer))::date, date '2025-01-01', 1 from range(?) as numbers (i)
        """, [months])  # fmt: skip
        found = figures.sections(connection, Context(date(2025, 1, 31), ""))
    traces = chart(next(section for section in found if section.id == "c3")).figure.data
    assert (len(traces), traces[0].name, sum(trace.y[0] for trace in traces)) == (bands, first, months)


def test_members_are_stacked_by_the_tier_at_the_end_of_the_month(built: dict[str, Section]) -> None:
    tiers = chart(built["tiers"])
    assert {trace.name: list(trace.y) for trace in tiers.figure.data} == {
        "base": [2, 2],
        "gold": [1, 2],
        "active membership rate": [1.0, 0.75],
    }
    assert tiers.lead == (
        "February 2024: 4 members, 75.0% of them active; 2 gold, 2 base. Shown is the programme club, the largest of 2."
    )
    assert tiers.table.rows[-1] == ("2024-02", "2", "2", "4", "3", "75.0%")


def test_movements_look_back_as_far_as_there_are_members(built: dict[str, Section]) -> None:
    """Three months back nobody was one."""
    moves = chart(built["tier-moves"])
    assert moves.lead == (
        "Of 3 members on 15 February 2024, 33.3% hold the same tier on 15 March 2024, 33.3% a higher and 33.3% a lower "
        "one; 1 joined since. Shown is the programme club, the largest of 2."
    )
    assert moves.table.columns == ("On 2024-02-15", "gold", "base", "Members")
    assert moves.table.rows == (("gold", "0", "1", "1"), ("base", "1", "1", "2"), ("new", "0", "1", "1"))
    bands = {trace.text: trace for trace in moves.figure.data if trace.fill}
    assert {text: band.name for text, band in bands.items()} == {
        "gold → base: <b>1</b> members": "fell",
        "base → gold: <b>1</b> members": "rose",
        "base → base: <b>1</b> members": "same tier",
        "new → base: <b>1</b> members": "new",
    }
    layout = moves.figure.layout
    assert (layout.yaxis.ticktext, layout.yaxis2.ticktext) == (("gold 1", "base 2", "new 1"), ("gold 1", "base 3"))
    # Each as thick as its members, from the top of where it begins to the bottom of where it ends.
    thickness = (1 - 2 * 0.035) / 4
    rising = bands["base → gold: <b>1</b> members"]
    assert (rising.x[0], rising.x[20], rising.x[-1]) == (0, 1, 0)
    assert [rising.y[place] for place in (0, 20, 21, -1)] == pytest.approx(
        [thickness + 0.035, 0, thickness, 2 * thickness + 0.035]
    )


def test_tier_economics_are_sums_over_complete_months_and_rates_of_them(built: dict[str, Section]) -> None:
    economics = chart(built["tier-economics"])
    assert economics.lead == (
        "January 2024 to February 2024: gold, 14.3% of the member-months, brought 50.0% of the revenue; "
        "benefits and points cost EUR 8, 30.4% of the margin. Shown is the programme club, the largest of 2."
    )
    assert economics.table.rows == (
        ("gold", "1", "100.0%", "100.0%", "0.0%", "0.0%", "50.00", "50.00", "20.00", "7.00", "0.50"),
        ("base", "2", "50.0%", "50.0%", "0.0%", "50.0%", "20.00", "10.00", "8.00", "0.00", "1.00"),
        ("new", "4", "100.0%", "", "", "", "30.00", "7.50", "0.00", "0.00", "0.00"),
    )
    shares = {trace.name: dict(zip(trace.y, trace.x, strict=True)) for trace in economics.figure.data}
    assert list(shares["gold"]) == ["Members", "Revenue", "Margin", "Benefits", "Points"]
    for measure in shares["gold"]:
        assert sum(share[measure] for share in shares.values()) == pytest.approx(1)
    assert built["tier-economics"].is_open


def test_points_move_and_the_balance_is_drawn_beside_it(built: dict[str, Section]) -> None:
    moves = chart(built["points-moves"])
    assert moves.lead == (
        "February 2024: 200 points are outstanding; 0 were earned, 0 redeemed and 150 expired. Members owe 30."
    )
    assert {trace.name: list(trace.y) for trace in moves.figure.data} == {
        "earned": [500, 0], "redeemed": [-100, 0], "expired": [0, -150], "reversed": [0, -50], "outstanding": [400, 200]
    }  # fmt: skip
    assert moves.table.rows[-1] == ("2024-02", "400", "0", "0", "0", "0", "150", "50", "200", "30")


def test_what_becomes_of_points_adds_up_to_what_was_given(built: dict[str, Section]) -> None:
    liability = chart(built["points-liability"])
    assert liability.lead == (
        "200 points are outstanding, of which 62.5% are expected to be redeemed; that will cost EUR 1. "
        "Deferred revenue is EUR 2."
    )
    fates = {trace.name: list(trace.y) for trace in liability.figure.data}
    assert fates["to be redeemed"] == [0, 125]
    assert [sum(parts) for parts in zip(*fates.values(), strict=True)] == [80, 500]
    assert liability.table.rows == (
        ("2023-12", "80", "0", "75.0%", "", "25.0%", "0.00", "0.00"),
        ("2024-01", "500", "200", "50.0%", "62.5%", "", "1.25", "2.50"),
    )


def test_a_share_is_drawn_only_of_what_is_nobodys_loss(marts: Path) -> None:
    with duckdb.connect(str(marts)) as connection:
        connection.execute("update tiers.tier_economics set margin_amount = -1 where tier = 'base'")
        connection.execute("update tiers.tier_economics set benefit_cost_amount = 0, points_cost_amount = 0")
        found = figures.sections(connection, Context(date(2024, 3, 15), "EUR"))
    bars = chart(next(section for section in found if section.id == "tier-economics")).figure.data
    assert list(bars[0].y) == ["Members", "Revenue"]


def test_who_is_a_member_for_days_has_not_moved(marts: Path) -> None:
    with duckdb.connect(str(marts)) as connection:
        connection.execute("delete from tiers.tier_history where valid_from < date '2024-02-16'")
        found = figures.sections(connection, Context(date(2024, 3, 15), "EUR"))
    moves = next(section for section in found if section.id == "tier-moves")
    assert moves.empty == "Nobody has been a member for a month by 15 March 2024, so nobody can have moved."


def test_categories_are_of_the_latest_observed_period_that_is_over(built: dict[str, Section]) -> None:
    """The modelled wallets and the quarter that is not over stay out, and so does the channel."""
    categories = chart(built["wallet-categories"])
    assert categories.lead == (
        "01 October 2023 to 31 December 2023, as a panel observed: of EUR 150 in 2 categories 26.7% is ours. Most goes "
        "elsewhere in tea: EUR 60, our share being 40.0%."
    )
    assert {trace.name: (list(trace.y), list(trace.x)) for trace in categories.figure.data} == {
        "with us": (["tea", "hats"], [40, 0]),
        "elsewhere": (["tea", "hats"], [60, 50]),
    }
    assert categories.table.rows[0] == ("tea", "100.00", "40.00", "40.0%", "30.0%", "4", "40.0%")


def test_wallets_are_spread_by_the_share_that_is_ours(built: dict[str, Section]) -> None:
    of_wallets, of_money = chart(built["wallet-distribution"]).figure.data
    assert list(of_wallets.x) == ["none", "to 20", "to 40", "to 60", "to 80", "to 100", "all"]
    assert list(of_wallets.y) == pytest.approx([0.4, 0, 0.2, 0.2, 0, 0, 0.2])
    assert list(of_money.y) == pytest.approx([0.4, 0, 25 / 150, 0.4, 0, 0, 5 / 150])
    assert list(of_money.customdata) == [60, 0, 25, 60, 0, 0, 5]


def test_opportunities_add_up_to_what_goes_elsewhere(built: dict[str, Section]) -> None:
    """Five wallets of 5 to 60, each a fifth; that of which we have all has nothing to give."""
    opportunities = chart(built["wallet-opportunities"])
    [heatmap] = opportunities.figure.data
    assert list(heatmap.y) == [
        "largest fifth<br>from 60.00", "fourth fifth<br>from 50.00", "middle fifth<br>from 25.00",
        "second fifth<br>from 10.00",
    ]  # fmt: skip
    assert [list(row) for row in heatmap.z] == [
        [0, 0, 0, 30, 0, 0], [50, 0, 0, 0, 0, 0], [0, 0, 20, 0, 0, 0], [10, 0, 0, 0, 0, 0]
    ]  # fmt: skip
    assert heatmap.text[0][3] == "30"
    assert opportunities.lead.endswith(
        "EUR 110 goes elsewhere, 27.3% of it from the largest fifth of wallets and 54.5% from wallets of which we have "
        "nothing."
    )


def test_brands_stand_beside_what_is_expected_of_their_size(built: dict[str, Section]) -> None:
    """Of the category that is bought most among those with norms and a brand of ours."""
    jeopardy = chart(built["double-jeopardy"])
    expected, others, ours = jeopardy.figure.data
    assert (list(expected.x), list(expected.y)) == ([0.19, 0.41], [2.2, 2.4])
    assert (list(others.x), list(others.y)) == ([0.4], [2.5])
    assert (list(ours.x), list(ours.y), list(ours.customdata)) == ([0.2], [3.0], ["us (ours)"])
    assert jeopardy.lead.startswith(
        "tea, 01 October 2023 to 31 December 2023, as a panel observed: us (ours) is bought by"
    )
    assert jeopardy.table.rows == (
        ("x", "20", "40.0%", "41.0%", "2.50", "2.40", "60.0%", "55.0%", "30.0%", "25.0%"),
        ("us (ours)", "10", "20.0%", "19.0%", "3.00", "2.20", "50.0%", "40.0%", "20.0%", "10.0%"),
    )


def test_duplication_is_read_by_row(built: dict[str, Section]) -> None:
    duplication = chart(built["duplication"])
    [heatmap] = duplication.figure.data
    assert (list(heatmap.x), list(heatmap.y)) == (["x", "us (ours)"], ["x", "us (ours)"])
    assert [list(row) for row in heatmap.z] == [[None, 0.25], [0.5, None]]
    assert heatmap.customdata[1][0] == "5 of 10; 48.0% expected"
    assert "D = 1.20." in duplication.lead
    assert "us (ours) and x: 50.0% of the buyers of the first bought the second, 48.0%" in duplication.lead


def test_data_quality_accounts_for_every_row(marts: Path) -> None:
    with duckdb.connect(str(marts), read_only=True) as connection:
        accounting, quarantine = quality.load_accounting(connection), quality.quarantine(connection)
    assert accounting.rows == (
        ("orders", "115", "100", "4", "3", "2", "1", "5"),
        ("customers", "7", "7", "0", "0", "0", "0", "0"),
    )
    assert [row[2] for row in quarantine.rows] == ["4"]
    by_layer, failed = quality.checks(INFO["checks"])
    assert by_layer.rows == (("across tables", "gx", "1", "0", "1"), ("core", "dbt", "1", "1", "0"))
    assert failed.rows == (("across tables", "usual", "warning", "9 of 10"),)


def test_empty_marts_give_reasons_and_no_charts(tmp_path: Path) -> None:
    path = tmp_path / "marts.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(SCHEMA)
        found = figures.sections(connection, Context(None, ""))
    assert [section.chart for section in found] == [None] * 17
    assert all(section.empty.endswith(".") for section in found)
    page = render(path, data_start=None, data_end=None, checks=[])
    for reason in [section.empty for section in found] + ["Nothing has been loaded yet.", "No row was set aside."]:
        assert reason in page


def test_marts_of_the_first_days_say_that_nothing_is_complete_yet(tmp_path: Path) -> None:
    path = tmp_path / "marts.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(SCHEMA)
        connection.execute("""
            insert into retention.retention_cohorts values
                ('month', 'calendar', 'all', 'all', '2024-01-01', '2024-01', 0, 10, 0, null, null, null, true);
            insert into retention.growth_accounting values
                ('month', '2024-01-01', 9, 9, 0, 0, null, null, 1, 1, 0, null, null, null, true, false)
        """)
    page = render(path, data_end="2024-01-09")
    assert "No cohort has seen a full month after its first one by 09 January 2024" in page
    assert "The data covers no complete month by 09 January 2024." in page


def test_missing_tables_are_named(tmp_path: Path) -> None:
    path = tmp_path / "marts.duckdb"
    duckdb.connect(str(path)).close()
    page = render(path)
    assert "This version has no table retention.growth_accounting" in page
    assert "This version has no table tiers.tier_history" in page
    assert "This version has no table quality.load_accounting." in page


def test_the_page_asks_for_nothing_and_runs_its_own_scripts_only(marts: Path) -> None:
    text = render(marts)
    page = Page(text)
    programs = [script for kind, script in page.scripts if kind == ""]
    hashes = ["sha256-" + base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in programs]
    assert len(programs) == 2
    assert re.findall(r"'(sha256-[^']+)'", page.policy) == hashes
    assert page.policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in page.policy and "http" not in page.policy and "connect-src" not in page.policy
    assert page.references == ["manifest.json", "data_docs/index.html"]
    assert not {"iframe", "img", "link", "object", "embed"} & set(page.tags)
    assert len(text.encode()) < 6_000_000


def test_text_from_the_data_stays_text(marts: Path) -> None:
    with duckdb.connect(str(marts)) as connection:
        connection.execute("update retention.retention_cohorts set cohort_label = '</script><script>alert(2)</script>'")
    text = render(marts, dataset="<img src=x onerror=alert(3)>")
    assert "<script>alert(" not in text and "<img" not in text
    assert "no &lt;b&gt;date&lt;/b&gt; &amp; &lt;/script&gt;" in text
    charts = next(script for kind, script in Page(text).scripts if kind == "application/json")
    assert json.loads(charts)["cohorts"]["data"][0]["y"][0].startswith("</script>")


def test_every_chart_has_heading_lead_formula_label_and_table(marts: Path) -> None:
    text = render(marts)
    page = Page(text)
    assert page.language == "en"
    assert page.headings == [
        "shop",
        "Retention and growth",
        "How many customers of each month came back",
        "How retention develops with a customer’s age",
        "How long it takes until customers buy again",
        "Where active customers come from and where they go",
        "What moved revenue from month to month",
        "How much of their revenue known customers keep bringing",
        "Which customers a month’s revenue comes from",
        "Member tiers",
        "How many members hold each tier",
        "Who rose, and who fell",
        "What each tier brings and costs",
        "Points",
        "How points move",
        "What points still cost",
        "Share of wallet",
        "What we get of each category, and what goes elsewhere",
        "How the shares are spread",
        "Where the opportunity is",
        "Do our brands do better than brands of their size",
        "With whom we share our buyers",
        "Data quality",
    ]
    assert text.count('role="img" aria-label="') == 17
    assert (text.count("<details>"), text.count("<details open>")) == (16, 1)
    assert page.tags.count("caption") == page.tags.count("table") == 17 + 4


def test_the_least_that_must_be_known_is_enough(marts: Path) -> None:
    out = marts.with_name("report.html")
    render_report(marts, out, manifest_info={key: INFO[key] for key in ("dataset", "version", "created_at")})
    assert Page(out.read_text(encoding="utf-8")).references == ["manifest.json"]


def test_synthetic_data_is_marked(marts: Path) -> None:
    assert "synthetic data" not in render(marts)
    assert "synthetic data" in render(marts, is_synthetic=True)
