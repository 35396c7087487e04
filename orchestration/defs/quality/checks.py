"""The expectation suites as blocking asset checks, all in one step: Great Expectations is imported once."""

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from expectations.catalog import SuiteSpec
from orchestration.defs.context import RUN, run_of
from orchestration.lib.running import Failure, TenureRun, as_json, markdown_table

if TYPE_CHECKING:
    from expectations.runner import ExpectationOutcome, SuiteResult

CHECK_NAME = "expectations"


def build_expectation_checks(
    suites: Sequence[SuiteSpec], read_before: Collection[dg.AssetKey]
) -> dg.AssetChecksDefinition:
    """One check per suite on the table that it describes, all in one step, for which publishing waits.

    Args:
        suites: all suites.
        read_before: tables that a step before this one reads. A check that blocked what reads them would have to run
            before itself: a failure ends this step instead, and publishing refuses as well.
    """
    by_key = {dg.AssetKey([suite.schema, suite.table]): suite for suite in suites}
    specs = [
        dg.AssetCheckSpec(
            name=CHECK_NAME,
            asset=key,
            description=f"{len(suite.rules)} rules of expectations/suites/{suite.path.name}.",
            blocking=key not in read_before,
        )
        for key, suite in by_key.items()
    ]

    @dg.multi_asset_check(name="check_expectations", specs=specs, can_subset=True, required_resource_keys={RUN})
    def check_expectations(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        run = run_of(context)
        selected = [by_key[key.asset_key] for key in sorted(context.selected_asset_check_keys)]
        with run.step("check"):
            results = check(run, selected)
        for result in results:
            yield _check_result(result)
        with run.step("check"):
            raise_failures(run, results)

    return check_expectations


def check(run: TenureRun, suites: Sequence[SuiteSpec]) -> "list[SuiteResult]":
    """Run the suites and write the data docs; no failure raises."""
    from expectations import runner
    from expectations.data_docs import build_data_docs
    from orchestration.lib.publishing import RunStep

    run.progress.stage("Check with Great Expectations")

    def on_suite(result: "SuiteResult", done: int, total: int) -> None:
        run.progress.tick(done, total, result.suite.qualified_table)
        for outcome in [*result.blocking, *result.warnings]:
            run.progress.line(f"{outcome.severity}: {result.suite.qualified_table}, {outcome.message}")

    results = runner.run_suites(run.settings, suites, run.variables(), on_progress=on_suite)
    build_data_docs(results, run.settings.data_docs_dir, title=run.mapping.dataset)
    rules = [rule for result in results for rule in result.expectations]
    failed = sum(not rule.passed for rule in rules)
    run.progress.line(f"{len(rules)} rules on {len(results)} tables, {failed} failed")
    run.state.record_checks(results)
    run.state.add_steps(
        RunStep(f"check {r.suite.qualified_table}", len(r.expectations), round(r.seconds, 3), _status(r))
        for r in results
    )
    run.figures["rules"] = len(rules)
    run.figures["rules_passed"] = len(rules) - failed
    return results


def raise_failures(run: TenureRun, results: "Sequence[SuiteResult]") -> None:
    """End the step when a rule that blocks has failed, each with what it says and a few rows."""
    failures = [
        Failure("check", f"{result.suite.qualified_table}, rule {rule.name}", _why(rule), rule.failing_rows[:5])
        for result in results
        for rule in result.blocking
    ]
    if failures:
        run.fail(*failures)


def _why(rule: "ExpectationOutcome") -> str:
    return f"{rule.description} Found: {rule.error or rule.observed}."


def _status(result: "SuiteResult") -> str:
    return "failed" if result.blocking else "warning" if result.warnings else "ok"


def _check_result(result: "SuiteResult") -> dg.AssetCheckResult:
    failed = [*result.blocking, *result.warnings]
    metadata: dict[str, Any] = {
        "rules": dg.MetadataValue.md(
            markdown_table(
                [
                    {
                        "rule": rule.name,
                        "severity": rule.severity,
                        "passed": "yes" if rule.passed else "NO",
                        "found": rule.error or as_json(rule.observed),
                        "description": rule.description,
                    }
                    for rule in result.expectations
                ]
            )
        ),
        "seconds": round(result.seconds, 3),
    }
    for rule in failed:
        if rule.failing_rows:
            metadata[f"failing rows: {rule.name}"] = dg.MetadataValue.md(markdown_table(rule.failing_rows))
    return dg.AssetCheckResult(
        asset_key=[result.suite.schema, result.suite.table],
        check_name=CHECK_NAME,
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR if result.blocking else dg.AssetCheckSeverity.WARN,
        description=result.message,
        metadata=metadata,
    )
