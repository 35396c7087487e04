"""What Dagster's page shows of a suite and of a dbt test."""

from __future__ import annotations

import dagster as dg
import pytest

from expectations import catalog
from expectations.runner import ExpectationOutcome, SuiteResult
from orchestration.defs.dbt.assets import _check_result as dbt_check_result
from orchestration.defs.quality.checks import _check_result as suite_check_result
from orchestration.lib.dbt import NodeOutcome


def rule(name: str, severity: str, passed: bool, rows: list[dict[str, object]]) -> ExpectationOutcome:
    return ExpectationOutcome(
        name=name,
        type="ExpectNoRows",
        column=None,
        severity=severity,  # type: ignore[arg-type]
        description="Amounts agree.",
        passed=passed,
        observed=f"{len(rows)} failing rows",
        failing_count=len(rows),
        failing_rows=rows,
    )


@pytest.mark.parametrize(
    ("severity", "expected"),
    [("critical", dg.AssetCheckSeverity.ERROR), ("warning", dg.AssetCheckSeverity.WARN)],
)
def test_failing_rows_of_a_suite_are_in_the_metadata(severity: str, expected: dg.AssetCheckSeverity) -> None:
    suite = next(suite for suite in catalog.suites() if suite.table == "fct_orders")
    rows: list[dict[str, object]] = [{"order_id": "a|b", "amount": 1}, {"order_id": "c", "amount": None}]
    result = suite_check_result(
        SuiteResult(suite, [rule("agree", severity, False, rows), rule("fine", "critical", True, [])], 0.5)
    )
    assert not result.passed
    assert result.severity is expected
    assert result.asset_key == dg.AssetKey(["core", "fct_orders"])
    shown = result.metadata["failing rows: agree"]
    assert isinstance(shown, dg.MarkdownMetadataValue)
    assert shown.md_str == "| order_id | amount |\n| --- | --- |\n| a\\|b | 1 |\n| c | None |"
    assert "failing rows: fine" not in result.metadata


def test_a_suite_that_holds() -> None:
    suite = catalog.suites()[0]
    assert suite_check_result(SuiteResult(suite, [rule("fine", "critical", True, [])], 0.1)).passed


@pytest.mark.parametrize(
    ("status", "passed", "severity"),
    [
        ("pass", True, dg.AssetCheckSeverity.ERROR),
        ("fail", False, dg.AssetCheckSeverity.ERROR),
        ("warn", False, dg.AssetCheckSeverity.WARN),
        ("error", False, dg.AssetCheckSeverity.ERROR),
    ],
)
def test_a_dbt_test_with_its_failing_count(status: str, passed: bool, severity: dg.AssetCheckSeverity) -> None:
    key = dg.AssetCheckKey(dg.AssetKey(["core", "fct_orders"]), "unique_order_id")
    node = NodeOutcome("test.tenure.unique.1", "test", "unique", "core.fct_orders", status, 0.1, "", 3, None, None)
    result = dbt_check_result(key, node)
    assert (result.passed, result.severity) == (passed, severity)
    assert result.metadata["failing_count"].value == 3
