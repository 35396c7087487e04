"""A small shop with history and news, and what must hold of its warehouse whatever happens to a run."""

from __future__ import annotations

import csv
import datetime
import gzip
import hashlib
import json
import random
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb
import yaml

from tests.support.command import Tenure

MAPPING = {
    "dataset": "shop",
    "business_timezone": "Europe/Berlin",
    "reporting_currency": "EUR",
    "sources": {
        "sales": {"read": "landing/sales-*.csv", "timezone": "Europe/Berlin"},
        "returns": "landing/returns.jsonl.gz",
        "people": "landing/people.csv",
        "merges": "landing/merges.csv",
        "clicks": "landing/clicks-*.csv",
    },
    "orders": {
        "from": "sales",
        "columns": {
            "order_id": "order_no", "customer_id": "customer", "ordered_at": "at", "amount": "total",
            "currency": "'EUR'", "status": "status",
        },
    },
    "refunds": {
        "from": "returns",
        "columns": {"refund_id": "id", "order_id": "order_no", "refunded_at": "at", "amount": "total"},
    },
    "customers": {
        "from": "people",
        "columns": {"customer_id": "who", "email": "mail", "acquisition_channel": "channel", "updated_at": "changed"},
    },
    "identity_map": {"from": "merges", "columns": {"alias_id": "old", "customer_id": "new"}},
    "interactions": {
        "from": "clicks",
        "columns": {
            "interaction_id": "id", "customer_id": "customer", "occurred_at": "at", "interaction_type": "'visit'",
        },
    },
    "max_quarantined_share": 0.05,
}  # fmt: skip
ORDERS_A_MONTH, CUSTOMERS = 80, 50


@dataclass(frozen=True)
class Shop:
    """Mapping and files in `folder`, TENURE_HOME beside them."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def landing(self) -> Path:
        return self.folder / "landing"

    def write_history(self) -> None:
        """Three months."""
        self.landing.mkdir(parents=True)
        (self.folder / "shop.yml").write_text(yaml.safe_dump(MAPPING, sort_keys=False))
        for month in (1, 2, 3):
            self.write_sales(month)
        self.write_clicks(2)
        self.write_rest(returns=12, merges=2)

    def write_news(self) -> None:
        """A fourth month, a corrected second, refunds and merges that came later, a changed customer."""
        self.write_sales(4)
        self.write_sales(2, salt=1)
        self.write_clicks(4)
        self.write_rest(returns=20, merges=4)

    def write_sales(self, month: int, salt: int = 0, bad: int = 1, rows: int = ORDERS_A_MONTH) -> Path:
        """A month's orders, the last `bad` of them with an amount that is no number."""
        draw = random.Random(month * 100 + salt)
        lines = [
            [
                f"{month}-{number}",
                f"c{int(draw.expovariate(3) * CUSTOMERS) % CUSTOMERS}" if number % 9 else "",
                _time(2024, month, draw),
                "twelve" if number >= rows - bad else f"{draw.randrange(100, 20_000) / 100:.2f}",
                draw.choices(["completed", "cancelled", "test"], [18, 1, 1])[0],
            ]
            for number in range(rows)
        ]
        return self._csv(f"sales-2024-{month:02}.csv", ["order_no", "customer", "at", "total", "status"], lines)

    def write_clicks(self, month: int) -> None:
        draw = random.Random(month)
        lines = [[f"k{month}-{n}", f"c{draw.randrange(CUSTOMERS)}", _time(2024, month, draw)] for n in range(40)]
        self._csv(f"clicks-{month}.csv", ["id", "customer", "at"], lines)

    def write_rest(self, returns: int, merges: int) -> None:
        refunds = [
            {"id": f"r{n}", "order_no": f"{1 + n % 3}-{n * 3}", "at": f"2024-03-{1 + n % 28:02}", "total": "1.00"}
            for n in range(returns)
        ]
        text = "".join(json.dumps(refund) + "\n" for refund in refunds)
        (self.landing / "returns.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
        people = [
            [f"c{n}", f"c{n}@example.org", ["web", "shop"][n % 2], f"2024-0{merges}-01"] for n in range(CUSTOMERS)
        ]
        self._csv("people.csv", ["who", "mail", "channel", "changed"], people)
        self._csv("merges.csv", ["old", "new"], [[f"c{n}", f"c{n + 20}"] for n in range(merges)])

    def _csv(self, name: str, header: list[str], lines: list[list[str]]) -> Path:
        path = self.landing / name
        with path.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *lines])
        return path

    # --- runs

    def start(self, *, kill_at: str | None = None, pause_at: str | None = None, name: str = "run") -> Tenure:
        command = ["run", "--dataset", self.folder / "shop.yml", "--home", self.home]
        return Tenure.start(self.folder / f"{name}.txt", *command, kill_at=kill_at, pause_at=pause_at)

    def run(self) -> tuple[int, str]:
        """Exit code and output."""
        started = self.start()
        return started.wait(), started.output

    def complete(self) -> str:
        """A run that must succeed. Returns its output."""
        code, said = self.run()
        assert code == 0, said
        return said

    # --- what is there

    @property
    def marts(self) -> Path:
        return self.home / "current" / "marts.duckdb"

    def served(self) -> int:
        """Number of the version that readers see, which is whole: every file as its manifest says, and no other."""
        directory = (self.home / "current").resolve(strict=True)
        manifest = json.loads((directory / "manifest.json").read_text())
        there = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
        assert there == {entry["path"] for entry in manifest["files"]} | {"manifest.json"}
        for entry in manifest["files"]:
            assert hashlib.sha256((directory / entry["path"]).read_bytes()).hexdigest() == entry["sha256"], entry
        assert directory.name == str(manifest["version"])
        return int(manifest["version"])

    def leftovers(self) -> list[str]:
        """What only a publish under way should have there."""
        names = [path.name for path in (self.home / "versions").iterdir() if not path.name.isdecimal()]
        return [name for name in names if name != ".lock"] + [path.name for path in self.home.glob(".current*")]

    def keep(self) -> None:
        """Keeps files and warehouse as they are, to be put back."""
        for folder in (self.home, self.landing):
            shutil.copytree(folder, self._kept(folder), symlinks=True)

    def put_back(self) -> None:
        """At the same path, for which dbt has the project parsed."""
        for folder in (self.home, self.landing):
            if folder.exists():
                shutil.rmtree(folder)
            shutil.copytree(self._kept(folder), folder, symlinks=True)

    def put_back_into_home(self) -> None:
        """The warehouse into a home that is there and empty."""
        shutil.copytree(self._kept(self.home), self.home, symlinks=True, dirs_exist_ok=True)

    def _kept(self, folder: Path) -> Path:
        return self.folder / "kept" / folder.name


