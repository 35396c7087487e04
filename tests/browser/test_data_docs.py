"""The Data Docs in a real browser: they open offline, and a value from the data never runs as a script."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from expectations import catalog, runner
from expectations.data_docs import build_data_docs
from tests.support.requirements import chromium

pytestmark = pytest.mark.browser

SUITE = """
table: marts.core.fct_orders
row_key: [order_id]
rules:
  - name: channels
    expectation: ExpectColumnValuesToBeInSet
    column: channel
    value_set: [web]
    severity: critical
    description: Orders come from the web. Look at the channel.
  - name: huge
    expectation: ExpectNoRows
    sql: select order_id, channel from core.fct_orders where gross_amount > 100
    severity: warning
    description: No order is huge. Look at the amount.
"""


@dataclass(frozen=True)
class Paths:
    marts_path: Path
    warehouse_path: Path


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("data_docs")
    paths = Paths(directory / "marts.duckdb", directory / "warehouse.duckdb")
    with duckdb.connect(str(paths.marts_path)) as connection:
        connection.execute("create schema core")
        connection.execute(
            """
            create table core.fct_orders as
            select * from (values
                ('o1', 'web', 10.00),
                ('o2', '<script>document.title = "taken over"</script><img src="http://other.test/x.png">', 500.00)
            ) as orders (order_id, channel, gross_amount)
            """
        )
    (directory / "fct_orders.yml").write_text(SUITE, encoding="utf-8")
    results = runner.run_suites(paths, [catalog.read_suite(directory / "fct_orders.yml")])
    return build_data_docs(results, directory / "docs", title="a shop")


def test_the_page_opens_offline_and_shows_the_failing_rows(page: Path) -> None:
    from playwright.sync_api import sync_playwright

    requests: list[str] = []
    messages: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        opened = browser.new_page()
        opened.on("request", lambda request: requests.append(request.url))
        opened.on("console", lambda message: messages.append(message.text))
        opened.on("pageerror", lambda error: messages.append(str(error)))
        opened.goto(page.as_uri())
        title = opened.title()
        text = opened.inner_text("#fct_orders")
        verdict = opened.inner_text(".verdict")
        browser.close()

    assert requests == [page.as_uri()]
    assert messages == []
    assert title == "Data checks: a shop"
    assert verdict == "Stops publishing: 1 critical rule failed, 1 warning."
    assert '<img src="http://other.test/x.png">' in text
    assert "o2" in text
