"""Orders to measure with: half of the customers buy once, the rest in a long tail, over three years."""

from __future__ import annotations

from pathlib import Path

import duckdb

from orchestration.lib.sql import literal

FILE_COUNT = 12
DAY_SHARE = 1 / 1000
_FIRST_AT = "timestamp '2022-01-01'"
_SECONDS = 1095 * 86_400

# Every number comes from a hash of the customer or the order and the seed: the same at any number of threads. Orders
# of a customer with several are lognormal, a median of 9 and a mean of 18; a little more than asked for come out, and
# the last in time are left away.
_UNIT = (
    "create temporary macro unit(number, salt) as hash(hash(number + {seed} * 1000003) + salt) / 18446744073709551616.0"
)
_TIMED = """
create temporary table timed as
select
    row_number() over (order by at_second, customer, place) as order_number,
    customer, at_second,
    cast(100 + 49900 * pow(unit(customer * 10000 + place, 8), 3) as bigint) as cents,
    unit(customer * 10000 + place, 9) < 0.03 as is_cancelled
from (
    select customer, place,
        cast(first_second + case when place = 0 then 0
            else unit(customer * 10000 + place, 7) * ({seconds} - first_second) end as bigint) as at_second
    from (
        select customer, first_second, unnest(range(case when customer % 2 = 0 then 1 else least(9999, greatest(2,
            round(exp(2.25 + 1.2 * sqrt(-2 * ln(unit(customer, 2) + 1e-12)) * cos(2 * pi() * unit(customer, 3)))))) end
            ::bigint)) as place
        from (
            select range as customer, pow(unit(range, 1), 1.3) * ({seconds} - 1) as first_second
            from range({customers})
        )
    )
)
"""


def write_orders(folder: Path, orders: int, *, file_format: str = "csv", seed: int = 1) -> Path:
    """Writes `orders` orders of a tenth as many customers in FILE_COUNT files, unless they are there; gives the folder.

    Columns: order_id, customer_id (text), ordered_at (UTC, to the second), amount, status (3 % cancelled). Files follow
    one another in time, as a shop's exports do. Customers are numbered without regard to when they first bought.
    """
    if (folder / ".complete").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    customers = orders // 10
    with duckdb.connect(config={"temp_directory": str(folder / ".spill")}) as connection:
        connection.execute(_UNIT.format(seed=seed))
        connection.execute(_TIMED.format(seconds=_SECONDS, customers=customers))
        for part in range(FILE_COUNT):
            connection.execute(
                f"""copy (
                    select
                        'O' || lpad(order_number::varchar, 9, '0') as order_id,
                        'C' || lpad((customer * 7919 % {customers})::varchar, 8, '0') as customer_id,
                        {_FIRST_AT} + to_seconds(at_second) as ordered_at,
                        cast(cents as decimal(18, 0)) * 0.01 as amount,
                        case when is_cancelled then 'cancelled' else 'completed' end as status
                    from timed
                    where order_number > {orders * part // FILE_COUNT}
                        and order_number <= {orders * (part + 1) // FILE_COUNT}
                    order by order_number
                ) to {literal(str(folder / f"orders_{part + 1:02}.{file_format}"))} ({_format(file_format)})"""
            )
    (folder / ".complete").touch()
    return folder


def write_day(folder: Path, orders: int, file_format: str) -> None:
    """Writes into `folder`, a run's own, what one more day brings to `orders` orders: DAY_SHARE as many.

    Of these a third are of new customers, and 5 % come late, by up to 90 days. A hundredth as many refunds come too,
    of orders among the last seventh of all.
    """
    rows = int(orders * DAY_SHARE)
    with duckdb.connect() as connection:
        connection.execute(_UNIT.format(seed=2))
        connection.execute(
            f"""copy (
                select
                    'D' || lpad(range::varchar, 9, '0') as order_id,
                    case when unit(range, 1) < 0.33 then 'N' || range
                        else 'C' || lpad(cast(unit(range, 2) * {orders // 10} as bigint)::varchar, 8, '0')
                    end as customer_id,
                    {_FIRST_AT} + to_seconds(cast(case when range % 20 > 0 then {_SECONDS} + unit(range, 3) * 86400
                        else {_SECONDS} - unit(range, 3) * 90 * 86400 end as bigint)) as ordered_at,
                    cast(100 + 49900 * pow(unit(range, 4), 3) as decimal(18, 0)) * 0.01 as amount,
                    'completed' as status
                from range({rows})
            ) to {literal(str(folder / f"orders_day.{file_format}"))} ({_format(file_format)})"""
        )
        connection.execute(
            f"""copy (
                select
                    'R' || range as refund_id,
                    'O' || lpad(cast({orders} - unit(range, 5) * {orders // 7} as bigint)::varchar, 9, '0') as order_id,
                    {_FIRST_AT} + to_seconds({_SECONDS} + range) as refunded_at,
                    1.00::decimal(18, 2) as amount
                from range({rows // 100})
            ) to {literal(str(folder / f"refunds_day.{file_format}"))} ({_format(file_format)})"""
        )


def lay_out(data: Path, folder: Path, file_format: str) -> Path:
    """Links to the files in `data`, a file of no refunds and a mapping, in `folder`; gives the mapping."""
    folder.mkdir(parents=True)
    for file in data.glob(f"*.{file_format}"):
        if not file.name.startswith("refunds_none"):
            (folder / file.name).symlink_to(file)
    with duckdb.connect() as connection:
        connection.execute(
            f"""copy (
                select '' as refund_id, '' as order_id, timestamp '2022-01-01' as refunded_at, 0.00 as amount limit 0
            ) to {literal(str(folder / f"refunds_none.{file_format}"))} ({_format(file_format)})"""
        )
    return _write_mapping(folder, file_format)


def _format(file_format: str) -> str:
    return "format csv, header" if file_format == "csv" else "format parquet, compression zstd"


def _write_mapping(folder: Path, file_format: str) -> Path:
    path = folder / "bench.yml"
    path.write_text(
        f"""dataset: bench
business_timezone: UTC
reporting_currency: USD
sources:
  orders: {{read: 'orders_*.{file_format}'}}
  refunds: {{read: 'refunds_*.{file_format}'}}
orders:
  from: orders
  columns: {{order_id: order_id, customer_id: customer_id, ordered_at: ordered_at, amount: amount, status: status}}
refunds:
  from: refunds
  columns: {{refund_id: refund_id, order_id: order_id, refunded_at: refunded_at, amount: amount}}
# Nobody here ever leaves, so that there is nothing to forecast; forecasts have a benchmark of their own.
vars: {{forecast_models: []}}
"""
    )
    return path
