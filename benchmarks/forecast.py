"""Measures fit and score of BG/NBD beside lifetimes, on the same made-up customers; prints Markdown.

    python -m benchmarks.forecast --customers 1000000

Both begin with a table of one row per customer (x, t_x, T) in a DuckDB file and end with P(alive), the expected
purchases of 30, 90, 180 and 365 days, and the value of the twelve months ahead at a spend of 1 per purchase, of every
customer: as a table, and as pandas columns. That their parameters and scores are equal is checked first. Starting
Python, importing what either of them imports, and compiling the SQL are not in the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import warnings
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np

from benchmarks.measuring import Measured, measure, median

ROOT = Path(__file__).resolve().parents[1]
HORIZONS = (30, 90, 180, 365)
MONTHS, DISCOUNT_RATE = 12, 0.1
AS_OF = date(2024, 12, 31)
NAMES = ("tenure", "lifetimes")
SCORE_NAMES = ("p_alive", *(f"expected_purchases_{days}d" for days in HORIZONS), "discounted_purchases")
SCORES = f"""
select scores.*
from {{{{ purchase_scores(
    "(select *, date '{AS_OF}' as as_of_on from histories)",
    'forecast.model_parameters', 'forecast.model_nodes', {list(HORIZONS)}, {MONTHS}, {DISCOUNT_RATE}
) }}}} as scores
"""


def main() -> None:
    """Parses the arguments; measures and prints, or is one of the contenders."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast", description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="times that each contender runs (default 3)")
    parser.add_argument("--folder", type=Path, default=ROOT / "warehouse" / "benchmarks", help="for data and results")
    parser.add_argument("--contender", choices=NAMES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder: Path = arguments.folder.resolve()
    if arguments.contender:
        print(json.dumps({"tenure": _tenure, "lifetimes": _lifetimes}[arguments.contender](folder)))
        return
    folder.mkdir(parents=True, exist_ok=True)
    _write_histories(folder, arguments.customers)
    (folder / "scores.sql").write_text(_compiled(), encoding="utf-8")
    rounds = [{name: _run(name, folder) for name in NAMES} for _ in range(arguments.rounds)]
    _check_equal(rounds[0], folder)
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {arguments.customers:,} customers.\n")
    print("| | read s | fit s | score s | all s | peak MB |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in NAMES:
        seconds = [median([r[name].told[step] for r in rounds]) for step in ("read", "fit", "score")]
        peak = max(r[name].peak_bytes for r in rounds) / 1e6
        print(f"| {name} | " + " | ".join(f"{s:.2f}" for s in (*seconds, sum(seconds))) + f" | {peak:,.0f} |")
    ratio = median([_seconds(r["lifetimes"]) / _seconds(r["tenure"]) for r in rounds])
    print(f"\nFit and score together: {ratio:.0f} × as fast as lifetimes (median of {len(rounds)} rounds).")


def _run(name: str, folder: Path) -> Measured:
    return measure(["-m", "benchmarks.forecast", "--contender", name, "--folder", str(folder)], cwd=ROOT, is_json=True)


def _seconds(found: Measured) -> float:
    return float(found.told["read"] + found.told["fit"] + found.told["score"])


def _write_histories(folder: Path, customers: int) -> None:
    """Three years of customers by the model's own story: r = 0.55, α = 6, a = 0.8, b = 2.5."""
    random = np.random.default_rng(1)
    rate, dropout = random.gamma(0.55, 1 / 6, customers), random.beta(0.8, 2.5, customers)
    tenure_days = random.integers(1, 1096, customers)
    repeats, span, clock = (np.zeros(customers) for _ in range(3))
    alive = np.ones(customers, bool)
    while alive.any():
        clock = clock + random.exponential(1 / np.maximum(rate, 1e-9))
        buys = alive & (clock * 7 < tenure_days)
        repeats, span = repeats + buys, np.where(buys, clock, span)
        alive = buys & (random.random(customers) > dropout)
    columns = {
        "repeat_count": repeats.astype(int),
        "span_days": np.ceil(span * 7).astype(int),
        "tenure_days": tenure_days,
    }
    (folder / "histories.duckdb").unlink(missing_ok=True)
    with duckdb.connect(str(folder / "histories.duckdb")) as connection:
        connection.register("columns", columns)
        connection.execute("create table histories as select row_number() over () as customer_id, * from columns")


def _compiled() -> str:
    from orchestration.lib import dbt

    with TemporaryDirectory() as folder:
        work = Path(folder)
        return dbt.compiled(dbt.DbtPlace(ROOT / "dbt_project", work, work / "target"), SCORES)


def _tenure(folder: Path) -> dict[str, Any]:
    # DuckDB asks pandas for its types when it is first given arrays; lifetimes has imported it by then, too.
    import pandas  # noqa: F401

    from orchestration.lib.forecast import bg_nbd, scoring
    from orchestration.lib.forecast.histories import Histories

    with duckdb.connect(str(folder / "histories.duckdb")) as connection:
        # As dbt's profile has it.
        connection.execute("set preserve_insertion_order = false")
        started = time.perf_counter()
        histories = Histories.read(connection, "(select *, 1 as customer_count from histories)")
        read = time.perf_counter()
        fit = bg_nbd.fit(histories)
        fitted = time.perf_counter()
        model = scoring.FittedModel(AS_OF, fit.family, fit)
        scoring.write(connection, [model], repeats=histories.repeats, longest_days=max(HORIZONS))
        query = (folder / "scores.sql").read_text(encoding="utf-8")
        connection.execute(f"create temp table scores as {query}")
        scored = time.perf_counter()
        _keep(folder, "tenure", connection.execute("from scores order by customer_id").fetchnumpy())
    return {"read": read - started, "fit": fitted - read, "score": scored - fitted, "parameters": dict(fit.parameters)}


def _lifetimes(folder: Path) -> dict[str, Any]:
    """With its own functions, as its documentation has it."""
    from lifetimes import BetaGeoFitter
    from lifetimes.utils import _customer_lifetime_value

    warnings.simplefilter("ignore")
    with duckdb.connect(str(folder / "histories.duckdb"), read_only=True) as connection:
        started = time.perf_counter()
        frame = connection.execute(
            "select repeat_count, span_days / 7, tenure_days / 7 from histories order by customer_id"
        ).df()
    x, span, tenure = (frame[name] for name in frame.columns)
    read = time.perf_counter()
    model = BetaGeoFitter()
    model.fit(x, span, tenure)
    fitted = time.perf_counter()
    alive = model.conditional_probability_alive(x, span, tenure)
    purchases = [
        model.conditional_expected_number_of_purchases_up_to_time(days / 7, x, span, tenure) for days in HORIZONS
    ]
    monthly_rate = (1 + DISCOUNT_RATE) ** (1 / 12) - 1
    value = _customer_lifetime_value(model, x, span, tenure, 1.0, MONTHS, monthly_rate, freq="W")
    scored = time.perf_counter()
    _keep(folder, "lifetimes", dict(zip(SCORE_NAMES, (alive, *purchases, value), strict=True)))
    parameters = {name: float(value) for name, value in model.params_.items()}
    return {"read": read - started, "fit": fitted - read, "score": scored - fitted, "parameters": parameters}


def _check_equal(found: dict[str, Measured], folder: Path) -> None:
    ours, theirs = (found[name].told["parameters"] for name in NAMES)
    if not np.allclose([ours[name] for name in theirs], list(theirs.values()), rtol=5e-4):
        raise SystemExit(f"The fits differ: {ours} and, by lifetimes, {theirs}")
    mine, other = (np.load(folder / f"{name}.npz") for name in NAMES)
    for score in SCORE_NAMES:
        if not np.allclose(mine[score], other[score], rtol=5e-3, atol=1e-6):
            raise SystemExit(f"The scores differ in {score}: by up to {np.abs(mine[score] - other[score]).max()}")


def _keep(folder: Path, name: str, scores: dict[str, Any]) -> None:
    columns: dict[str, Any] = {score: np.asarray(scores[score]) for score in SCORE_NAMES}
    np.savez(folder / f"{name}.npz", **columns)


if __name__ == "__main__":
    main()
