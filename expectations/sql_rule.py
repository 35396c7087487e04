"""`ExpectNoRows`, the project's own expectation: a SQL query that returns the rows that break a rule.

Importing this module imports Great Expectations (3 s): only functions that validate do it.

Great Expectations' own UnexpectedRowsExpectation differs in three ways that matter here: it runs the query twice
(rows, then count), it wants the placeholder {batch} in place of the table's name and every other brace doubled,
so that a query cannot be pasted into a SQL shell, and it prints to stdout where the placeholder is missing.
"""

from __future__ import annotations

from typing import Any, ClassVar

from great_expectations.compatibility import pydantic
from great_expectations.expectations import UnexpectedRowsExpectation

FAILING_ROW_COUNT = "_failing_row_count"


class ExpectNoRows(UnexpectedRowsExpectation):  # type: ignore[misc]  # Any to mypy
    """Holds when the query returns no row; otherwise keeps the number of rows and the first of them."""

    metric_dependencies: ClassVar[tuple[str, ...]] = ("unexpected_rows_query.table",)

    @pydantic.validator("unexpected_rows_query")  # type: ignore[untyped-decorator]
    def _validate_query(cls, query: str) -> str:  # replaces the parent's validator of this name
        return query

    @classmethod
    def of(cls, sql: str, *, row_limit: int, **arguments: Any) -> ExpectNoRows:
        """The expectation for plain SQL; of the rows found at most `row_limit` are fetched, all are counted."""
        query = sql.strip().rstrip(";").replace("{", "{{").replace("}", "}}")
        return cls(
            unexpected_rows_query=(
                f"select *, count(*) over () as {FAILING_ROW_COUNT} from (\n{query}\n) limit {row_limit}"
            ),
            **arguments,
        )

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        rows = metrics["unexpected_rows_query.table"]
        count = rows[0][FAILING_ROW_COUNT] if rows else 0
        shown = [{name: value for name, value in row.items() if name != FAILING_ROW_COUNT} for row in rows]
        return {
            "success": not rows,
            "result": {"observed_value": count, "details": {"unexpected_rows": shown}},
        }
