"""Tiers as they would be under other rules: all of history replayed, and nothing that is built touched.

The data set's warehouse and its marts are attached read-only. Of the models run only those that a changed seed reaches
and the outcome is made of, in a database of their own; all else is read as it is built.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from orchestration.lib import dbt, increments, lock
from orchestration.lib.compiled import SEEDS, CompiledProject
from orchestration.lib.dbt import DbtPlace
from orchestration.lib.errors import UserError
from orchestration.lib.running import place_of, variables_of
from orchestration.lib.sql import identifier, literal
from orchestration.lib.tiers import rules

if TYPE_CHECKING:
    import duckdb

    from orchestration.lib.mapping import Mapping as DatasetMapping
    from orchestration.lib.settings import Settings

OUTCOME = ("tier_history", "member_tiers", "points_liability", "tiers")
"""Seeds and models that are there twice: in the schema `built` as they are, in `simulated` as they would be."""

_DATABASE = "simulation"


def seeds_of(place: DbtPlace, paths: Sequence[Path]) -> dict[str, Path]:
    """Seed → the file with its other rules. Which seed a file is for is told by its columns.

    Raises:
        UserError: a file cannot be read, is of no seed of the rules, or two are of one seed; or the rules cannot be
            used with those in force beside them, with file and line.
    """
    in_force = {name: place.seed_path(name) for name in rules.FILES}
    columns = {name: set(names) for name, names in rules.COLUMNS.items()}
    found: dict[str, Path] = {}
    for path in paths:
        own = _columns(path)
        # The nearest: of a file with a slip in its head it is then said what the columns must be.
        name = min(columns, key=lambda seed: len(own ^ columns[seed]))
        if not own & columns[name]:
            raise UserError(
                f"{path} has the columns {', '.join(sorted(own)) or 'none'}: it is no file of rules.",
                f"Copy one of {', '.join(map(str, in_force.values()))} and change it.",
            )
        if name in found:
            raise UserError(f"{found[name]} and {path} are both {name}.", "Give one of them.")
        found[name] = path
    rules.check(in_force | found)
    return found


@contextmanager
def simulated(
    settings: Settings, mapping: DatasetMapping, seeds: Mapping[str, Path]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """What is built, beside what it would be with other seeds, on a connection that is good within the context.

    Args:
        seeds: seed → file in its place.

    Yields:
        A connection with views of OUTCOME in the schemas `built` and `simulated`; the warehouse and the marts are the
        catalogs `warehouse` and `marts`.

    Raises:
        UserError: the data set was never built, not to the end, or by other rules, models or settings than those in
            force; or a run of it is under way.
    """
    _refuse_unready(settings)
    with TemporaryDirectory(prefix="tenure_simulation_") as folder:
        work = Path(folder)
        place = replace(place_of(settings, mapping), work_dir=work, target_dir=work / "target")
        parsed = dbt.parse(place)
        project = CompiledProject.of(parsed.manifest_json, lambda name: seeds.get(name, place.seed_path(name)))
        needed = project.made_of(*OUTCOME)
        changed = needed.following(seeds)
        sql = dbt.compiled_models(place, parsed, [node.name for node in changed.nodes if node.folder != SEEDS])
        _refuse_unready(settings)
        by_rules = needed.following(rules.FILES)
        _refuse_pending(settings, mapping, parsed.manifest_json, [node.name for node in by_rules.nodes])
        with _attached(settings, work / f"{_DATABASE}.duckdb") as connection:
            simulation = changed.with_sql(sql).in_database(_DATABASE)
            for node in simulation.nodes:
                connection.execute(f"create schema if not exists {identifier(node.schema)}")
                node.make(connection)
            built = {node.name: node.relation for node in needed.nodes}
            _show(connection, "built", built)
            _show(connection, "simulated", built | {node.name: node.relation for node in simulation.nodes})
            yield connection


def _show(connection: duckdb.DuckDBPyConnection, schema: str, relations: Mapping[str, str]) -> None:
    connection.execute(f"create schema {schema}")
    for name in OUTCOME:
        connection.execute(f"create view {schema}.{name} as from {relations[name]}")


def _columns(path: Path) -> set[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return set(next(csv.reader(file), []))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def _refuse_unready(settings: Settings) -> None:
    """A reader in between would make the next step of a run fail, which needs the files for itself."""
    if not (settings.warehouse_path.is_file() and settings.marts_path.is_file()):
        raise _never_built(settings)
    holder = lock.holder(settings.lock_path)
    if holder is not None and holder.dataset == settings.dataset:
        raise lock.LockHeldError(settings.lock_path, holder)


def _refuse_pending(
    settings: Settings, mapping: DatasetMapping, manifest: increments.Manifest, names: Sequence[str]
) -> None:
    """What these nodes read may be of other models than those in force: they read it on both sides."""
    import duckdb

    # No view of the contract is among what they read.
    now = increments.fingerprints(manifest, variables_of(settings, mapping), views={})
    try:
        is_pending = increments.is_pending(settings.warehouse_path, {name: now[name] for name in names})
    except duckdb.CatalogException:
        raise _never_built(settings) from None
    except duckdb.IOException as error:
        raise _in_use(settings, error) from error
    if is_pending:
        raise UserError(
            f"What is built of '{settings.dataset}' is not of the rules, models and settings in force, or not whole: "
            "nothing can be compared with it.",
            f"Run `tenure run --dataset {settings.mapping_path}` first.",
        )


@contextmanager
def _attached(settings: Settings, path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A new database with the data set's two beside it, read-only."""
    import duckdb

    with duckdb.connect(str(path)) as connection:
        # As dbt's profile has it.
        connection.execute("set TimeZone = 'UTC'; set preserve_insertion_order = false")
        for catalog, file in (("warehouse", settings.warehouse_path), ("marts", settings.marts_path)):
            try:
                connection.execute(f"attach {literal(str(file))} as {catalog} (read_only)")
            except duckdb.IOException as error:
                raise _in_use(settings, error) from error
        yield connection


def _never_built(settings: Settings) -> UserError:
    return UserError(
        f"Nothing was ever built of '{settings.dataset}' in {settings.home}.",
        f"Run `tenure run --dataset {settings.mapping_path}` first.",
    )


def _in_use(settings: Settings, error: Exception) -> UserError:
    return UserError(f"The warehouse of '{settings.dataset}' is in use: {error}", "Wait until that process is done.")
