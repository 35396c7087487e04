"""What the marts of share of wallet cost: a panel of all customers, by month and category, from file to publication.

A customer buys something of a category in a month with a probability, of one to three brands; nothing else of the shop
is there but an order each, so that the run is that of the wallets.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from benchmarks.families import families_of
from benchmarks.measuring import bytes_of, measure
from orchestration.lib.sql import literal

ROOT = Path(__file__).resolve().parents[1]
BRANDS = 8
_RUN = """
import json, pathlib, sys
from benchmarks import product
print(json.dumps(product.run(*map(pathlib.Path, sys.argv[1:]))))
"""
_UNIT = "create temporary macro unit(number, salt) as hash(hash(number) + salt) / 18446744073709551616.0"


def main() -> None:
    """Parses the arguments, measures, prints Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wallets", description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--categories", type=int, default=20)
    parser.add_argument("--months", type=int, default=24)
    parser.add_argument("--bought", type=float, default=0.05, help="share of customers × categories × months")
    parser.add_argument("--folder", type=Path, default=ROOT / "warehouse" / "benchmarks", help="for data and results")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=arguments.folder.resolve()) as folder:
        shop, home = Path(folder, "shop"), Path(folder, "home")
        mapping = write_panel(shop, arguments.customers, arguments.categories, arguments.months, arguments.bought)
        run = measure(["-c", _RUN, str(mapping), str(home)], cwd=ROOT, is_json=True)
        [manifest] = home.glob("work/*/target/manifest.json")
        families = families_of(json.loads(manifest.read_text()))
        with duckdb.connect(str(home / "current" / "marts.duckdb"), read_only=True) as marts:
            counted = marts.execute(
                "select (select count(*) from wallet.customer_wallets), (select count(*) from wallet.wallet_changes)"
            ).fetchone()
        assert counted is not None
        print("| customers × categories × months | wallets | changes | seconds | peak GiB | home GiB |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        size = f"{arguments.customers:,} × {arguments.categories} × {arguments.months}, {arguments.bought:.0%} bought"
        peak, disk = run.peak_bytes / 2**30, bytes_of(home) / 2**30
        print(f"| {size} | {counted[0]:,} | {counted[1]:,} | {run.wall:.0f} | {peak:.1f} | {disk:.1f} |\n")
    print("| step | seconds |\n| --- | ---: |")
    for stage, (seconds, _) in run.told["stages"].items():
        print(f"| {stage} | {seconds:.1f} |")
    for step, seconds in sorted(run.told["steps"].items(), key=lambda found: -found[1]):
        kind, _, table = step.partition(" ")
        if kind in ("build", "test") and families.get(table) == "wallet" and seconds >= 1:
            print(f"| {step} | {seconds:.1f} |")


def write_panel(folder: Path, customers: int, categories: int, months: int, bought: float) -> Path:
    """Writes the panel, an order of each customer and a mapping in `folder`; gives the mapping."""
    folder.mkdir(parents=True)
    with duckdb.connect(config={"temp_directory": str(folder / ".spill")}) as connection:
        connection.execute(_UNIT)
        connection.execute(
            f"""copy (
                select 'O' || range as order_id, 'C' || range as customer_id,
                    timestamp '2022-01-01' + to_days(cast(unit(range, 1) * 700 as integer)) as ordered_at,
                    10.00 as amount
                from range({customers})
            ) to {literal(str(folder / "orders.parquet"))} (format parquet, compression zstd)"""
        )
        # Brand 0 is ours; a household prefers the brands from a place of its own on.
        connection.execute(
            f"""copy (
                select 'C' || customer as customer_id, 'category ' || category as category, month_on,
                    (month_on + interval 1 month)::date - 1 as month_end_on,
                    'brand ' || cast(floor(
                        pow(unit(customer * 32 + category, 3), 2) * {BRANDS} + place
                    ) as bigint) % {BRANDS} as brand,
                    cast(100 + floor(unit(wallet * 4 + place, 4) * 5000) as decimal(18, 0)) * 0.01 as spend
                from (
                    select customer, category, month_on, wallet,
                        unnest(range(1 + cast(floor(pow(unit(wallet, 2), 2) * 3) as bigint))) as place
                    from (
                        select customer, category, (date '2022-01-01' + to_months(month::integer))::date as month_on,
                            (customer * 32 + category) * 128 + month as wallet
                        from range({customers}) as customers (customer), range({categories}) as categories (category),
                            range({months}) as months (month)
                    )
                    where unit(wallet, 1) < {bought}
                )
            ) to {literal(str(folder / "panel.parquet"))} (format parquet, compression zstd)"""
        )
    mapping = folder / "panel.yml"
    mapping.write_text(
        f"""dataset: panel
business_timezone: UTC
reporting_currency: USD
vars: {{own_brands: [brand 0], data_end: '{2022 + months // 12}-{1 + months % 12:02}-01'}}
sources:
  orders: {{read: orders.parquet}}
  panel: {{read: panel.parquet}}
orders:
  from: orders
  columns: {{order_id: order_id, customer_id: customer_id, ordered_at: ordered_at, amount: amount}}
wallet_observations:
  from: panel
  columns:
    customer_id: customer_id
    period_start: month_on
    period_end: month_end_on
    category: category
    brand: brand
    spend: spend
""",
        encoding="utf-8",
    )
    return mapping


if __name__ == "__main__":
    main()
