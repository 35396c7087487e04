"""Runs the expectation suites in SQL against the DuckDB files, and writes the outcome as HTML.

Great Expectations takes about 3 s to import and is imported inside the functions that need it. Its telemetry is
off. Nothing is pulled into pandas; the files are opened read-only and are closed again when `run_suites` returns.
"""

from __future__ import annotations

import contextlib
import datetime
import math
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from expectations.catalog import Database, RuleSpec, Severity, SuiteError, SuiteSpec, filled_in, required_variables

FAILING_ROWS_SHOWN = 20
_LONGEST_VALUE = 300


class DatabasePaths(Protocol):
    """Where the two DuckDB files are; `orchestration.lib.settings.Settings` is one."""

    @property
    def marts_path(self) -> Path: ...
    @property
    def warehouse_path(self) -> Path: ...


@dataclass(frozen=True)
class ExpectationOutcome:
    """What one rule found.

    `observed` says in JSON-safe form what was seen (a figure, or "3 of 1,200 rows"); `failing_rows` are the first
    FAILING_ROWS_SHOWN of `failing_count` rows, none for rules about an aggregate. `error` is set when the rule could
    not be evaluated at all, which always blocks: what was not checked is not published.
    """

    name: str
    type: str
    column: str | None
    severity: Severity
    description: str
    passed: bool
    observed: Any
    failing_count: int | None
    failing_rows: list[dict[str, Any]]
    sql: str | None = None
    error: str | None = None

    @property
    def is_blocking(self) -> bool:
        return not self.passed and (self.severity == "critical" or self.error is not None)

    @property
    def message(self) -> str:
        """One line for a terminal: which rule, what was seen, what it means."""
        seen = self.error or f"found {self.observed}"
        return f"{self.name}: {self.description} ({seen})"


@dataclass(frozen=True)
class SuiteResult:
    """The outcome of a suite. `passed` unless a critical rule failed or a rule could not be evaluated."""

    suite: SuiteSpec
    expectations: list[ExpectationOutcome]
    seconds: float

    @property
    def passed(self) -> bool:
        return not self.blocking

    @property
    def blocking(self) -> list[ExpectationOutcome]:
        return [outcome for outcome in self.expectations if outcome.is_blocking]

    @property
    def warnings(self) -> list[ExpectationOutcome]:
        """Rules that failed without blocking."""
        return [outcome for outcome in self.expectations if not outcome.passed and not outcome.is_blocking]

    @property
    def severity(self) -> Literal["critical", "warning"] | None:
        """The worst of what failed, None when everything held."""
        return "critical" if self.blocking else "warning" if self.warnings else None

    @property
    def message(self) -> str:
        """Plain text: a line per failed rule, or that all held."""
        failed = [*self.blocking, *self.warnings]
        if not failed:
            return f"{self.suite.qualified_table}: all {len(self.expectations)} rules hold."
        return "\n".join(f"{self.suite.qualified_table}, {outcome.message}" for outcome in failed)


def run_suites(
    databases: DatabasePaths,
    suites: Sequence[SuiteSpec],
    variables: Mapping[str, object] | None = None,
    *,
    on_progress: Callable[[SuiteResult, int, int], None] | None = None,
) -> list[SuiteResult]:
    """Validates every suite, in the order given, and returns one result for each.

    `variables` are the values of ${name} in the suites (`max_quarantined_share`, …). `on_progress` is called after
    each suite with its result, how many are done and how many there are. SuiteError when a variable is missing or a
    rule names no expectation, FileNotFoundError when a database file does not exist; both before anything runs. A
    missing table or column is a failed, blocking outcome of its suite.
    """
    values = dict(variables or {})
    for name, users in required_variables(suites).items():
        if name not in values:
            raise SuiteError(f"The variable {name} has no value; the suites {', '.join(users)} use it.")
    paths: dict[Database, Path] = {"marts": databases.marts_path, "warehouse": databases.warehouse_path}
    wanted = [database for database in paths if any(spec.database == database for spec in suites)]
    for database in wanted:
        if not paths[database].is_file():
            raise FileNotFoundError(f"{paths[database]} does not exist: run the models before the checks.")

    built = {spec.name: [build_expectation(spec, rule, values) for rule in spec.rules] for spec in suites}
    results: dict[str, SuiteResult] = {}
    with _ephemeral_context() as context:
        for database in wanted:
            with _data_source(context, database, paths[database]) as source:
                for spec in (spec for spec in suites if spec.database == database):
                    results[spec.name] = _run_suite(source, spec, built[spec.name], values)
                    if on_progress:
                        on_progress(results[spec.name], len(results), len(suites))
    return [results[spec.name] for spec in suites]


