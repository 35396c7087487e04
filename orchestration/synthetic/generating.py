"""From a world's parameters to a folder of files."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from orchestration.lib.errors import UserError
from orchestration.synthetic import contacts, identities, people, sales, wallets, writing
from orchestration.synthetic.world import World

MEMORY_LIMIT = "3GB"


@dataclass(frozen=True)
class Generated:
    """What was written: the mapping's path, numbers of people and of their orders, and bytes of all files."""

    mapping: Path
    customers: int
    orders: int
    bytes_written: int


def generate(
    world: World,
    folder: Path,
    *,
    threads: int | None = None,
    blocks_at_once: int = 4,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Generated:
    """Writes a world into a folder: raw files by contract table, the mapping synthetic.yml, and truth/.

    An older world in the folder is replaced, once the new one is whole. Neither `threads` nor `blocks_at_once`
    changes a byte.

    Raises:
        UserError: the folder holds something else, or the parameters make no world.
    """
    _check(world)
    folder = folder.absolute()
    if folder.exists() and any(folder.iterdir()) and not (folder / "truth" / "world.json").is_file():
        raise UserError(f"{folder} is not empty, and what is in it is no generated data set.", "Give another --out.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        orders = _build(world, building, threads, blocks_at_once, on_progress)
        # mkdtemp keeps others out; the files are for everyone whom the folder's owner lets in.
        building.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        building.rename(folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Generated(folder / writing.MAPPING, world.customers, orders, size)


def _check(world: World) -> None:
    if world.customers < 1 or world.months < 1:
        raise UserError("A world needs at least one customer and one month.")
    if not 0 <= world.dirt <= 1:
        raise UserError(f"--dirt is {world.dirt}; it goes from 0 (clean) to 1.")


def _build(
    world: World, folder: Path, threads: int | None, blocks_at_once: int, on_progress: Callable[[str], None]
) -> int:
    scratch = folder / ".scratch"
    scratch.mkdir()
    with duckdb.connect(str(scratch / "world.duckdb")) as connection:
        # The order of rows is said wherever it matters, and kept between a sort and its file.
        connection.execute("set TimeZone = 'UTC'; set preserve_insertion_order = true")
        connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
        connection.execute(f"set temp_directory = '{scratch / 'spill'}'")
        if threads:
            connection.execute(f"set threads = {threads}")
        on_progress(f"{world.customers:,} people")
        people.create(connection, world, blocks_at_once=blocks_at_once)
        on_progress("what they buy and give back")
        sales.create(connection, world)
        on_progress("what else happens, and who says to be whom")
        contacts.create(connection, world)
        identities.create(connection, world)
        wallets.create(connection, world)
        row = connection.execute("select count(*) from orders").fetchone()
        assert row is not None
        on_progress(f"files of {row[0]:,} orders and all else")
        writing.write(connection, world, folder)
    shutil.rmtree(scratch)
    return int(row[0])
