"""One way to the marts, in a process of its own: `python -m benchmarks.contender floor 'orders_*.csv' target`."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

NAMES = ("product", "floor", "polars", "pandas")
LABELS = {"product": "Tenure", "floor": "DuckDB SQL (the floor)", "polars": "Polars", "pandas": "pandas"}


def built(name: str, target: Path) -> Path:
    """Where the contender leaves its marts: a DuckDB file, or a folder of Parquet."""
    if name == "product":
        return target / "current" / "marts.duckdb"
    return target / "marts.duckdb" if name == "floor" else target


def mapping_of(target: Path) -> Path:
    """The product's, which lies beside links to the orders."""
    return target / "raw" / "bench.yml"


def run(name: str, files: str, target: Path) -> dict[str, object]:
    """Builds the marts from nothing into `target`, and tells what only it knows: the product's stages and steps.

    `day` is no contender: the product once more, on what it left in `target`.
    """
    if name == "day":
        from benchmarks import product

        return product.run(mapping_of(target), target)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    if name == "product":
        from benchmarks import orders, product

        return product.run(orders.lay_out(Path(files).parent, target / "raw", Path(files).suffix[1:]), target)
    if name == "floor":
        from benchmarks import floor

        floor.build(files, built(name, target), target)
    elif name == "polars":
        from benchmarks import with_polars

        with_polars.build(files, target)
    elif name == "pandas":
        from benchmarks import with_pandas

        with_pandas.build(files, target)
    else:
        raise SystemExit(f"{name} is none of {', '.join(NAMES)}")
    return {}


if __name__ == "__main__":
    started = time.perf_counter()
    told = run(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    print(json.dumps({"seconds": time.perf_counter() - started, **told}))
