"""A small shop's raw files and mapping, loaded for real."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import yaml

from orchestration.lib import inputs, loading
from orchestration.lib.forecast import tables
from orchestration.lib.loading import LoadReport
from orchestration.lib.mapping import Mapping, load_mapping
from orchestration.lib.settings import Settings
from tests.support.project import compiled

ORDERS = {"order_id": "id", "customer_id": "customer", "ordered_at": "at", "amount": "total"}


@dataclass
class Shop:
    """Files under `folder`, the mapping `shop.yml` beside them, TENURE_HOME in `home`."""

    folder: Path

    @property
    def settings(self) -> Settings:
        return Settings(home=self.folder / "home", dataset="shop", mapping_path=self.folder / "shop.yml")

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    def map(self, **content: Any) -> Path:
        """Writes the mapping: by default, orders from orders*.csv with the columns id, customer, at, total."""
        mapping = {"dataset": "shop", "reporting_currency": "EUR", **content}
        mapping.setdefault("sources", {"orders": "orders*.csv"})
        mapping.setdefault("orders", {"from": "orders", "columns": ORDERS})
        return self.write("shop.yml", yaml.safe_dump(mapping))

    @property
    def mapping(self) -> Mapping:
        return load_mapping(self.settings.mapping_path)

    def load(self) -> LoadReport:
        mapping = self.mapping
        return loading.load(self.settings, mapping, inputs.fingerprint(self.settings, mapping))

    def check(self) -> dict[str, list[tuple[str, str]]]:
        mapping = self.mapping
        return loading.check(mapping, inputs.fingerprint(self.settings, mapping))

    def staged(
        self, *, only: tuple[str, ...] = ("staging", "intermediate", "marts/core", "marts/quality")
    ) -> duckdb.DuckDBPyConnection:
        """Loads, runs the staging, intermediate, core and quality models without fits, and connects to both files."""
        self.load()
        connection = duckdb.connect(str(self.settings.warehouse_path))
        connection.execute(f"set TimeZone = 'UTC'; attach '{self.settings.marts_path}' as marts")
        tables.create(connection, tables.TABLES)
        project = compiled(json.dumps(self.mapping.dbt_vars(), default=str))
        project.build(connection, only=only)
        return connection

    def quarantine(self) -> list[tuple[Any, ...]]:
        """Quarantined rows: (table, file, row, column, value, reason), sorted."""
        with self.staged() as connection:
            return connection.execute(
                """select table_name, source_file, source_row, rejected_column, rejected_value, reason
                from intermediate.int_rows_quarantined order by all"""
            ).fetchall()