def build_expectation(spec: SuiteSpec, rule: RuleSpec, variables: Mapping[str, object]) -> Any:
    """The Great Expectations object of a rule; SuiteError when there is no such class or its arguments are wrong."""
    _prepare_environment()
    import great_expectations.expectations as expectation_classes

    from expectations.sql_rule import ExpectNoRows

    where = f"{spec.path.name}, rule {rule.name}"
    words: dict[str, Any] = {
        "description": _as_text(rule.description, variables),
        "severity": rule.severity,
        "meta": {"rule": rule.name},
    }
    try:
        if rule.expectation == ExpectNoRows.__name__:
            sql = filled_in(rule.arguments["sql"], variables, as_sql=True)
            if extra := set(rule.arguments) - {"sql"}:
                raise SuiteError(f"{where}: ExpectNoRows takes sql only, not {', '.join(sorted(extra))}.")
            return ExpectNoRows.of(sql, row_limit=FAILING_ROWS_SHOWN, **words)
        expectation_class = getattr(expectation_classes, rule.expectation, None)
        if expectation_class is None:
            raise SuiteError(f"{where}: Great Expectations has no class {rule.expectation}.")
        return expectation_class(**filled_in(dict(rule.arguments), variables), **words)
    except SuiteError:
        raise
    except KeyError as error:
        raise SuiteError(f"{where}: {error.args[0]} is missing.") from error
    except (TypeError, ValueError) as error:
        raise SuiteError(f"{where}: {' '.join(str(error).split())}") from error


def _run_suite(source: Any, spec: SuiteSpec, expectations: list[Any], variables: Mapping[str, object]) -> SuiteResult:
    import great_expectations as gx

    started = time.perf_counter()
    if not _exists(source, spec):
        problem = f"{spec.database}.duckdb has no table {spec.qualified_table}"
        return SuiteResult(spec, [_not_evaluated(rule, variables, problem) for rule in spec.rules], 0.0)
    try:
        with warnings.catch_warnings():
            # schema_name is deprecated for one schema per connection; one connection sees all schemas of a file here
            warnings.filterwarnings("ignore", message="`schema_name` is deprecated", category=DeprecationWarning)
            asset = source.add_table_asset(spec.name, table_name=spec.table, schema_name=spec.schema)
        batch = asset.add_batch_definition_whole_table("whole table").get_batch()
    except Exception as error:  # GX wraps what the database said into several classes of its own
        problem = f"{spec.qualified_table} cannot be read from {spec.database}.duckdb: {_first_line(str(error))}"
        outcomes = [_not_evaluated(rule, variables, problem) for rule in spec.rules]
        return SuiteResult(spec, outcomes, time.perf_counter() - started)

    validation = batch.validate(
        gx.ExpectationSuite(name=spec.name, expectations=expectations),
        result_format={
            "result_format": "COMPLETE",
            "partial_unexpected_count": FAILING_ROWS_SHOWN,
            "unexpected_index_column_names": list(spec.row_key),
            "return_unexpected_index_query": False,
        },
    )
    # by name: results come back in another order when a metric could not be computed
    by_rule = {result.expectation_config.meta["rule"]: result for result in validation.results}
    outcomes = [_outcome(rule, by_rule[rule.name], variables) for rule in spec.rules]
    return SuiteResult(spec, outcomes, time.perf_counter() - started)


def _exists(source: Any, spec: SuiteSpec) -> bool:
    import sqlalchemy

    query = sqlalchemy.text(
        "select 1 from duckdb_columns() where database_name = :database and schema_name = :schema"
        " and table_name = :table limit 1"
    )
    names = {"database": spec.database, "schema": spec.schema, "table": spec.table}
    with source.get_engine().connect() as connection:
        return connection.execute(query, names).first() is not None


