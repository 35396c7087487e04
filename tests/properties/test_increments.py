"""The law of increments: after any sequence of loads every table equals a rebuild from the same raw rows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.lib import dbt as dbt_runner
from orchestration.lib import increments, inputs, loading
from orchestration.lib.dbt import DbtPlace, ParsedProject
from orchestration.lib.forecast import brand_panels, churn_risk, purchase_fits, wallets
from orchestration.lib.settings import PROJECT_ROOT
from tests.support.shop import Shop

FIRST_DAY = date(2024, 1, 10)
CUSTOMERS = ["a", "b", "c", "d", "a2", "b2", ""]
IDS = st.integers(1, 12)
DAYS = st.integers(0, 120)
ORDER = st.tuples(IDS, st.sampled_from(CUSTOMERS), DAYS, st.sampled_from([0, 1, 250, 9_900, -5]), st.integers(0, 3))
REFUND = st.tuples(st.integers(1, 6), IDS, st.integers(30, 150), st.sampled_from([1, 100]))
VISIT = st.tuples(
    st.integers(1, 8),
    st.sampled_from(CUSTOMERS),
    DAYS,
    st.sampled_from(["visit", "complaint", "complaint_resolved", "account_closed", "odd", "points_redeemed"]),
    st.sampled_from(["", "3", "500"]),
)
LINE = st.tuples(IDS, st.integers(1, 2), st.sampled_from(["shoes", "hats"]), st.sampled_from([100, 250]))
MERGE = st.tuples(st.sampled_from(["a2", "b2", "c"]), st.sampled_from(["a", "b", "a2"]), st.sampled_from(["", "90"]))
PERSON = st.tuples(
    st.sampled_from(["a", "b", "c", "a2", "z"]), st.sampled_from(["web", "shop", ""]), st.one_of(st.just(""), DAYS)
)
WALLET = st.tuples(
    st.sampled_from(["a", "b", "a2", "q"]), st.sampled_from(["shoes", "hats"]), st.sampled_from(["us", "them"]),
    st.sampled_from([100, 250, ""]), st.sampled_from(["", "", 1, 2]),
)  # fmt: skip

# A delivery is a file by name: the same name again replaces what it had.
FILES = st.one_of(
    st.tuples(st.sampled_from(["orders_1", "orders_2", "orders_3"]), st.lists(ORDER, max_size=6)),
    st.tuples(st.sampled_from(["refunds_1", "refunds_2"]), st.lists(REFUND, max_size=3)),
    st.tuples(st.sampled_from(["visits_1", "visits_2"]), st.lists(VISIT, max_size=4)),
    st.tuples(st.just("lines_1"), st.lists(LINE, max_size=4)),
    st.tuples(st.just("wallets_1"), st.lists(WALLET, max_size=4)),
    st.tuples(st.just("merges_1"), st.lists(MERGE, max_size=3)),
    st.tuples(st.just("people_1"), st.lists(PERSON, max_size=3)),
    st.tuples(st.just("erasures_1"), st.lists(st.tuples(st.sampled_from(["a", "d", "b2"])), max_size=1)),
)
HEADERS = {
    "orders": "id,customer,at,cents,changed",
    "refunds": "id,order,at,cents",
    "visits": "id,customer,at,kind,score",
    "lines": "order,line,category,cents",
    "wallets": "who,category,brand,cents,rank",
    "merges": "old,new,until",
    "people": "who,channel,joined",
    "erasures": "who",
}
# A load brings a few files, or is of the same files; a var may change with it; its build may stop after some models.
CHANGES = st.sampled_from([None, None, None, 1, "2024-03-20"])
STOPS = st.sampled_from(
    [None, None, None, "stg_orders_checked", "int_purchase_days", "int_customer_periods", "int_cohort_days_summed",
     "int_growth_summed", "int_revenue_intervals_summed", "int_tiers_qualified", "int_points_lots", "retention_cohorts",
     "int_forecast_features", "int_forecast_scores", "int_brands_observed", "int_wallets_observed"]
)  # fmt: skip
LOADS = st.lists(st.tuples(st.lists(FILES, max_size=3), CHANGES, STOPS), min_size=2, max_size=4)
FIRST_ORDERS = st.lists(ORDER, min_size=3, max_size=8)


def day(number: int | str) -> str:
    return str(FIRST_DAY + timedelta(days=int(number))) if number != "" else ""


def content(name: str, rows: list[tuple[Any, ...]]) -> str:
    kind = name.split("_")[0]
    lines = [HEADERS[kind]]
    for row in rows:
        values = list(row)
        if kind == "orders":
            values[2], values[4] = day(values[2]), day(values[4]) if values[4] else ""
        elif kind in ("refunds", "visits", "merges", "people"):
            values[2] = day(values[2])
        lines.append(",".join(map(str, values)))
    return "\n".join(lines) + "\n"


class Warehouse:
    """A shop whose loads are built as `tenure run` builds them, without checks and publishing."""

    def __init__(self, folder: Path) -> None:
        self.shop = Shop(folder)
        for kind in HEADERS:
            self.shop.write(f"{kind}_0.csv", HEADERS[kind] + "\n")
        self.map()

    def map(self, **more: Any) -> None:
        money = "cast(cents as decimal(18, 4)) / 100"
        self.shop.map(
            sources={kind: f"{kind}_*.csv" for kind in HEADERS},
            orders={
                "from": "orders",
                "columns": {"order_id": "id", "customer_id": "customer", "ordered_at": "at", "amount": money,
                            "updated_at": "changed"},
            },
            refunds={
                "from": "refunds",
                "columns": {"refund_id": "id", "order_id": "order", "refunded_at": "at", "amount": money},
            },
            interactions={
                "from": "visits",
                "columns": {"interaction_id": "id", "customer_id": "customer", "occurred_at": "at",
                            "interaction_type": "kind", "score": "score"},
            },
            order_lines={
                "from": "lines",
                "columns": {"order_id": "order", "line_number": "line", "category": "category", "amount": money,
                            "brand": "case cents when '100' then 'us' else 'them' end"},
            },
            wallet_observations={
                "from": "wallets",
                "columns": {"customer_id": "who", "period_start": "'2024-01-01'", "period_end": "'2024-03-31'",
                            "category": "category", "brand": "brand", "spend": money, "rank": "rank"},
            },
            identity_map={
                "from": "merges",
                "columns": {"alias_id": "old", "customer_id": "new", "valid_to": "until"},
            },
            customers={
                "from": "people",
                "columns": {"customer_id": "who", "acquisition_channel": "channel", "enrolled_at": "joined"},
            },
            erasures={"from": "erasures", "columns": {"customer_id": "who", "requested_at": "'2024-06-01'"}},
            **more | {"vars": {"own_brands": ["us"], "panel_period": "quarter", **more.get("vars", {})}},
        )  # fmt: skip

    def place(self) -> DbtPlace:
        paths = self.shop.settings
        return DbtPlace(
            project_dir=PROJECT_ROOT / "dbt_project",
            work_dir=paths.work_dir,
            target_dir=paths.target_dir,
            variables=self.shop.mapping.dbt_vars(),
        )

    def run(self, *, is_full: bool = False, stops_after: str | None = None) -> None:
        """Loads what is new and builds: all, or no more than a model and what it needs, as if killed then."""
        paths, mapping = self.shop.settings, self.shop.mapping
        loading.load(paths, mapping, inputs.fingerprint(paths, mapping))
        place = self.place()
        project = parsed(place)
        views = increments.contract_views(paths.warehouse_path)
        prints = increments.fingerprints(project.manifest_json, dict(place.variables), views)
        increments.plan(paths.warehouse_path, prints, project.manifest_json, is_full=is_full)
        if stops_after:
            build(place, project, f"+{stops_after}")
            return
        for phase in dbt_runner.PHASES:
            build(place, project, *phase.select, exclude=phase.exclude)
            if phase is dbt_runner.MARTS:
                fit(paths.warehouse_path)
        increments.complete(paths.warehouse_path, prints)

    def rebuilt(self, folder: Path) -> Warehouse:
        """A copy of the raw rows, and nothing else, built from nothing."""
        shutil.copytree(self.shop.folder, folder)
        copy = Warehouse.__new__(Warehouse)
        copy.shop = Shop(folder)
        copy.run(is_full=True)
        return copy

    @contextmanager
    def connected(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with duckdb.connect() as connection:
            connection.execute(f"attach '{self.shop.settings.warehouse_path}' as warehouse (read_only)")
            connection.execute(f"attach '{self.shop.settings.marts_path}' as marts (read_only)")
            yield connection


def build(place: DbtPlace, project: ParsedProject, *select: str, exclude: tuple[str, ...] = ()) -> None:
    """Seeds and models, without their tests."""
    outcome = dbt_runner.build(place, project, select=select, exclude=(*exclude, "resource_type:test"))
    assert outcome.is_success, [failure.message for failure in outcome.failures]


def fit(warehouse: Path) -> None:
    families = ["bg_nbd", "pareto_nbd"]
    with duckdb.connect(str(warehouse)) as connection:
        purchase_fits.write(connection, purchase_fits.fit(connection, families, fewest_repeaters=100), clv_months=36)
        churn_risk.learn_risk(connection)
        brand_panels.fit(connection, fewest_buyers=1)
        wallets.model_wallets(connection, wallets.Rules(quantile=0.9, least_customers=1, trial_count=5))


_PROJECTS: dict[str, ParsedProject] = {}


def parsed(place: DbtPlace) -> ParsedProject:
    """Parsed once for each project and set of variables: the paths of the warehouse are read when dbt runs."""
    key = json.dumps([str(place.project_dir), dict(place.variables)], sort_keys=True, default=str)
    if key not in _PROJECTS:
        _PROJECTS[key] = dbt_runner.parse(place)
    return _PROJECTS[key]


def contents(warehouse: Warehouse) -> dict[str, list[str]]:
    """Rows of every table that dbt builds, as text, sorted; increments' own bookkeeping apart."""
    with warehouse.connected() as connection:
        tables = connection.execute(
            """select database_name, schema_name, table_name from duckdb_tables()
            where database_name in ('warehouse', 'marts') and schema_name not in ('raw', 'seeds')
                and table_name not like '%affected' and table_name <> 'touched' order by all"""
        ).fetchall()
        return {
            f"{schema}.{table}": sorted(
                str(row) for row in connection.execute(f'select * from "{database}"."{schema}"."{table}"').fetchall()
            )
            for database, schema, table in tables
        }


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(first=FIRST_ORDERS, loads=LOADS)
def test_after_any_loads_every_table_equals_a_rebuild(
    first: list[tuple[Any, ...]],
    loads: list[tuple[list[tuple[str, list[tuple[Any, ...]]]], int | str | None, str | None]],
) -> None:
    with TemporaryDirectory() as folder:
        warehouse = Warehouse(Path(folder, "shop"))
        warehouse.shop.write("orders_1.csv", content("orders_1", first))
        warehouse.run()
        for files, change, stops_after in loads:
            for name, rows in files:
                warehouse.shop.write(f"{name}.csv", content(name, rows))
            if isinstance(change, str):
                warehouse.map(data_end=change)
            elif change is not None:
                warehouse.map(vars={"segment_max_values": change})
            warehouse.run(stops_after=stops_after)
        if stops_after:
            warehouse.run()
        rebuilt = warehouse.rebuilt(Path(folder, "rebuilt"))
        grown, anew = contents(warehouse), contents(rebuilt)
    assert grown.keys() == anew.keys()
    assert {name for name in grown if grown[name] != anew[name]} == set()
