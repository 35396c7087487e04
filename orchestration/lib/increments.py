"""What a build has to compute anew: everything, what a change of code reaches, or what new rows concern.

Two kinds of change, both remembered in the warehouse until a build has gone through:

- Rows. The loader notes the files that it touched (`raw.touched_files`); dbt's macros in `macros/incremental` find out
  whom they concern and compute just these customers anew.
- Code. A model is rebuilt, with all that reads it, when its *fingerprint* differs from that of the last build that went
  through: a hash of its SQL, of the project's macros, vars and seeds that it uses, and of the contract views that it
  reads, which hold the mapping. dbt's own state comparison knows no vars and no mapping.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from orchestration.lib.places import file_sha256
from orchestration.lib.sql import literal

Manifest = Mapping[str, Any]
_BOOKKEEPING = "_affected"
_VAR = re.compile(r"\bvar\(\s*['\"](\w+)['\"]")
_TABLES = """
create schema if not exists raw;
create table if not exists raw.touched_files (source varchar, file varchar);
create table if not exists raw.rebuilt_nodes (name varchar);
create table if not exists raw.built_nodes (name varchar, fingerprint varchar);
"""
_DONE = """
begin;
delete from raw.touched_files;
delete from raw.rebuilt_nodes;
delete from staging.touched;
delete from intermediate.int_customers_affected;
delete from intermediate.int_orders_affected;
delete from intermediate.int_interactions_affected;
create or replace table raw.applied_identities as
    select alias_id, customer_id from intermediate.int_identities_resolved where customer_id is not null;
create or replace table raw.applied_dates as select data_start_on, data_end_on from intermediate.int_data_window;
drop schema if exists increments cascade;
delete from raw.built_nodes;
insert into raw.built_nodes values {nodes};
commit;
"""


def touch(connection: duckdb.DuckDBPyConnection, source: str, file: str) -> None:
    """Notes, inside a load's transaction, that rows of a file came, changed or went."""
    connection.execute(_TABLES)
    connection.execute("insert into raw.touched_files values (?, ?)", [source, file])


def plan(
    warehouse: Path,
    fingerprints: Mapping[str, str],
    manifest: Manifest,
    *,
    is_full: bool = False,
    is_backfill: bool = False,
) -> list[str]:
    """Names of the models that the next build has to compute anew as a whole; noted in the warehouse.

    They no longer count as built from now on: a build that is killed leaves them to the next.

    Args:
        fingerprints: model or seed name → fingerprint, as of now.
        is_full: everything is computed anew.
        is_backfill: sums over all customers are. The rows that a backfill replaces may be wrong, and then they are not
            what was once added.
    """
    summed = {
        node["name"]
        for node in manifest["nodes"].values()
        if is_backfill and node["config"].get("incremental_strategy") == "summed"
    }
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("begin")
        connection.execute(_TABLES)
        built = dict(connection.execute("select name, fingerprint from raw.built_nodes").fetchall())
        changed = {name for name, value in fingerprints.items() if is_full or built.get(name) != value}
        rebuilt = sorted(_with_readers(changed | summed, manifest))
        connection.execute("delete from raw.rebuilt_nodes")
        for name in rebuilt:
            connection.execute("insert into raw.rebuilt_nodes values (?)", [name])
            connection.execute("delete from raw.built_nodes where name = ?", [name])
        connection.execute("commit")
    return rebuilt


def complete(warehouse: Path, fingerprints: Mapping[str, str]) -> None:
    """A build of everything has gone through: nothing is pending any more. One transaction."""
    nodes = ", ".join(f"({literal(name)}, {literal(value)})" for name, value in sorted(fingerprints.items()))
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(_DONE.format(nodes=nodes))


