"""What a change of code, seed, var or mapping makes the next build compute anew."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.lib import increments
from tests.support.project import manifest
from tests.support.shop import ORDERS, Shop

VARIABLES = {"business_timezone": "UTC", "segment_max_values": 50, "reporting_currency": "USD", "contract": {}}
VIEWS = {"orders": "select 1", "customers": "select 2"}


@pytest.fixture
def parsed() -> dict[str, Any]:
    return copy.deepcopy(manifest())


def rebuilt(
    folder: Path,
    before: tuple[dict[str, Any], dict[str, Any], dict[str, str]],
    after: tuple[dict[str, Any], Any, dict[str, str]],
) -> set[str]:
    """Models that are computed anew when what was built `before` is built `after`."""
    folder.mkdir(exist_ok=True)
    warehouse = folder / "warehouse.duckdb"
    first = increments.fingerprints(*before)
    increments.plan(warehouse, first, before[0])

    with duckdb.connect(str(warehouse)) as connection:
        for name, value in first.items():
            connection.execute("insert into raw.built_nodes values (?, ?)", [name, value])
    return set(increments.plan(warehouse, increments.fingerprints(*after), after[0]))


def test_the_first_build_computes_every_model(
    tmp_path: Path,
    parsed: dict[str, Any],
) -> None:
    planned = increments.plan(tmp_path / "warehouse.duckdb", increments.fingerprints(parsed, VARIABLES, VIEWS), parsed)
    models = {node["name"] for node in parsed["nodes"].values() if node["resource_type"] == "model"}
    assert set(planned) == models


def test_nothing_changed_nothing_anew(
    tmp_path: Path,
    parsed: dict[str, Any],
) -> None:
    state = (parsed, VARIABLES, VIEWS)
    assert rebuilt(tmp_path, state, state) == set()


def test_a_var_reaches_the_models_that_use_it_and_their_readers(tmp_path: Path, parsed: dict[str, Any]) -> None:
    anew = rebuilt(tmp_path, (parsed, VARIABLES, VIEWS), (parsed, {**VARIABLES, "segment_max_values": 9}, VIEWS))
    assert {"int_cohort_label_sets", "retention_cohorts", "retention_brackets"} <= anew
    assert anew.isdisjoint({"stg_orders_checked", "int_orders_enriched", "fct_orders", "growth_accounting"})


def test_a_seed_that_dbt_knows_by_its_path_alone_counts_by_its_content(tmp_path: Path, parsed: dict[str, Any]) -> None:
    def with_overrides(content: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
        (tmp_path / f"{content}.csv").write_text(content)
        changed = copy.deepcopy(parsed)
        changed["nodes"]["seed.tenure.tier_overrides"] |= {
            "checksum": {"name": "path", "checksum": "the same"},
            "root_path": str(tmp_path),
            "original_file_path": f"{content}.csv",
        }
        return changed, VARIABLES, VIEWS

    anew = rebuilt(tmp_path, with_overrides("few"), with_overrides("more"))
    assert {"int_tier_paths_walked", "tier_history"} <= anew
    assert "int_tiers_granted" not in anew
    (tmp_path / "copy").mkdir()
    assert rebuilt(tmp_path / "copy", with_overrides("few"), with_overrides("few")) == set()


def test_a_var_inside_a_macro_counts(
    tmp_path: Path,
    parsed: dict[str, Any],
) -> None:
    changed = {**VARIABLES, "business_timezone": "Asia/Tokyo"}
    anew = rebuilt(tmp_path, (parsed, VARIABLES, VIEWS), (parsed, changed, VIEWS))
    assert {"int_orders_enriched", "fct_orders", "retention_cohorts"} <= anew


def test_a_seed_reaches_its_readers(
    tmp_path: Path,
    parsed: dict[str, Any],
) -> None:
    later = copy.deepcopy(parsed)
    later["nodes"]["seed.tenure.interaction_types"]["checksum"]["checksum"] = "other"
    anew = rebuilt(tmp_path, (parsed, VARIABLES, VIEWS), (later, VARIABLES, VIEWS))
    assert {"int_interactions_enriched", "fct_interactions"} <= anew
    assert anew.isdisjoint({"stg_orders_checked", "int_orders_enriched", "fct_orders"})


def test_a_model_and_a_dialect_of_a_macro_reach_their_readers(tmp_path: Path, parsed: dict[str, Any]) -> None:
    later = copy.deepcopy(parsed)
    later["nodes"]["model.tenure.int_purchase_days"]["checksum"]["checksum"] = "other"
    anew = rebuilt(tmp_path, (parsed, VARIABLES, VIEWS), (later, VARIABLES, VIEWS))
    assert {"int_purchase_days", "fct_customer_months", "retention_cohorts"} <= anew
    assert anew.isdisjoint({"int_orders_enriched", "fct_orders"})
    later = copy.deepcopy(parsed)
    later["macros"]["macro.tenure.default__iso_weekday"]["macro_sql"] += " "
    assert rebuilt(tmp_path / "other", (parsed, VARIABLES, VIEWS), (later, VARIABLES, VIEWS)) == {"dim_dates"}


def test_a_mapping_reaches_the_tables_that_it_fills_otherwise(tmp_path: Path, parsed: dict[str, Any]) -> None:
    later = {**VIEWS, "customers": "select 3"}
    anew = rebuilt(tmp_path, (parsed, VARIABLES, VIEWS), (parsed, VARIABLES, later))
    assert {"stg_customers_checked", "int_customers_labelled", "dim_customers"} <= anew
    assert anew.isdisjoint({"stg_orders_checked", "int_orders_enriched", "fct_orders"})


def test_a_mapping_with_a_lookup_reads_the_same_however_often_it_is_written(tmp_path: Path) -> None:
    """DuckDB writes what `exclude` lists in another order each time that it writes a view to its file."""
    shop = Shop(tmp_path)
    shop.write("orders.csv", "id,customer,at,total\n1,a,2024-01-01,5\n")
    shop.write("cities.csv", "customer,city\na,Bonn\n")
    shop.map(
        sources={"orders": "orders*.csv", "cities": "cities.csv"},
        orders={"from": "orders", "lookups": {"cities": "customer"}, "columns": {**ORDERS, "channel": "city"}},
    )
    shop.load()
    seen = set()
    for number in range(4):
        seen.add(increments.contract_views(shop.settings.warehouse_path)["orders"])
        with duckdb.connect(str(shop.settings.warehouse_path)) as connection:
            connection.execute(f"create table main.written_{number} as select 1 as number")
    assert len(seen) == 1


def test_what_is_planned_anew_stays_so_until_a_build_goes_through(tmp_path: Path, parsed: dict[str, Any]) -> None:
    """Changed and changed back in between, with a build that was killed: its tables are of the changed code."""
    warehouse = tmp_path / "warehouse.duckdb"
    now = increments.fingerprints(parsed, VARIABLES, VIEWS)
    state = (parsed, VARIABLES, VIEWS)
    assert rebuilt(tmp_path, state, state) == set()
    later = copy.deepcopy(parsed)
    later["nodes"]["model.tenure.dim_dates"]["checksum"]["checksum"] = "other"
    increments.plan(warehouse, increments.fingerprints(later, VARIABLES, VIEWS), later)
    assert increments.plan(warehouse, now, parsed) == ["dim_dates"]


def test_a_backfill_adds_sums_up_anew_and_keeps_what_they_are_made_of(tmp_path: Path, parsed: dict[str, Any]) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    state = (parsed, VARIABLES, VIEWS)
    assert rebuilt(tmp_path, state, state) == set()
    anew = set(increments.plan(warehouse, increments.fingerprints(*state), parsed, is_backfill=True))
    assert {"int_growth_summed", "int_purchase_gaps_summed", "growth_accounting"} <= anew
    assert anew.isdisjoint({"stg_orders_checked", "int_purchase_days", "int_customer_periods", "fct_orders"})
