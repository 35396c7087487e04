"""dbt's compiled SQL without dbt: seeds and models that run on any DuckDB connection, over other seeds if need be.

Only the materialisation, a table or a view by the relation's name, is done by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Self

import duckdb

from orchestration.lib.sql import identifier, literal

SEEDS = "seeds"


@dataclass(frozen=True)
class Node:
    """A seed or a model.

    Attributes:
        folder: of a model, below `models`; of a seed, SEEDS.
        database, schema: where it is made.
        sql: its rows; '' of a model that was not compiled.
        parents: names of the seeds and models that it reads.
    """

    name: str
    folder: str
    database: str
    schema: str
    sql: str
    is_view: bool = False
    parents: frozenset[str] = frozenset()

    @property
    def relation(self) -> str:
        """As dbt writes it into the SQL of those that read it."""
        return ".".join(map(identifier, (self.database, self.schema, self.name)))

    def make(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Makes the table, or the view, where its schema and all that it reads are there."""
        connection.execute(f"create or replace {'view' if self.is_view else 'table'} {self.relation} as {self.sql}")


@dataclass(frozen=True)
class CompiledProject:
    """Seeds and models, in an order in which they can be made."""

    nodes: tuple[Node, ...]

    @classmethod
    def of(cls, manifest: Mapping[str, Any], seed_path: Callable[[str], Path]) -> Self:
        """The project of a dbt manifest (JSON), each seed read from the file that is given for its name."""
        built = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] in ("seed", "model")}
        order = TopologicalSorter({key: _parents(node, built) for key, node in built.items()}).static_order()
        return cls(tuple(_node(built[key], built, seed_path) for key in order))

    def made_of(self, *names: str) -> Self:
        """These seeds and models alone, and all that they read."""
        wanted = set(names)
        for node in reversed(self.nodes):
            if node.name in wanted:
                wanted |= node.parents
        return self._only(wanted)

    def following(self, names: Iterable[str]) -> Self:
        """These seeds and models alone, and all that read them."""
        wanted = set(names)
        for node in self.nodes:
            if node.parents & wanted:
                wanted.add(node.name)
        return self._only(wanted)

    def with_sql(self, sql: Mapping[str, str]) -> Self:
        """The same with the SQL of those that are named."""
        return replace(self, nodes=tuple(replace(node, sql=sql.get(node.name, node.sql)) for node in self.nodes))

    def in_database(self, database: str) -> Self:
        """The same made in another database; what is not among them is read where it is."""
        moved = {node.relation: replace(node, database=database) for node in self.nodes}
        for relation, node in moved.items():
            sql = node.sql
            for parent, place in moved.items():
                sql = sql.replace(parent, place.relation)
            moved[relation] = replace(node, sql=sql)
        return replace(self, nodes=tuple(moved.values()))

    def _only(self, names: set[str]) -> Self:
        return replace(self, nodes=tuple(node for node in self.nodes if node.name in names))


def _parents(node: Mapping[str, Any], built: Mapping[str, Any]) -> list[str]:
    # Seeds depend on macros alone.
    return [key for key in node["depends_on"].get("nodes", []) if key in built]


def _node(node: Mapping[str, Any], built: Mapping[str, Any], seed_path: Callable[[str], Path]) -> Node:
    place = {"name": node["name"], "database": node["database"], "schema": node["schema"]}
    if node["resource_type"] == "seed":
        return Node(**place, folder=SEEDS, sql=_seed_sql(node["config"]["column_types"], seed_path(node["name"])))
    return Node(
        **place,
        folder="/".join(node["fqn"][1:-1]),
        sql=node.get("compiled_code") or "",
        is_view=node["config"]["materialized"] == "view",
        parents=frozenset(built[key]["name"] for key in _parents(node, built)),
    )


def _seed_sql(column_types: Mapping[str, str], path: Path) -> str:
    columns = ", ".join(f"cast(nullif({identifier(c)}, '') as {t}) as {identifier(c)}" for c, t in column_types.items())
    return f"select {columns or '*'} from read_csv({literal(str(path))}, header = true, all_varchar = true)"
