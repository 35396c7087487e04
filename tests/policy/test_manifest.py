"""House rules, read from dbt's own manifest: names, layers, contracts, and SQL that both engines understand."""

from __future__ import annotations

import csv
import re
from typing import Any

import pytest

from orchestration.lib.contract import personal_columns
from orchestration.lib.report import figures
from orchestration.lib.settings import PROJECT_ROOT
from tests.support.project import compiled, manifest, memory_warehouse

LAYERS = ("staging", "intermediate", "marts")
PREFIXES = {"staging": "stg_", "intermediate": "int_"}
CORE_PREFIXES = ("dim_", "fct_")

AMOUNT = r"\w+_amount(_\d+d(_before)?)?"
# Figures of forecasts, and parameters by the letters of the literature.
FORECAST = r"p_alive|expected_purchases_\d+d|forecast|actual|log_likelihood|r|alpha|a|b|s|beta|p|q|v|m|k"

# Functions and operators of one engine; they belong in macros/portable.
ENGINE_ONLY = {
    r"::": "a cast by ::",
    r"\bqualify\b": "qualify",
    r"\bunnest\s*\(": "unnest",
    r"\bgenerate_series\s*\(": "generate_series",
    r"\bstrftime\s*\(": "strftime",
    r"\bstrptime\s*\(": "strptime",
    r"\bregexp_\w+\s*\(": "regexp_…",
    r"\btry_cast\s*\(": "try_cast",
    r"\btimezone\s*\(": "timezone",
    r"\bepoch\w*\s*\(": "epoch",
    r"\bisodow\s*\(": "isodow",
    r"\bdate_diff\s*\(": "date_diff",
    r"\bdatediff\s*\(": "datediff",
    r"\bto_(days|months|years)\s*\(": "to_days/months",
    r"\binterval\b": "interval arithmetic",
    r"\blist_\w+\s*\(": "list_…",
    r"\bquantile_\w+\s*\(": "quantile_…",
    r"\bpercentile\w*\s*\(": "percentile",
    r"\barg_(min|max)\s*\(": "arg_min/arg_max",
    r"\bhugeint\b": "hugeint",
    r"(?<![/*])//(?!/)": "integer division by //",
    r"\bselect\s+\*\s+exclude\b": "exclude",
    r"\basof\b": "asof join",
    r"\bilike\b": "ilike",
}


def models() -> dict[str, dict[str, Any]]:
    return {node["name"]: node for node in manifest()["nodes"].values() if node["resource_type"] == "model"}


def layer(node: dict[str, Any]) -> str:
    return str(node["fqn"][1])


def folder(node: dict[str, Any]) -> str:
    """staging, intermediate or, of a mart, its domain."""
    return str(node["fqn"][2]) if layer(node) == "marts" else layer(node)


def marts() -> dict[str, dict[str, Any]]:
    return {name: node for name, node in models().items() if layer(node) == "marts"}


def plain_sql(node: dict[str, Any]) -> str:
    """A model's source without comments, Jinja and string literals."""
    code = re.sub(r"\{#.*?#\}|--[^\n]*", " ", node["raw_code"], flags=re.DOTALL)
    code = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", " jinja ", code, flags=re.DOTALL)
    return re.sub(r"'(?:[^']|'')*'", "''", code).lower()


def test_folders_schemas_and_prefixes_agree() -> None:
    for name, node in models().items():
        assert layer(node) in LAYERS
        assert node["schema"] == folder(node), name
        if layer(node) in PREFIXES:
            assert name.startswith(PREFIXES[layer(node)]), name
        elif folder(node) == "core":
            assert name.startswith(CORE_PREFIXES), name
        else:
            assert not name.startswith((*PREFIXES.values(), *CORE_PREFIXES)), name


def test_no_layer_reads_one_above_and_no_mart_reads_staging() -> None:
    nodes = manifest()["nodes"]
    for name, node in models().items():
        for parent in node["depends_on"]["nodes"]:
            if parent.startswith("source."):
                # What is fitted to intermediate models is of their layer.
                readers = ("intermediate", "marts") if ".forecast." in parent else ("staging",)
                assert layer(node) in readers, f"{name} reads {parent}"
            elif nodes[parent]["resource_type"] == "model":
                above, below = layer(node), layer(nodes[parent])
                assert LAYERS.index(below) <= LAYERS.index(above), f"{name} reads {parent}"
                if above == "marts":
                    assert below != "staging", f"{name} reads {parent}"
                    if below == "marts" and folder(nodes[parent]) != folder(node):
                        assert folder(nodes[parent]) == "core", f"{name} reads {parent}"


