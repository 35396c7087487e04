"""The published report in a real browser: it draws, says what SQL says, and asks for nothing."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.support.requirements import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

pytestmark = pytest.mark.browser


@dataclass
class Seen:
    """What the browser reported while a page was open."""

    page: Page
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield opened
        opened.close()


def open_report(browser: Browser, home: Path, **options: Any) -> Seen:
    page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **options})
    seen = Seen(page)
    page.on("console", lambda message: seen.messages.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: seen.messages.append(str(error)))
    page.on("request", lambda request: seen.requests.append(request.url))
    page.goto((home / "current" / "report.html").as_uri())
    page.wait_for_selector("html[data-drawn=true]")
    page.wait_for_selector("#chart-c3 svg.main-svg")
    return seen


def row(home: Path, sql: str) -> tuple[Any, ...]:
    with duckdb.connect(str(home / "current" / "marts.duckdb"), read_only=True) as connection:
        found = connection.execute(sql).fetchone()
    assert found is not None
    return found


def assert_quiet(seen: Seen) -> None:
    assert seen.messages == []
    outside = [url for url in seen.requests if not re.match(r"(file|data|blob):", url)]
    assert outside == []


def cut_off_labels(page: Page) -> list[str]:
    """Texts of charts that reach over the edge of their drawing."""
    found: list[str] = page.evaluate("""() => [...document.querySelectorAll('.plot svg text')]
        .filter(text => text.textContent.trim() && text.getBoundingClientRect().width > 0)
        .filter(text => {
            const box = text.getBoundingClientRect(), plot = text.closest('.plot').getBoundingClientRect();
            return box.left < plot.left - 1 || box.right > plot.right + 1
                || box.top < plot.top - 1 || box.bottom > plot.bottom + 1;
        })
        .map(text => text.textContent)""")
    return found


def test_the_report_shows_what_sql_says(browser: Browser, cdnow_home: Path) -> None:
    seen = open_report(browser, cdnow_home)
    page = seen.page
    customers, orders, revenue = row(
        cdnow_home,
        """
        select (select count(*) from core.dim_customers where order_count > 0), count(*), sum(net_amount)
        from core.fct_orders where is_valid_sale
        """,
    )
    shown = dict(
        page.eval_on_selector_all(
            ".headlines div", "all => all.map(each => [...each.querySelectorAll('dt, .value')].map(x => x.textContent))"
        )
    )
    assert shown["Customers"] == f"{customers:,}" == "23,570"
    assert shown["Orders"] == f"{orders:,}" == "69,659"
    assert shown["Revenue, USD"] == f"{revenue:,.2f}" == "2,500,315.63"
    headings = page.locator("h1, h2, h3").all_inner_texts()
    assert headings[0] == "cdnow" and "Retention and growth" in headings and "Data quality" in headings

    cells = page.locator("#chart-cohorts .heatmap-label text").all_text_contents()
    label, size, active, rate = row(
        cdnow_home,
        """
        select cohort_label, cohort_size, active_count, retention_rate from retention.retention_cohorts
        where
            period_grain = 'month' and retention_mode = 'calendar' and segment_value = 'all'
            and cohort_start_on = date '1997-01-01' and period_index = 1
        """,
    )
    assert (label, size, active) == ("1997-01", 7846, 1157)
    assert f"{rate:.1%}" in cells
    assert f"{label} · {size:,}" in page.locator("#chart-cohorts .ytick text").all_text_contents()
    known = row(
        cdnow_home,
        """
        select count(*) from retention.retention_cohorts
        where
            period_grain = 'month' and retention_mode = 'calendar' and segment_value = 'all'
            and period_index > 0 and retention_rate is not null
        """,
    )
    assert len([text for text in cells if text]) == known[0]
    assert_quiet(seen)
    page.close()


def test_movements_are_the_members_of_the_history(browser: Browser, complete_journey_home: Path) -> None:
    seen = open_report(browser, complete_journey_home)
    [held] = row(
        complete_journey_home,
        """
        select list(tier || ' ' || members order by tier_rank desc)
        from (select tier, tier_rank, count(*) as members from tiers.member_tiers group by all) as tiers
        """,
    )
    assert seen.page.locator("#chart-tier-moves .y2tick text").all_text_contents() == held
    [stayed] = row(
        complete_journey_home,
        """
        select count(*)
        from tiers.tier_history as earlier
        inner join tiers.member_tiers as members using (program_id, customer_id, tier)
        where tier = 'platinum' and valid_from <= '2017-06-30' and coalesce(valid_to, '9999-12-31') > '2017-06-30'
        """,
    )
    seen.page.locator("#chart-tier-moves").scroll_into_view_if_needed()
    top = seen.page.locator("#chart-tier-moves .js-fill").first.bounding_box()
    assert top is not None
    seen.page.mouse.move(top["x"] + 12, top["y"] + top["height"] / 2)
    hover = seen.page.locator("#chart-tier-moves .hoverlayer")
    hover.locator("text").first.wait_for()
    assert hover.text_content() == f"platinum → platinum: {stayed} members"
    assert_quiet(seen)
    seen.page.close()


def test_hovering_a_cell_gives_numerator_and_denominator(browser: Browser, cdnow_home: Path) -> None:
    seen = open_report(browser, cdnow_home)
    corner = seen.page.locator("#chart-cohorts .heatmaplayer image").bounding_box()
    assert corner is not None
    seen.page.mouse.move(corner["x"] + 8, corner["y"] + 8)
    hover = seen.page.locator("#chart-cohorts .hoverlayer")
    hover.locator("text").first.wait_for()
    assert "1,157 of 7,846 customers active" in (hover.text_content() or "")
    assert_quiet(seen)
    seen.page.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_on_laptop_and_phone(
    browser: Browser, cdnow_home: Path, complete_journey_home: Path, width: int, scheme: str
) -> None:
    for home in (cdnow_home, complete_journey_home):
        seen = open_report(browser, home, viewport={"width": width, "height": 844}, color_scheme=scheme)
        assert seen.page.evaluate("document.documentElement.scrollWidth") == width
        assert cut_off_labels(seen.page) == []
        ink, ground = (
            json.loads(seen.page.evaluate(f"JSON.stringify(getComputedStyle(document.body).{name}.match(/\\d+/g))"))
            for name in ("color", "backgroundColor")
        )
        assert contrast([int(part) for part in ink], [int(part) for part in ground]) > 7
        assert_quiet(seen)
        seen.page.close()


def contrast(one: list[int], other: list[int]) -> float:
    """Contrast of two colours as WCAG 2 defines it."""

    def luminance(colour: list[int]) -> float:
        parts = [part / 255 for part in colour[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_policy_holds_off_a_script_that_got_in(browser: Browser, cdnow_home: Path, tmp_path: Path) -> None:
    """A request and a script that the page did not come with are refused by the browser itself."""
    seen = open_report(browser, cdnow_home)
    seen.page.evaluate("""() => {
        const script = document.createElement('script');
        script.textContent = 'document.title = "taken over"';
        document.body.append(script);
        const image = document.createElement('img');
        image.src = 'http://127.0.0.1:9/x.png';
        document.body.append(image);
    }""")
    seen.page.wait_for_timeout(200)
    assert seen.page.title() != "taken over"
    assert any("Content Security Policy" in message for message in seen.messages)
    seen.page.close()


def test_without_javascript_the_numbers_are_there(browser: Browser, cdnow_home: Path) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto((cdnow_home / "current" / "report.html").as_uri())
    assert "The charts need JavaScript" in page.locator("noscript").inner_text()
    page.locator("section[aria-labelledby=title-growth] summary").click()
    assert "2,822" in page.locator("section[aria-labelledby=title-growth] table").inner_text()
    page.close()


@pytest.mark.skipif(os.environ.get("TENURE_SCREENSHOT") != "1", reason="only with TENURE_SCREENSHOT=1: writes docs/")
def test_take_the_picture_for_the_readme(browser: Browser, complete_journey_home: Path) -> None:
    seen = open_report(browser, complete_journey_home)
    target = ROOT / "docs" / "report.png"
    target.parent.mkdir(exist_ok=True)
    seen.page.wait_for_timeout(500)
    seen.page.screenshot(path=target, full_page=True)
    assert target.stat().st_size > 50_000
    seen.page.close()
