"""Measures the full build beside hand-written SQL, Polars and pandas, and the costs that do not depend on size.

Prints Markdown. Everything is measured in rounds, each contender once per round, so that what else the machine does
meets all alike; ratios are medians over the rounds.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
from pathlib import Path

from benchmarks import equal, orders
from benchmarks.contender import LABELS, NAMES, built, mapping_of
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
    fixed = _show_fixed(folder) if arguments.fixed else None
    results = {
        # What is equal at one size is equal at the others; the smallest is the cheapest to compare.
        size: _size(folder, size, arguments.format, names, arguments.rounds, fixed, is_checked=size == sizes[0])
        for size in sizes
    }
    if len(sizes) > 1:
        _show_growth(results, names)


def _size(
    folder: Path,
    size: int,
    file_format: str,
    names: list[str],
    rounds: int,
    fixed: Measured | None,
    *,
    is_checked: bool,
) -> Rounds:
    data = folder / f"{file_format}_{size}"
    # In a process of its own, because the peak memory of a process counts what its parent had when it was started.
    writing = "from pathlib import Path; from benchmarks import orders; "
    measure(["-c", f"{writing}orders.write_orders(Path({str(data)!r}), {size}, file_format={file_format!r})"], cwd=ROOT)
    files = str(data / f"orders_*.{file_format}")
    targets = {name: folder / f"{name}_{size}" for name in names}
    found: Rounds = []
    for number in range(rounds):
        found.append({name: _build(name, files, targets[name]) for name in names})
        if is_checked and number == 0 and "product" in names:
            _check_equal(names, targets)
        if "product" in names:
            found[-1] |= _keep_current(targets["product"], size, file_format)
        if is_checked and number == 0 and "product" in names:
            _check_increment(targets["product"], file_format)
    _show_size(size, bytes_of(data), found, names, targets)
    if "product" in names:
        _show_increment(size, found, fixed)
    return found


def _build(name: str, files: str, target: Path) -> Measured:
    return measure(["-m", "benchmarks.contender", name, files, str(target)], cwd=ROOT, is_json=True)


def _keep_current(target: Path, size: int, file_format: str) -> dict[str, Measured]:
    """A day more, and then nothing more, on top of a full build."""
    orders.write_day(target / "raw", size, file_format)
    day = _build("day", "", target)
    command = ["-m", "orchestration.cli", "run", "--dataset", str(mapping_of(target)), "--home", str(target)]
    return {"day": day, "nothing": measure(command, cwd=ROOT)}


def _check_increment(target: Path, file_format: str) -> None:
    """The increment's marts are those of a full build of the same files."""
    rebuilt = target.with_name(f"{target.name}_rebuilt")
    _build("product", str(target / "raw" / f"*.{file_format}"), rebuilt)
    if differences := equal.differences(built("product", target), built("product", rebuilt)):
        raise SystemExit(f"An increment came to other figures than a full build; rows that differ: {differences}")
    print("After a day more the marts are those of a full build of the same files.")
    shutil.rmtree(rebuilt)


def _check_equal(names: list[str], targets: dict[str, Path]) -> None:
    product = built("product", targets["product"])
    for name in names[1:]:
        if differences := equal.differences(product, built(name, targets[name])):
            raise SystemExit(f"{LABELS[name]} came to other figures than Tenure; rows that differ: {differences}")
    if len(names) > 1:
        print(f"\nAll came to equal marts, to the cent: {', '.join(mart.table for mart in equal.MARTS)}.")


def _show_size(size: int, data_bytes: int, found: Rounds, names: list[str], targets: dict[str, Path]) -> None:
    print(f"\n## {size:,} orders ({data_bytes / 1e6:,.0f} MB of files, {len(found)} rounds)\n")
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
        _show_stages(found, "product")
        work = targets["product"] / "work" / "bench"
        print(
            f"\nOn disk, after a day more: working area {bytes_of(work) / 1e6:,.0f} MB, "
            f"two versions {bytes_of(targets['product'] / 'versions') / 1e6:,.0f} MB."
        )


def _show_stages(found: Rounds, name: str) -> None:
    told = [r[name].told for r in found]
    print("\n| stage | wall s | processor s |\n| --- | ---: | ---: |")
    for stage in told[0]["stages"]:
        wall, processor = (median([t["stages"][stage][place] for t in told]) for place in (0, 1))
        print(f"| {stage} | {wall:.1f} | {processor:.1f} |")
    print("\n| step (the longest) | wall s |\n| --- | ---: |")
    steps = {step: median([t["steps"].get(step, 0) for t in told]) for step in told[0]["steps"]}
    for step, seconds in sorted(steps.items(), key=lambda item: -item[1])[:15]:
        print(f"| {step} | {seconds:.1f} |")


def _show_increment(size: int, found: Rounds, fixed: Measured | None) -> None:
    rows = int(size * orders.DAY_SHARE)
    print(f"\n{rows:,} orders more, of a day, 5 % of them late.\n")
    print("| | wall s | processor s | peak MB | wall ÷ full build |\n| --- | ---: | ---: | ---: | ---: |")
    for name, label in (("day", "a day more"), ("nothing", "nothing more")):
        walls, processors = [r[name].wall for r in found], [r[name].processor for r in found]
        print(
            f"| {label} | {median(walls):.1f} | {median(processors):.1f} "
            f"| {max(r[name].peak_bytes for r in found) / 1e6:,.0f} "
            f"| {median([r[name].wall / r['product'].wall for r in found]):.3f} |"
        )
    if fixed:
        above = median([(r["day"].wall - fixed.wall) / r["product"].wall for r in found])
        print(f"\nAbove the same day on {TINY_ORDERS:,} orders, the day costs {above:.1%} of the full build.")
    _show_stages(found, "day")


def _show_growth(results: dict[int, Rounds], names: list[str]) -> None:
    sizes = list(results)
    print("\n## Growth exponents (1 is linear)\n\n| | wall | processor |\n| --- | ---: | ---: |")
    for name in names:
        wall = [median([r[name].wall for r in results[size]]) for size in sizes]
        processor = [median([r[name].processor for r in results[size]]) for size in sizes]
        print(f"| {LABELS[name]} | {exponent(sizes, wall):.2f} | {exponent(sizes, processor):.2f} |")


def _show_fixed(folder: Path) -> Measured:
    """Prints what does not depend on the number of orders, and gives the day on next to none."""
    data = orders.write_orders(folder / f"csv_{TINY_ORDERS}", TINY_ORDERS)
    home = folder / "tiny"
    first = _build("product", str(data / "orders_*.csv"), home)
    more = _keep_current(home, TINY_ORDERS, "csv")
    print("\n## Fixed costs\n\n| | wall s | processor s |\n| --- | ---: | ---: |")
    for label, found in (
        (f"first run on {TINY_ORDERS:,} orders", first), ("a day more", more["day"]), ("nothing more", more["nothing"])
    ):  # fmt: skip
        print(f"| {label} | {found.wall:.1f} | {found.processor:.1f} |")
    nothing = median([measure(["-c", "pass"], cwd=ROOT).processor for _ in range(3)])
    for module in IMPORTS:
        imports = [measure(["-c", f"import {module}"], cwd=ROOT) for _ in range(3)]
        wall, processor = median([m.wall for m in imports]), median([m.processor for m in imports]) - nothing
        print(f"| import {module} | {wall:.2f} | {processor:.2f} |")
    return more["day"]


if __name__ == "__main__":
    main()