def test_every_model_says_what_a_row_is_and_what_its_key_is() -> None:
    silent = [
        name
        for name, node in models().items()
        if (layer(node) == "marts" or node["description"])
        and not (re.match("One row", node["description"]) and "rimary key" in node["description"])
    ]
    assert silent == []


def test_every_intermediate_model_is_described() -> None:
    assert [name for name, node in models().items() if layer(node) == "intermediate" and not node["description"]] == []


def test_every_mart_has_an_enforced_contract_and_a_test() -> None:
    tested = {
        parent
        for node in [*manifest()["nodes"].values(), *manifest()["unit_tests"].values()]
        if node["resource_type"] in ("test", "unit_test")
        for parent in node["depends_on"]["nodes"]
    }
    for name, node in marts().items():
        assert node["contract"]["enforced"], name
        assert node["columns"], name
        assert node["unique_id"] in tested, name


def test_columns_are_named_by_their_kind() -> None:
    kinds = {
        "boolean": r"(is|has)_\w+",
        "timestamp": r"\w+_at",
        # An interval's two ends are named as in the contract.
        "date": r"(\w+_)?(on|month|date)|valid_(from|to)",
        "decimal(18, 2)": rf"{AMOUNT}|amount_to_\w+",
        "double": rf"\w+_(rate|ratio|share|score)|sow_\w+|score|quantity|{FORECAST}",
    }
    wrong = []
    for name, node in marts().items():
        for column in node["columns"].values():
            kind, label = column["data_type"], column["name"]
            if kind in kinds and not re.fullmatch(kinds[kind], label):
                wrong.append((name, label, kind))
            for other, pattern in (
                ("boolean", r"(is|has)_\w+"),
                ("timestamp", r"\w+_at"),
                ("decimal(18, 2)", AMOUNT),
            ):
                if re.fullmatch(pattern, label) and kind != other:
                    wrong.append((name, label, kind))
            if label.endswith("_id") and label != "load_id" and kind != "string":
                wrong.append((name, label, kind))
    assert wrong == []


def test_no_mart_has_a_column_of_personal_data() -> None:
    for name, node in marts().items():
        assert personal_columns().isdisjoint(node["columns"]), name


def test_what_is_published_by_month_names_a_date_of_its_own() -> None:
    named = {name: node["config"]["meta"].get("parts_by_month_of") for name, node in marts().items()}
    assert {name for name, column in named.items() if column} >= {"fct_orders", "fct_order_lines"}
    for name, column in named.items():
        assert column is None or marts()[name]["columns"][column]["data_type"] == "date", name


@pytest.mark.parametrize("name", sorted(models()))
def test_a_model_keeps_to_sql_that_both_engines_understand(name: str) -> None:
    sql = plain_sql(models()[name])
    assert [what for pattern, what in ENGINE_ONLY.items() if re.search(pattern, sql)] == []
    assert '"' not in sql


@pytest.mark.parametrize("name", sorted(marts()))
def test_a_mart_selects_its_columns_by_name(name: str) -> None:
    stars = re.findall(r"select\s+\*\s+from\s+(\w+)", plain_sql(marts()[name]))
    assert [source for source in stars if source not in ("jinja", "final")] == []


def test_every_seed_is_described_and_typed() -> None:
    for node in manifest()["nodes"].values():
        if node["resource_type"] == "seed":
            assert "rimary key" in node["description"], node["name"]
            assert node["config"]["column_types"], node["name"]


def test_every_feature_of_the_churn_risk_has_its_words() -> None:
    with memory_warehouse() as connection:
        compiled().build(connection)
        described = connection.sql("describe intermediate.int_forecast_features").fetchall()
    features = [name for name, *_ in described if name not in ("as_of_on", "customer_id")]
    with (PROJECT_ROOT / "seeds" / "risk_features.csv").open(encoding="utf-8") as file:
        assert [row["feature"] for row in csv.DictReader(file)] == features


def test_the_tables_that_fits_write_are_described_as_they_are() -> None:
    with memory_warehouse() as connection:
        written = connection.execute(
            """select table_name, column_name, replace(lower(data_type), 'varchar', 'string')
            from duckdb_columns() where schema_name = 'forecast' order by table_name, column_index"""
        ).fetchall()
    described = [
        (source["name"], column["name"], column["data_type"])
        for source in sorted(manifest()["sources"].values(), key=lambda source: str(source["name"]))
        if source["source_name"] == "forecast"
        for column in source["columns"].values()
    ]
    assert described == written


def test_the_exposure_of_the_report_names_what_its_charts_are_drawn_from() -> None:
    [exposure] = manifest()["exposures"].values()
    named = {manifest()["nodes"][node]["name"] for node in exposure["depends_on"]["nodes"]}
    drawn = {table.split(".")[1] for specs in figures.chapters().values() for spec in specs for table in spec.tables}
    assert drawn <= named
