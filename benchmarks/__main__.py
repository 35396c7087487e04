"""Measures the full build beside hand-written SQL, Polars and pandas, and the costs that do not depend on size.

Prints Markdown. Everything is measured in rounds, each contender once per round, so that what else the machine does
meets all alike; ratios are medians over the rounds.
"""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path

from benchmarks import equal, orders
from benchmarks.contender import LABELS, NAMES, built
from benchmarks.measuring import Measured, bytes_of, exponent, measure, median

ROOT = Path(__file__).resolve().parents[1]
TINY_ORDERS = 1_000
IMPORTS = (
    "duckdb", "pandas", "polars", "dbt.cli.main", "dagster", "dagster_dbt", "great_expectations", "plotly",
    "orchestration.cli",
)  # fmt: skip
Rounds = list[dict[str, Measured]]


def main() -> None:
    """Parses the arguments, measures, prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--orders", default="1000000", help="number of orders, or several with commas")
    parser.add_argument("--rounds", type=int, default=3, help="times that each contender runs (default 3)")
    parser.add_argument("--only", default=",".join(NAMES), help=f"contenders, of {', '.join(NAMES)} (default all)")
    parser.add_argument("--format", choices=("csv", "parquet"), default="csv", help="of the orders' files")
    parser.add_argument("--fixed", action=argparse.BooleanOptionalAction, default=True, help="fixed costs too")
    parser.add_argument("--folder", type=Path, default=ROOT / "warehouse" / "benchmarks", help="for data and results")
    arguments = parser.parse_args()
    sizes = sorted(int(size) for size in arguments.orders.split(","))
    names = [name for name in NAMES if name in arguments.only.split(",")]
    folder = arguments.folder.resolve()
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {arguments.format} files.")
    results = {size: _size(folder, size, arguments.format, names, arguments.rounds) for size in sizes}
    if len(sizes) > 1:
        _show_growth(results, names)
    if arguments.fixed:
        _show_fixed(folder)


def _size(folder: Path, size: int, file_format: str, names: list[str], rounds: int) -> Rounds:
    data = orders.write_orders(folder / f"{file_format}_{size}", size, file_format=file_format)
    orders.write_mapping(data, file_format)
    files = str(data / f"orders_*.{file_format}")
    targets = {name: folder / f"{name}_{size}" for name in names}
    found: Rounds = []
    for number in range(rounds):
        found.append(
            {
                name: measure(["-m", "benchmarks.contender", name, files, str(targets[name])], cwd=ROOT, is_json=True)
                for name in names
            }
        )
        if number == 0 and "product" in names:
            _check_equal(names, targets)
    _show_size(size, bytes_of(data), found, names, targets)
    return found


def _check_equal(names: list[str], targets: dict[str, Path]) -> None:
    product = built("product", targets["product"])
    for name in names[1:]:
        if differences := equal.differences(product, built(name, targets[name])):
            raise SystemExit(f"{LABELS[name]} came to other figures than Tenure; rows that differ: {differences}")


def _show_size(size: int, data_bytes: int, found: Rounds, names: list[str], targets: dict[str, Path]) -> None:
    print(f"\n## {size:,} orders ({data_bytes / 1e6:,.0f} MB of files, {len(found)} rounds)\n")
    others = [name for name in names if name != "product"]
    if "product" in names and others:
        print(f"The marts are equal, to the cent: {', '.join(mart.table for mart in equal.MARTS)}.\n")
    base = "floor" if "floor" in names else names[0]
    print(f"| | wall s | processor s | wall ÷ {LABELS[base]} | processor ÷ {LABELS[base]} | peak MB | written MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in names:
        walls, processors = [r[name].wall for r in found], [r[name].processor for r in found]
        print(
            f"| {LABELS[name]} | {median(walls):.1f} | {median(processors):.1f} "
            f"| {median([r[name].wall / r[base].wall for r in found]):.2f} "
            f"| {median([r[name].processor / r[base].processor for r in found]):.2f} "
            f"| {max(r[name].peak_bytes for r in found) / 1e6:,.0f} | {bytes_of(targets[name]) / 1e6:,.0f} |"
        )
    if "product" in names:
        _show_stages(found, targets["product"])


def _show_stages(found: Rounds, home: Path) -> None:
    told = [r["product"].told for r in found]
    print("\n| stage | wall s | processor s |\n| --- | ---: | ---: |")
    for stage in told[0]["stages"]:
        wall, processor = (median([t["stages"][stage][place] for t in told]) for place in (0, 1))
        print(f"| {stage} | {wall:.1f} | {processor:.1f} |")
    print("\n| step (the longest) | wall s |\n| --- | ---: |")
    steps = {step: median([t["steps"].get(step, 0) for t in told]) for step in told[0]["steps"]}
    for step, seconds in sorted(steps.items(), key=lambda item: -item[1])[:15]:
        print(f"| {step} | {seconds:.1f} |")
    work = home / "work" / "bench"
    print(
        f"\nOn disk: working area {bytes_of(work) / 1e6:,.0f} MB, version {bytes_of(home / 'versions') / 1e6:,.0f} MB."
    )


def _show_growth(results: dict[int, Rounds], names: list[str]) -> None:
    sizes = list(results)
    print("\n## Growth exponents (1 is linear)\n\n| | wall | processor |\n| --- | ---: | ---: |")
    for name in names:
        wall = [median([r[name].wall for r in results[size]]) for size in sizes]
        processor = [median([r[name].processor for r in results[size]]) for size in sizes]
        print(f"| {LABELS[name]} | {exponent(sizes, wall):.2f} | {exponent(sizes, processor):.2f} |")


def _show_fixed(folder: Path) -> None:
    data = orders.write_orders(folder / f"csv_{TINY_ORDERS}", TINY_ORDERS)
    mapping = orders.write_mapping(data, "csv")
    home = folder / "tiny"
    command = ["-m", "orchestration.cli", "run", "--dataset", str(mapping), "--home", str(home)]
    measure(["-c", f"import shutil; shutil.rmtree({str(home)!r}, ignore_errors=True)"], cwd=ROOT)
    first = measure(command, cwd=ROOT)
    again = [measure(command, cwd=ROOT) for _ in range(3)]
    print("\n## Fixed costs\n\n| | wall s | processor s |\n| --- | ---: | ---: |")
    print(f"| first run on {TINY_ORDERS:,} orders | {first.wall:.1f} | {first.processor:.1f} |")
    print(
        f"| run with nothing new | {median([m.wall for m in again]):.1f} | {median([m.processor for m in again]):.1f} |"
    )
    nothing = median([measure(["-c", "pass"], cwd=ROOT).processor for _ in range(3)])
    for module in IMPORTS:
        found = [measure(["-c", f"import {module}"], cwd=ROOT) for _ in range(3)]
        wall, processor = median([m.wall for m in found]), median([m.processor for m in found]) - nothing
        print(f"| import {module} | {wall:.2f} | {processor:.2f} |")


if __name__ == "__main__":
    main()
