"""What each family of marts costs: seconds of its models and data tests, and of the models that are built for it alone.

Builds the orders of `orders.py` once for each round and sums what the run itself noted. Models run two at a time, so
the seconds are shares of one build and not what a family would take alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import orders
from benchmarks.measuring import measure, median

ROOT = Path(__file__).resolve().parents[1]
_RUN = """
import json, pathlib, sys
from benchmarks import product
print(json.dumps(product.run(*map(pathlib.Path, sys.argv[1:]))["steps"]))
"""


def main() -> None:
    """Parses the arguments, measures, prints Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.families", description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=ROOT / "warehouse" / "benchmarks", help="for data and results")
    arguments = parser.parse_args()
    data = orders.write_orders(arguments.folder.resolve() / f"orders_{arguments.orders}_csv", arguments.orders)
    rounds = [_round(data) for _ in range(arguments.rounds)]
    print(f"| {arguments.orders:,} orders | seconds | ÷ retention |\n| --- | ---: | ---: |")
    for family in sorted(rounds[0]):
        seconds = median([found[family] for found in rounds])
        share = median([found[family] / found["retention"] for found in rounds])
        print(f"| {family} | {seconds:.1f} | {share:.2f} |")


def _round(data: Path) -> dict[str, float]:
    """Family → seconds of one full build."""
    with TemporaryDirectory(dir=data.parent) as folder:
        mapping = orders.lay_out(data, Path(folder, "shop"), "csv")
        home = Path(folder, "home")
        steps = measure(["-c", _RUN, str(mapping), str(home)], cwd=ROOT, is_json=True).told
        [manifest] = home.glob("work/*/target/manifest.json")
        families = families_of(json.loads(manifest.read_text()))
    seconds = dict.fromkeys({*families.values(), "shared"}, 0.0)
    for step, taken in steps.items():
        kind, _, table = step.partition(" ")
        if kind in ("build", "test"):
            seconds[families.get(table, "shared")] += taken
    return seconds


def families_of(manifest: Mapping[str, Any]) -> dict[str, str]:
    """`schema.table` of a model → the domain of the marts that it is made for, where that is one."""
    nodes = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    used_by: dict[str, set[str]] = {key: set() for key in nodes}
    for key, node in nodes.items():
        if node["fqn"][1] == "marts":
            pending, seen = [key], set()
            while pending:
                parent = pending.pop()
                if parent in nodes and parent not in seen:
                    seen.add(parent)
                    used_by[parent].add(node["fqn"][2])
                    pending += nodes[parent]["depends_on"]["nodes"]
    return {
        f"{node['schema']}.{node['alias']}": next(iter(used_by[key]))
        for key, node in nodes.items()
        if len(used_by[key]) == 1
    }


if __name__ == "__main__":
    main()