def _outcome(rule: RuleSpec, result: Any, variables: Mapping[str, object]) -> ExpectationOutcome:
    if error := _exception_in(result.exception_info):
        return _not_evaluated(rule, variables, error)
    found = result.result
    failing_rows: list[dict[str, Any]] = []
    failing_count: int | None = None
    if "unexpected_count" in found:  # a rule about the values of a column
        failing_count = found["unexpected_count"] or 0  # NULL on an empty table
        observed: Any = f"{failing_count:,} of {found['element_count']:,} rows"
        failing_rows = found.get("unexpected_index_list") or [
            {rule.column or "value": value} for value in found.get("partial_unexpected_list", [])
        ]
    elif "details" in found and "unexpected_rows" in found["details"]:  # a rule in SQL
        failing_count = found["observed_value"]
        observed = f"{failing_count:,} failing rows" if failing_count != 1 else "1 failing row"
        failing_rows = found["details"]["unexpected_rows"]
    else:  # a rule about an aggregate
        observed = _json_safe(found.get("observed_value"))
    return ExpectationOutcome(
        name=rule.name,
        type=rule.expectation,
        column=rule.column,
        severity=rule.severity,
        description=_as_text(rule.description, variables),
        passed=bool(result.success),
        observed=observed,
        failing_count=failing_count,
        # with `mostly` a rule may hold although some rows do not
        failing_rows=[] if result.success else [_json_safe(row) for row in failing_rows[:FAILING_ROWS_SHOWN]],
        sql=_sql_of(rule, variables),
    )


def _not_evaluated(rule: RuleSpec, variables: Mapping[str, object], error: str) -> ExpectationOutcome:
    return ExpectationOutcome(
        name=rule.name,
        type=rule.expectation,
        column=rule.column,
        severity=rule.severity,
        description=_as_text(rule.description, variables),
        passed=False,
        observed=None,
        failing_count=None,
        failing_rows=[],
        sql=_sql_of(rule, variables),
        error=f"could not be evaluated: {error}",
    )


def _exception_in(info: Mapping[str, Any]) -> str | None:
    """The first message of what went wrong; GX keeps it flat, or one level down per metric."""
    for entry in (info, *(value for value in info.values() if isinstance(value, Mapping))):
        if entry.get("raised_exception"):
            return _first_line(str(entry.get("exception_message")))
    return None


def _first_line(message: str) -> str:
    """What a database said, without the SQL and the class names that SQLAlchemy and GX put around it."""
    line = message.strip().splitlines()[0] if message.strip() else "no message"
    return re.sub(r"^\(\S+\) ", "", line)


def _sql_of(rule: RuleSpec, variables: Mapping[str, object]) -> str | None:
    sql = rule.arguments.get("sql")
    return filled_in(sql, variables, as_sql=True).strip() if sql else None


def _as_text(value: str, variables: Mapping[str, object]) -> str:
    return str(filled_in(value, variables))


def _json_safe(value: Any) -> Any:
    """The value as JSON can hold it: dates in ISO form, decimals as exact text, no NaN, long text cut."""
    if isinstance(value, Mapping):
        return {str(key): _json_safe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_json_safe(item) for item in value]
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _prepare_environment() -> None:
    # read once, when great_expectations is imported
    os.environ["GX_ANALYTICS_ENABLED"] = "false"


@contextlib.contextmanager
def _ephemeral_context() -> Iterator[Any]:
    _prepare_environment()
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    # everything in memory, and no site in a temporary directory: the pages are our own
    context = gx.get_context(
        mode="ephemeral", project_config=DataContextConfig(store_backend_defaults=InMemoryStoreBackendDefaults())
    )
    context.enable_analytics(enable=False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    yield context


@contextlib.contextmanager
def _data_source(context: Any, name: str, path: Path) -> Iterator[Any]:
    """One data source for a database file; every connection is closed on leaving, so that a writer can open it."""
    source = context.data_sources.add_sql(
        name,
        connection_string=f"duckdb:///{path}",
        kwargs={
            # without these GX's results are gone on rollback ("list index out of range")
            "isolation_level": "AUTOCOMMIT",
            "skip_autocommit_rollback": True,
            "connect_args": {"read_only": True},
        },
    )
    try:
        yield source
    finally:
        source.get_execution_engine().close()
        source.get_engine().dispose()
