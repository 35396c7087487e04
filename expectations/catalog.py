"""The expectation suites as plain data: what is checked, where, how severe and in which words.

Reads the YAML files of `expectations/suites/` and nothing else. Great Expectations is not imported here, so
that a Dagster code location can list its asset checks without paying for that import.

One file per table::

    table: marts.core.fct_orders        # database file, schema, table
    row_key: [order_id]                 # columns shown beside every failing value
    rules:
      - name: amounts_are_plausible
        expectation: ExpectColumnValuesToBeBetween     # a class of Great Expectations, its arguments beside it
        columns: [gross_amount, refund_amount]         # `columns` repeats the rule for each of them
        min_value: 0
        severity: critical              # critical stops publishing, warning is shown
        description: What must hold, and what to do when it does not.
      - name: revenue_agrees
        expectation: ExpectNoRows       # our own: plain SQL that returns the rows that break the rule
        sql: select ...                 # runs as it stands in the duckdb shell; ${variable} is filled in
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from orchestration.lib.errors import UserError

Database = Literal["marts", "warehouse"]
Severity = Literal["critical", "warning"]

SUITES_DIRECTORY = Path(__file__).parent / "suites"
DBT_PROJECT_FILE = Path(__file__).parents[1] / "dbt_project" / "dbt_project.yml"

_SUITE_KEYS = {"table", "row_key", "rules"}
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class SuiteError(UserError):
    """A suite that cannot be used; the message names the file, the rule and what is wrong."""


@dataclass(frozen=True)
class RuleSpec:
    """One expectation: a class of Great Expectations (or `ExpectNoRows`), its arguments, severity and words."""

    name: str
    expectation: str
    severity: Severity
    description: str
    arguments: Mapping[str, Any]

    @property
    def column(self) -> str | None:
        """The column that the rule is about, None for rules about a whole table."""
        return self.arguments.get("column")

    @property
    def variables(self) -> frozenset[str]:
        """Names of the variables written as ${name} in the arguments or the description."""
        return frozenset(_variables_in([dict(self.arguments), self.description]))


@dataclass(frozen=True)
class SuiteSpec:
    """The rules of one table. `name` is the table's name, unique over all suites."""

    name: str
    database: Database
    schema: str
    table: str
    row_key: tuple[str, ...]
    rules: tuple[RuleSpec, ...]
    path: Path

    @property
    def qualified_table(self) -> str:
        """Schema and table, as SQL and the asset key write it: `core.fct_orders`."""
        return f"{self.schema}.{self.table}"


def suites(directory: Path = SUITES_DIRECTORY) -> list[SuiteSpec]:
    """Every suite of the directory in order of file name; SuiteError names what is wrong with a file."""
    specs = [read_suite(path) for path in sorted(directory.glob("*.yml"))]
    if not specs:
        raise SuiteError(f"{directory} holds no suite (*.yml).")
    return specs


def read_suite(path: Path) -> SuiteSpec:
    """The suite of one YAML file."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise SuiteError(f"{path.name} is not readable YAML: {error}") from error
    if not isinstance(content, dict):
        raise SuiteError(f"{path.name} must be a mapping with table, row_key and rules.")
    if unknown := set(content) - _SUITE_KEYS:
        raise SuiteError(f"{path.name}: unknown key {_listed(unknown)}; known are {_listed(_SUITE_KEYS)}.")

    parts = str(content.get("table", "")).split(".")
    if len(parts) != 3 or parts[0] not in get_args(Database):
        raise SuiteError(
            f"{path.name}: table must be marts.<schema>.<table> or warehouse.<schema>.<table>, "
            f"not {content.get('table')!r}."
        )
    database, schema, table = parts
    if path.stem != table:
        raise SuiteError(f"{path.name} describes the table {table}: name the file {table}.yml.")

    rules = [rule for entry in content.get("rules") or [] for rule in _read_rules(path, entry)]
    if not rules:
        raise SuiteError(f"{path.name} has no rules.")
    names = [rule.name for rule in rules]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise SuiteError(f"{path.name}: more than one rule is named {_listed(repeated)}.")
    return SuiteSpec(
        name=table,
        database=database,  # type: ignore[arg-type]  # checked above
        schema=schema,
        table=table,
        row_key=tuple(content.get("row_key") or ()),
        rules=tuple(rules),
        path=path,
    )


def required_variables(specs: Iterable[SuiteSpec]) -> dict[str, list[str]]:
    """The variables that the suites need, each with the suites that use it."""
    needed: dict[str, list[str]] = {}
    for spec in specs:
        for name in sorted(frozenset().union(*(rule.variables for rule in spec.rules))):
            needed.setdefault(name, []).append(spec.name)
    return needed


def project_variables(dbt_project_file: Path = DBT_PROJECT_FILE) -> dict[str, Any]:
    """The thresholds of dbt_project.yml: the defaults of ${name}, which a mapping overrides."""
    return dict(yaml.safe_load(dbt_project_file.read_text(encoding="utf-8"))["vars"])


def filled_in(value: Any, variables: Mapping[str, object], *, as_sql: bool = False) -> Any:
    """`value` with every ${name} replaced.

    A string that is nothing but ${name} becomes the variable's own value with its type. Inside a longer text the
    value is written out: as a SQL literal with `as_sql`, else as plain text. KeyError names a missing variable.
    """
    if isinstance(value, dict):
        return {key: filled_in(item, variables, as_sql=as_sql) for key, item in value.items()}
    if isinstance(value, list):
        return [filled_in(item, variables, as_sql=as_sql) for item in value]
    if not isinstance(value, str):
        return value
    if not as_sql and (whole := _VARIABLE.fullmatch(value)):
        return variables[whole[1]]
    return _VARIABLE.sub(lambda match: _sql_literal(variables[match[1]]) if as_sql else str(variables[match[1]]), value)


def _read_rules(path: Path, entry: object) -> Iterable[RuleSpec]:
    if not isinstance(entry, dict):
        raise SuiteError(f"{path.name}: a rule must be a mapping, not {entry!r}.")
    arguments = dict(entry)
    name, expectation = arguments.pop("name", None), arguments.pop("expectation", None)
    severity, description = arguments.pop("severity", None), arguments.pop("description", None)
    where = f"{path.name}, rule {name!r}"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SuiteError(f"{where}: the name must be lower case words joined by _.")
    if not isinstance(expectation, str) or not expectation.startswith("Expect"):
        raise SuiteError(f"{where}: expectation must name a class such as ExpectColumnValuesToBeBetween.")
    if severity not in get_args(Severity):
        raise SuiteError(f"{where}: severity must be critical or warning, not {severity!r}.")
    if not isinstance(description, str) or not description.strip():
        raise SuiteError(f"{where}: a description is missing; whoever sees the rule fail reads it.")

    columns = arguments.pop("columns", None)
    if columns is not None and (not isinstance(columns, list) or not columns or "column" in arguments):
        raise SuiteError(f"{where}: columns must be a list, and excludes column.")
    for column in columns or [None]:
        yield RuleSpec(
            name=name if column is None else f"{name}.{column}",
            expectation=expectation,
            severity=severity,
            description=" ".join(description.split()),
            arguments=arguments if column is None else {"column": column, **arguments},
        )


def _variables_in(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield from _VARIABLE.findall(value)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _variables_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _variables_in(item)


def _sql_literal(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    return "'" + str(value).replace("'", "''") + "'"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(map(str, names)))