def _time(year: int, month: int, draw: random.Random) -> str:
    day = datetime.datetime(year, month, 1 + draw.randrange(28), draw.randrange(24), draw.randrange(60))
    return day.isoformat(sep=" ")


def says(output: str, words: str) -> bool:
    """Whether a run said this, wherever the frame around its message broke the line."""
    said, wanted = (re.sub(r"[│╭╰─╮╯\s]", "", text) for text in (output, words))
    return wanted in said


@dataclass(frozen=True)
class Reference:
    """What must come out: the marts after history and news were run undisturbed, and of all files run at once."""

    in_turn: Path
    at_once: Path

    def differences(self, shop: Shop, *, was_loaded_in_turn: bool = True) -> dict[str, int]:
        """Tables in which the served version differs: how many rows only one of the two has.

        After history and news everything is the same but `quality.run_log`, which tells of each warehouse's own runs.
        Of files loaded in other steps the number of the load differs too, and nothing else.
        """
        found = _differences(shop.marts, self.at_once, has_load_ids=False)
        return found | (_differences(shop.marts, self.in_turn, has_load_ids=True) if was_loaded_in_turn else {})


def _differences(marts: Path, reference: Path, *, has_load_ids: bool) -> dict[str, int]:
    found: dict[str, int] = {}
    with duckdb.connect() as connection:
        connection.execute(f"attach '{marts}' as a (read_only); attach '{reference}' as b (read_only)")
        tables, expected = (_tables(connection, catalog) for catalog in ("a", "b"))
        assert tables == expected
        for table, columns in tables.items():
            if table == "quality.run_log":
                continue
            shown = ", ".join(f'"{column}"' for column in columns)
            if not has_load_ids and "load_id" in columns:
                # Counts of several loads are those of one load of the same rows.
                shown = ", ".join(
                    f'sum("{column}")' if column.endswith("_count") or column == "rows_read" else f'"{column}"'
                    for column in columns
                    if column != "load_id"
                )
                shown += " from {} group by all"
            else:
                shown += " from {}"
            one, other = (f"(select {shown.format(f'{catalog}.{table}')})" for catalog in ("a", "b"))
            row = connection.execute(
                f"""select count(*) from (
                    (from {one} except all from {other}) union all (from {other} except all from {one}))"""
            ).fetchone()
            if row and row[0]:
                found[table] = row[0]
    return found


def _tables(connection: duckdb.DuckDBPyConnection, catalog: str) -> dict[str, list[str]]:
    rows = connection.execute(
        """select schema_name || '.' || table_name, list(column_name order by column_index) from duckdb_columns()
        where database_name = ? and not internal group by all order by all""",
        [catalog],
    ).fetchall()
    return dict(rows)
