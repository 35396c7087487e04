"""The raw contract as the loader sees it, read from `dbt_project/models/staging/contract.yml`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import yaml

from orchestration.lib.settings import PROJECT_ROOT


@dataclass(frozen=True)
class ContractColumn:
    """One column of a contract table.

    Attributes:
        contract_type: text, timestamp, date, amount, number, integer or boolean.
        is_personal: whether it is kept out of every published table.
    """

    name: str
    contract_type: str
    is_required: bool
    is_personal: bool


@dataclass(frozen=True)
class ContractTable:
    name: str
    columns: tuple[ContractColumn, ...]

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.is_required)


@cache
def contract_tables() -> dict[str, ContractTable]:
    """The contract tables by name, in the order of the file."""
    path = PROJECT_ROOT / "dbt_project" / "models" / "staging" / "contract.yml"
    source = yaml.safe_load(path.read_text())["sources"][0]
    tables = {}
    for table in source["tables"]:
        if "columns" not in table:
            continue
        columns = tuple(
            ContractColumn(
                name=column["name"],
                contract_type=column["config"]["meta"]["contract_type"],
                is_required=column["config"]["meta"].get("required", False),
                is_personal=column["config"]["meta"].get("personal", False),
            )
            for column in table["columns"]
        )
        tables[table["name"]] = ContractTable(table["name"], columns)
    return tables


def personal_columns() -> frozenset[str]:
    """Names of the columns that hold personal data and may not be published."""
    return frozenset(
        column.name
        for table in contract_tables().values()
        for column in table.columns
        if column.is_personal
    )
