"""The raw contract as the loader sees it, read from the dbt project's vars."""

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
    path = PROJECT_ROOT / "dbt_project" / "dbt_project.yml"
    contract = yaml.safe_load(path.read_text(encoding="utf-8"))["vars"]["contract"]
    return {
        name: ContractTable(
            name,
            tuple(
                ContractColumn(
                    name=column,
                    contract_type=rules["type"],
                    is_required=rules.get("required", False),
                    is_personal=rules.get("personal", False),
                )
                for column, rules in table["columns"].items()
            ),
        )
        for name, table in contract.items()
    }


def personal_columns() -> frozenset[str]:
    """Names of the columns that hold personal data and may not be published."""
    return frozenset(
        column.name for table in contract_tables().values() for column in table.columns if column.is_personal
    )
