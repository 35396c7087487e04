"""The suites: how they are read, run against real DuckDB files, and shown."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from expectations import catalog, runner
from expectations.data_docs import build_data_docs

ORDERS = """
    create schema core;
    create table core.fct_orders as
    select
        'o' || number as order_id,
        date '1997-01-01' + number::integer as business_date,
        case when number = 3 then -5 else number + 0.1 end::decimal(18, 2) as gross_amount,
        case when number = 4 then '<script>alert(1)</script>' else 'web' end as channel
    from range(1, 41) as numbers (number);
"""


@dataclass(frozen=True)
class Paths:
    directory: Path

    @property
    def marts_path(self) -> Path:
        return self.directory / "marts.duckdb"

    @property
    def warehouse_path(self) -> Path:
        return self.directory / "warehouse.duckdb"

    def run(self, database: str, sql: str) -> None:
        with duckdb.connect(str(self.directory / f"{database}.duckdb")) as connection:
            connection.execute(sql)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path / "work")
    paths.directory.mkdir()
    paths.run("marts", ORDERS)
    return paths


@pytest.fixture
def suite(tmp_path: Path) -> Callable[..., catalog.SuiteSpec]:
    def write(*rules: dict[str, Any], table: str = "marts.core.fct_orders", **other: Any) -> catalog.SuiteSpec:
        content = {"table": table, "row_key": ["order_id"], "rules": list(rules), **other}
        path = tmp_path / f"{table.split('.')[-1]}.yml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return catalog.read_suite(path)

    return write


def rule(name: str = "a_rule", **other: Any) -> dict[str, Any]:
    return {
        "name": name,
        "expectation": "ExpectColumnValuesToBeBetween",
        "severity": "critical",
        "description": "What must hold. What to do.",
        **other,
    }


def sql_rule(sql: str, name: str = "a_rule", **other: Any) -> dict[str, Any]:
    return rule(name, expectation="ExpectNoRows", sql=sql, **other)


class TestReading:
    def test_a_list_of_columns_makes_a_rule_of_each(self, suite: Callable[..., catalog.SuiteSpec]) -> None:
        spec = suite(rule("amounts", columns=["gross_amount", "net_amount"], min_value=0))

        assert [(one.name, one.column) for one in spec.rules] == [
            ("amounts.gross_amount", "gross_amount"),
            ("amounts.net_amount", "net_amount"),
        ]
        assert (spec.name, spec.database, spec.qualified_table) == ("fct_orders", "marts", "core.fct_orders")

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"severity": "high"}, "fct_orders.yml, rule 'a_rule': severity must be critical or warning, not 'high'."),
            ({"description": " "}, "a description is missing"),
            ({"name": "A rule"}, "lower case words joined by _"),
            ({"expectation": "between"}, "must name a class such as ExpectColumnValuesToBeBetween"),
            ({"columns": ["a"], "column": "b"}, "columns must be a list, and excludes column"),
        ],
    )
    def test_a_wrong_rule_is_named(
        self, suite: Callable[..., catalog.SuiteSpec], wrong: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(catalog.SuiteError, match=re.escape(message)):
            suite(rule(**wrong))

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"table": "core.fct_orders"}, "table must be marts.<schema>.<table> or warehouse.<schema>.<table>"),
            ({"rules": []}, "fct_orders.yml has no rules."),
            ({"rules": [rule("same"), rule("same")]}, "more than one rule is named same."),
            ({"owner": "me"}, "unknown key owner; known are row_key, rules, table."),
        ],
    )
    def test_a_wrong_suite_is_named(self, tmp_path: Path, wrong: dict[str, Any], message: str) -> None:
        path = tmp_path / "fct_orders.yml"
        path.write_text(yaml.safe_dump({"table": "marts.core.fct_orders", "rules": [rule()], **wrong}))

        with pytest.raises(catalog.SuiteError, match=re.escape(message)):
            catalog.read_suite(path)

    def test_the_file_bears_the_name_of_the_table(self, tmp_path: Path) -> None:
        path = tmp_path / "orders.yml"
        path.write_text(yaml.safe_dump({"table": "marts.core.fct_orders", "rules": [rule()]}))

        with pytest.raises(catalog.SuiteError, match=r"name the file fct_orders\.yml"):
            catalog.read_suite(path)

    def test_an_empty_directory_is_no_pass(self, tmp_path: Path) -> None:
        with pytest.raises(catalog.SuiteError, match="holds no suite"):
            catalog.suites(tmp_path)

    def test_listing_the_suites_imports_neither_great_expectations_nor_pandas(self) -> None:
        script = (
            "import sys, expectations.runner, expectations.data_docs\n"
            "from expectations import catalog\n"
            "assert catalog.suites()\n"
            "print([name for name in ('great_expectations', 'pandas', 'sqlalchemy') if name in sys.modules])"
        )
        root = Path(catalog.__file__).parents[1]
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root, timeout=60
        )

        assert done.stdout.strip() == "[]"


class TestVariables:
    def test_a_variable_alone_keeps_its_type_and_inside_text_is_written_out(self) -> None:
        assert catalog.filled_in({"min_value": "${low}", "words": ["at least ${low}"]}, {"low": 0.5}) == {
            "min_value": 0.5,
            "words": ["at least 0.5"],
        }

    def test_in_sql_a_text_is_quoted(self) -> None:
        sql = catalog.filled_in(
            "channel = ${name} and share > ${limit}", {"name": "o'neil", "limit": 0.02}, as_sql=True
        )

        assert sql == "channel = 'o''neil' and share > 0.02"

    def test_a_missing_variable_is_named_before_anything_runs(
        self, paths: Paths, suite: Callable[..., catalog.SuiteSpec]
    ) -> None:
        spec = suite(rule(column="gross_amount", min_value="${lowest}"))

        with pytest.raises(
            catalog.SuiteError, match=r"The variable lowest has no value; the suites fct_orders use it\."
        ):
            runner.run_suites(paths, [spec], {})

    def test_a_variable_moves_the_limit(self, paths: Paths, suite: Callable[..., catalog.SuiteSpec]) -> None:
        spec = suite(rule(column="gross_amount", min_value="${lowest}", description="At least ${lowest}. Look."))

        (strict,) = runner.run_suites(paths, [spec], {"lowest": 0})
        (lenient,) = runner.run_suites(paths, [spec], {"lowest": -10})

        assert (strict.passed, lenient.passed) == (False, True)
        assert strict.expectations[0].description == "At least 0. Look."


class TestRunning:
    def test_what_holds_passes(self, paths: Paths, suite: Callable[..., catalog.SuiteSpec]) -> None:
        (result,) = runner.run_suites(
            paths,
            [
                suite(
                    rule("amounts", column="gross_amount", min_value=-5),
                    rule("filled", expectation="ExpectTableRowCountToBeBetween", min_value=1),
                    sql_rule("select order_id from core.fct_orders where gross_amount > 1000", "none_huge"),
                )
            ],
        )

        assert result.passed
        assert result.severity is None
        assert [outcome.observed for outcome in result.expectations] == ["0 of 40 rows", 40, "0 failing rows"]
        assert result.message == "core.fct_orders: all 3 rules hold."

    def test_a_failing_value_is_shown_with_the_key_of_its_row(
        self, paths: Paths, suite: Callable[..., catalog.SuiteSpec]
    ) -> None:
        (result,) = runner.run_suites(paths, [suite(rule("amounts", column="gross_amount", min_value=0))])

        assert not result.passed
        (outcome,) = result.expectations
        assert outcome.failing_rows == [{"order_id": "o3", "gross_amount": "-5.00"}]
        assert outcome.failing_count == 1
        assert result.message == ("core.fct_orders, amounts: What must hold. What to do. (found 1 of 40 rows)")

    def test_a_rule_in_sql_shows_its_first_rows_in_its_own_order_and_counts_all(
        self, paths: Paths, suite: Callable[..., catalog.SuiteSpec]
    ) -> None:
        sql = """
            select order_id, business_date, gross_amount
            from core.fct_orders
            where regexp_full_match(order_id, 'o[0-9]{2}') and channel <> '{batch}'
            order by gross_amount desc;
        """
        (result,) = runner.run_suites(paths, [suite(sql_rule(sql))])

        (outcome,) = result.expectations
        assert (outcome.failing_count, len(outcome.failing_rows)) == (31, runner.FAILING_ROWS_SHOWN)
        assert outcome.observed == "31 failing rows"
        assert [row["order_id"] for row in outcome.failing_rows] == [f"o{number}" for number in range(40, 20, -1)]
        assert outcome.failing_rows[0] == {"order_id": "o40", "business_date": "1997-02-10", "gross_amount": "40.10"}
        assert outcome.sql is not None and outcome.sql.startswith("select order_id")

    def test_a_rule_about_a_pair_of_columns_shows_both(
        self, paths: Paths, suite: Callable[..., catalog.SuiteSpec]
    ) -> None:
        paths.run("marts", "alter table core.fct_orders add column refund_amount decimal(18, 2) default 0")
        spec = suite(
            rule(
                expectation="ExpectColumnPairValuesAToBeGreaterThanB",
                column_A="gross_amount",
                column_B="refund_amount",
                or_equal=True,
            )
        )

        (result,) = runner.run_suites(paths, [spec])

        assert result.expectations[0].failing_rows == [
            {"order_id": "o3", "gross_amount": "-5.00", "refund_amount": "0.00"}
        ]

    def test_a_rule_about_an_aggregate_shows_what_was_seen(
        self, paths: Paths, suite: Callable[..., catalog.SuiteSpec]
    ) -> None:
        spec = suite(rule(expectation="ExpectColumnMaxToBeBetween", column="business_date", max_value="1997-01-31"))

        (result,) = runner.run_suites(paths, [spec])

        assert (result.passed, result.expectations[0].observed) == (False, "1997-02-10")

    def test_a_warning_is_shown_and_does_not_block(self, paths: Paths, suite: Callable[..., catalog.SuiteSpec]) -> None:
        (result,) = runner.run_suites(paths, [suite(rule(column="gross_amount", min_value=0, severity="warning"))])

        assert result.passed
        assert result.severity == "warning"
        assert [outcome.failing_rows[0]["order_id"] for outcome in result.warnings] == ["o3"]
        assert result.blocking == []

    @pytest.mark.parametrize(
        ("broken", "reason"),
        [
            (rule(column="no_such_column", min_value=0, severity="warning"), "no_such_column"),
            (sql_rule("select nothing from core.fct_orders", severity="warning"), 'column "nothing" not found'),
        ],
    )
    def test_a_rule_that_cannot_be_evaluated_blocks_whatever_its_severity(
        self, paths: Paths, suite: Callable[..., catalog.SuiteSpec], broken: dict[str, Any], reason: str
    ) -> None:
        (result,) = runner.run_suites(paths, [suite(broken, rule("amounts", column="gross_amount", min_value=-5))])

        assert not result.passed
        broken_outcome, other = result.expectations
        assert broken_outcome.is_blocking
        assert broken_outcome.error is not None
        assert broken_outcome.error.startswith("could not be evaluated: ")
        assert reason in broken_outcome.error
        assert other.passed

    def test_a_missing_table_blocks(self, paths: Paths, suite: Callable[..., catalog.SuiteSpec]) -> None:
        spec = suite(rule(column="month", min_value=0), table="marts.core.fct_customer_months")

        (result,) = runner.run_suites(paths, [spec])

        assert not result.passed
        assert "marts.duckdb has no table core.fct_customer_months" in result.message

    def test_a_missing_file_is_an_error(self, paths: Paths, suite: Callable[..., catalog.SuiteSpec]) -> None:
        with pytest.raises(FileNotFoundError, match=r"warehouse\.duckdb does not exist: run the models"):
            runner.run_suites(paths, [suite(rule(column="a", min_value=0), table="warehouse.staging.stg_orders")])

    def test_an_unknown_expectation_is_an_error(self, paths: Paths, suite: Callable[..., catalog.SuiteSpec]) -> None:
        with pytest.raises(catalog.SuiteError, match="Great Expectations has no class ExpectMiracles"):
            runner.run_suites(paths, [suite(rule(expectation="ExpectMiracles"))])

    def test_a_misspelt_argument_is_an_error(self, paths: Paths, suite: Callable[..., catalog.SuiteSpec]) -> None:
        with pytest.raises(catalog.SuiteError, match=r"fct_orders\.yml, rule a_rule: .*minimum"):
            runner.run_suites(paths, [suite(rule(column="gross_amount", minimum=0))])

    def test_results_come_in_the_order_asked_and_both_files_can_be_written_afterwards(
        self, paths: Paths, suite: Callable[..., catalog.SuiteSpec], capfd: pytest.CaptureFixture[str]
    ) -> None:
        paths.run("warehouse", "create schema staging; create table staging.stg_orders as select 'o1' as order_id")
        asked = [
            suite(
                rule(expectation="ExpectTableRowCountToBeBetween", min_value=1), table="warehouse.staging.stg_orders"
            ),
            suite(rule(column="gross_amount", min_value=0), sql_rule("select nothing", "broken")),
        ]
        seen: list[tuple[str, int, int]] = []

        results = runner.run_suites(
            paths, asked, on_progress=lambda result, done, total: seen.append((result.suite.name, done, total))
        )

        assert [result.suite.name for result in results] == ["stg_orders", "fct_orders"]
        assert sorted(seen, key=lambda entry: entry[1]) == [("fct_orders", 1, 2), ("stg_orders", 2, 2)]
        for database in ("marts", "warehouse"):
            paths.run(database, "create table written_afterwards as select 1 as number")
        printed = capfd.readouterr()
        assert (printed.out, printed.err) == ("", "")


class TestShippedSuites:
    @pytest.mark.parametrize("spec", catalog.suites(), ids=lambda spec: spec.name)
    def test_every_rule_is_an_expectation_that_exists(self, spec: catalog.SuiteSpec) -> None:
        variables = catalog.project_variables()

        built = [runner.build_expectation(spec, one, variables) for one in spec.rules]

        assert [expectation.meta["rule"] for expectation in built] == [one.name for one in spec.rules]
        assert [expectation.severity.value for expectation in built] == [one.severity for one in spec.rules]

    def test_too_much_quarantine_stops_with_the_reasons(self, paths: Paths) -> None:
        paths.run("marts", ACCOUNTING)

        (result,) = runner.run_suites(
            paths, [shipped("load_accounting")], {**catalog.project_variables(), "max_quarantined_share": 0.02}
        )

        assert [outcome.name for outcome in result.blocking] == ["quarantine_stays_below_the_limit"]
        assert result.blocking[0].failing_rows == [
            {
                "table_name": "orders",
                "rows_read": 200,
                "quarantined_count": 6,
                "quarantined_share": 0.03,
                "max_quarantined_share": "0.02",
                "reasons": "amount is negative: 4; ordered_at is required and missing: 2",
            }
        ]
        assert "at most a share of 0.02" in result.blocking[0].description
        assert [outcome.name for outcome in result.warnings] == ["deliveries_stay_below_the_limit"]

    def test_a_higher_limit_in_the_mapping_lets_it_pass(self, paths: Paths) -> None:
        paths.run("marts", ACCOUNTING)

        (result,) = runner.run_suites(paths, [shipped("load_accounting")], {"max_quarantined_share": 0.05})

        assert result.passed

    def test_a_broken_file_stops_even_below_the_limit(self, paths: Paths) -> None:
        paths.run("marts", ACCOUNTING)
        paths.run(
            "marts",
            """
            insert into quality.load_accounting values
                (2, 'interactions', 'good.csv', 100000, 100000, 0, 0, 0, 0, 0),
                (3, 'interactions', 'bad.csv', 40, 10, 30, 0, 0, 0, 0);
            """,
        )

        (result,) = runner.run_suites(paths, [shipped("load_accounting")], {"max_quarantined_share": 0.05})

        (blocking,) = result.blocking
        assert blocking.name == "no_file_is_broken"
        assert [row["source_file"] for row in blocking.failing_rows] == ["bad.csv"]

    def test_a_row_that_got_lost_while_loading_stops(self, paths: Paths) -> None:
        paths.run("marts", ACCOUNTING)
        paths.run(
            "marts",
            "update quality.load_accounting set accepted_count = accepted_count - 1 where table_name = 'orders'",
        )

        (result,) = runner.run_suites(paths, [shipped("load_accounting")], {"max_quarantined_share": 0.05})

        assert [outcome.name for outcome in result.blocking] == ["every_row_is_accounted_for"]
        assert result.blocking[0].failing_rows[0]["source_file"] == "orders.csv"

    def test_reasons_that_do_not_add_up_stop(self, paths: Paths) -> None:
        paths.run("marts", ACCOUNTING)
        paths.run("marts", "delete from quality.quarantine_summary where column_name = 'ordered_at'")

        (result,) = runner.run_suites(paths, [shipped("quarantine_summary")])

        assert result.blocking[0].failing_rows == [{"table_name": "orders", "summary_count": 4, "accounting_count": 6}]

    def test_revenue_that_got_lost_on_the_way_to_the_customers_stops(self, paths: Paths) -> None:
        paths.run(
            "marts",
            """
            create or replace table core.fct_orders as
            select 'o' || number as order_id, 'c' || number % 7 as customer_id,
                date '1997-01-20' + number::integer as business_date,
                true as is_identified, true as is_valid_sale, (number * 1.25)::decimal(18, 2) as net_amount
            from range(1, 41) as numbers (number);
            create table core.dim_dates as
                select max(business_date) as date_on, true as is_in_data from core.fct_orders;
            create table core.fct_customer_months as
            select customer_id, date_trunc('month', business_date)::date as month, count(*) as order_count,
                count(distinct business_date) as purchase_day_count, 0::bigint as interaction_count,
                sum(net_amount)::decimal(18, 2) as net_at_order_date_amount,
                sum(net_amount)::decimal(18, 2) as net_at_refund_date_amount
            from core.fct_orders
            group by all;
            """,
        )
        (whole,) = runner.run_suites(paths, [shipped("fct_customer_months")])
        paths.run(
            "marts",
            """
            update core.fct_customer_months
            set net_at_order_date_amount = net_at_order_date_amount - 0.01,
                net_at_refund_date_amount = net_at_refund_date_amount - 0.01
            where customer_id = 'c3' and month = date '1997-02-01'
            """,
        )
        (short,) = runner.run_suites(paths, [shipped("fct_customer_months")])

        assert whole.passed, whole.message
        (blocking,) = short.blocking
        assert blocking.name == "revenue_agrees_with_orders"
        assert blocking.failing_rows == [
            {"month": "1997-02-01", "orders_amount": "892.50", "customer_months_amount": "892.49"}
        ]

    def test_bad_birth_dates_are_counted_and_not_shown(self, paths: Paths) -> None:
        paths.run(
            "warehouse",
            """
            create schema staging;
            create table staging.stg_customers as
            select 'c1' as customer_id, 'a' as acquisition_channel, 'b' as customer_segment, 'secret' as email,
                date '1066-10-14' as born_on, timestamp '2000-01-01' as enrolled_at;
            create table staging.stg_orders as select 'o1' as order_id, 'c9' as customer_id;
            create table staging.stg_identity_map as select 'x' as alias_id, 'c9' as customer_id;
            """,
        )

        (result,) = runner.run_suites(paths, [shipped("stg_customers")])

        assert {outcome.name: outcome.failing_rows for outcome in result.warnings} == {
            "customers_and_orders_share_their_ids": [{"buyer_count": 1, "known_count": 0}],
            "ages_are_plausible": [{"customer_count": 1}],
        }


class TestDataDocs:
    @pytest.fixture
    def page(self, paths: Paths, suite: Callable[..., catalog.SuiteSpec], tmp_path: Path) -> Path:
        results = runner.run_suites(
            paths,
            [
                suite(
                    rule("amounts", column="gross_amount", min_value=0),
                    rule("channels", expectation="ExpectColumnValuesToBeInSet", column="channel", value_set=["web"]),
                    sql_rule("select order_id from core.fct_orders where order_id > 'o38'", "late", severity="warning"),
                    sql_rule("select nothing", "broken"),
                )
            ],
        )
        created_at = datetime.datetime(1998, 7, 1, 6, 30, tzinfo=datetime.UTC)
        return build_data_docs(results, tmp_path / "data_docs", title="a & b", created_at=created_at)

    def test_the_page_says_what_failed_and_shows_the_rows(self, page: Path) -> None:
        text = page.read_text(encoding="utf-8")

        assert "Stops publishing: 3 critical rules failed, 1 warning." in text
        assert "Data checks: a &amp; b" in text
        assert "run 1998-07-01 06:30 UTC" in text
        assert "<td>o3</td><td>-5.00</td>" in text
        assert '<details class="card" open>' in text and 'id="fct_orders"' in text
        assert "could not be evaluated" in text

    def test_values_from_the_data_are_text_and_never_markup(self, page: Path) -> None:
        text = page.read_text(encoding="utf-8")

        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
        assert "<script" not in text

    def test_the_page_asks_nothing_of_the_network(self, page: Path) -> None:
        text = page.read_text(encoding="utf-8")

        references = re.findall(r"(?i)\b(?:src|href|action)\s*=\s*[\"']?([^\s\"'>]*)", text)
        assert {reference.split("#")[0] for reference in references} == {"", "data:,"}
        assert not re.search(r"(?i)https?://|url\(|@import|<script|<iframe|<object", text)
        assert "default-src 'none'" in text

    def test_the_same_is_beside_it_as_json(self, page: Path) -> None:
        results = json.loads(page.with_name("results.json").read_text(encoding="utf-8"))

        amounts, *others = results["fct_orders"]
        assert amounts["failing_rows"] == [{"order_id": "o3", "gross_amount": "-5.00"}]
        assert [outcome["passed"] for outcome in others] == [False, False, False]

    def test_nothing_failed_is_said_plainly(
        self, paths: Paths, suite: Callable[..., catalog.SuiteSpec], tmp_path: Path
    ) -> None:
        results = runner.run_suites(paths, [suite(rule(column="gross_amount", min_value=-5))])

        text = build_data_docs(results, tmp_path / "docs", title="orders").read_text(encoding="utf-8")

        assert "Every rule holds." in text


ACCOUNTING = """
    create schema quality;
    create table quality.load_accounting (
        load_id bigint, table_name varchar, source_file varchar, rows_read bigint, accepted_count bigint,
        quarantined_count bigint, copy_count bigint, superseded_count bigint, filtered_count bigint,
        erased_count bigint
    );
    insert into quality.load_accounting values
        (1, 'orders', 'orders.csv', 200, 189, 6, 2, 1, 1, 1),
        (1, 'refunds', 'refunds.csv', 10, 10, 0, 0, 0, 0, 0);
    create table quality.quarantine_summary (
        load_id bigint, table_name varchar, column_name varchar, reason varchar, row_count bigint
    );
    insert into quality.quarantine_summary values
        (1, 'orders', 'amount', 'is negative', 4),
        (1, 'orders', 'ordered_at', 'is required and missing', 2);
"""


def shipped(name: str) -> catalog.SuiteSpec:
    return catalog.read_suite(catalog.SUITES_DIRECTORY / f"{name}.yml")