def is_pending(warehouse: Path, fingerprints: Mapping[str, str]) -> bool:
    """Whether a build would change these nodes: rows are noted, or a node is not built as it is now.

    Args:
        fingerprints: model or seed name → fingerprint, as of now.

    Raises:
        duckdb.CatalogException: no build ever began.
    """
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        noted = connection.execute("select file from raw.touched_files union all select order_id from staging.touched")
        if noted.fetchone():
            return True
        built = dict(connection.execute("select name, fingerprint from raw.built_nodes").fetchall())
    return not fingerprints.items() <= built.items()


def contract_views(warehouse: Path) -> dict[str, str]:
    """The loader's views by name, as SQL: the mapping's expressions as they are evaluated."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return dict(
            connection.execute("select view_name, sql from duckdb_views() where schema_name = 'contract'").fetchall()
        )


def fingerprints(manifest: Manifest, variables: Mapping[str, Any], views: Mapping[str, str]) -> dict[str, str]:
    """Model or seed name → hash of all but the rows that its content depends on, its parents' content apart.

    Args:
        manifest: dbt's, as JSON.
        variables: dbt's vars with their defaults.
        views: contract table → SQL of its view.
    """
    found = {}
    for node in manifest["nodes"].values():
        if node["resource_type"] in ("model", "seed"):
            found[node["name"]] = _digest(_ingredients(node, manifest, variables, views))
    return found


def _ingredients(
    node: Mapping[str, Any], manifest: Manifest, variables: Mapping[str, Any], views: Mapping[str, str]
) -> list[Any]:
    macros = _macros(node, manifest)
    code = [node.get("raw_code", ""), *(macro["macro_sql"] for macro in macros)]
    names = sorted({name for text in code for name in _VAR.findall(text)})
    config = node["config"]
    parents = node["depends_on"].get("nodes", [])
    sources = [parent.rsplit(".", 1)[1] for parent in parents if parent.startswith("source.")]
    return [
        _checksum(node),
        sorted(macro["macro_sql"] for macro in macros),
        [[name, variables.get(name)] for name in names],
        [config.get(key) for key in ("materialized", "incremental_strategy", "meta", "column_types", "contract")],
        [[column["name"], column.get("data_type")] for column in node["columns"].values()],
        [[source, views.get(source)] for source in sorted(sources)],
    ]


def _checksum(node: Mapping[str, Any]) -> str:
    """Of a node's file. Of a seed of more than a megabyte dbt has the path in its place."""
    if node["checksum"]["name"] == "path":
        return file_sha256(Path(node["root_path"], node["original_file_path"]))
    return str(node["checksum"]["checksum"])


def _macros(node: Mapping[str, Any], manifest: Manifest) -> list[Mapping[str, Any]]:
    """The project's macros that a node uses, directly or through others, the dialects of a dispatch included."""
    every = {key: macro for key, macro in manifest["macros"].items() if macro["package_name"] == node["package_name"]}
    by_name: dict[str, list[str]] = {}
    for key, macro in every.items():
        by_name.setdefault(macro["name"].split("__", 1)[-1], []).append(key)
    reached: set[str] = set()
    pending = [*node["depends_on"].get("macros", [])]
    while pending:
        key = pending.pop()
        if key in reached or key not in every:
            continue
        reached.add(key)
        pending += every[key]["depends_on"]["macros"]
        pending += by_name.get(every[key]["name"], [])
    return [every[key] for key in sorted(reached)]


def _with_readers(names: Iterable[str], manifest: Manifest) -> set[str]:
    """The models among these nodes, and all models that read them, however indirectly."""
    nodes = manifest["nodes"]
    wanted = set(names)
    built = ("model", "seed")
    pending = [key for key, node in nodes.items() if node["resource_type"] in built and node["name"] in wanted]
    reached: set[str] = set()
    while pending:
        key = pending.pop()
        if key in reached:
            continue
        reached.add(key)
        # Whom an increment concerns is no content: a table that is built anew as a whole needs no increment.
        if not nodes[key]["name"].endswith(_BOOKKEEPING):
            pending += [child for child in manifest["child_map"].get(key, []) if child in nodes]
    return {nodes[key]["name"] for key in reached if nodes[key]["resource_type"] == "model"}


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
