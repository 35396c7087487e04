"""The marts with pandas: groupby for what grows with the orders, NumPy for the rest."""

from __future__ import annotations

from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import frames


def build(files: str, target: Path) -> None:
    """Reads the orders and writes each mart as a Parquet file into `target`."""
    orders = _read(files)
    orders["minor"] = (orders["amount"] * 100).round().astype("int64")
    orders["is_sale"] = orders["status"] == "completed"
    orders["customer"], names = pd.factorize(orders["customer_id"])
    orders["day"] = orders["ordered_at"].to_numpy().astype("datetime64[D]").astype(np.int64)
    sales = orders[orders["is_sale"]].sort_values(["customer", "ordered_at", "order_id"])
    orders["order_number"] = sales.groupby("customer", sort=False).cumcount() + 1
    _write(
        target,
        "fct_orders",
        {
            "order_id": orders["order_id"],
            "customer_id": orders["customer_id"],
            "ordered_at": orders["ordered_at"],
            "business_date": _dates(orders["day"]),
            "status": orders["status"],
            "net_amount": orders["minor"].where(orders["is_sale"], 0) / 100,
            "order_number": orders["order_number"],
        },
    )
    days = (
        sales.groupby(["customer", "day"], sort=True)
        .agg(order_count=("minor", "size"), minor=("minor", "sum"))
        .reset_index()
    )
    by_customer = days.groupby("customer", sort=True)
    days["first"] = by_customer["day"].transform("first")
    days["previous"] = by_customer["day"].shift(1).fillna(-1).astype("int64")
    days["number"] = by_customer.cumcount() + 1
    customers = by_customer.agg(
        first=("day", "first"), last=("day", "last"), order_count=("order_count", "sum"),
        purchase_day_count=("day", "size"), minor=("minor", "sum"),
    ).reindex(range(len(names)))  # fmt: skip
    first_on = pd.to_datetime(customers["first"], unit="D", origin="unix")
    _write(
        target,
        "dim_customers",
        {
            "customer_id": names,
            "first_order_on": first_on,
            "last_order_on": pd.to_datetime(customers["last"], unit="D", origin="unix"),
            "cohort_month": first_on.dt.to_period("M").dt.to_timestamp(),
            "order_count": customers["order_count"].fillna(0),
            "purchase_day_count": customers["purchase_day_count"].fillna(0),
            "net_amount": customers["minor"].fillna(0) / 100,
        },
    )
    days["month"] = frames.months_of(days["day"].to_numpy())
    months = (
        days.groupby(["customer", "month"], sort=True)
        .agg(order_count=("order_count", "sum"), purchase_day_count=("day", "size"), minor=("minor", "sum"))
        .reset_index()
    )
    _write(
        target,
        "fct_customer_months",
        {
            "customer_id": names[months["customer"]],
            "month": _dates(frames.month_starts(months["month"].to_numpy())),
            "order_count": months["order_count"],
            "purchase_day_count": months["purchase_day_count"],
            "net_at_order_date_amount": months["minor"] / 100,
        },
    )
    days["week"] = frames.periods_of("week", days["day"].to_numpy())
    weeks = days.groupby(["customer", "week"], sort=True)["minor"].sum().reset_index()
    frame_columns = [
        (days, ("customer", "day", "first", "previous", "number", "minor")),
        (weeks, ("customer", "week", "minor")),
        (months, ("customer", "month", "minor")),
    ]
    arrays = [{name: frame[name].to_numpy() for name in columns} for frame, columns in frame_columns]
    for name, parts in frames.retention_marts(*arrays).items():
        pd.concat([pd.DataFrame(part) for part in parts]).to_parquet(target / f"{name}.parquet", index=False)


def _read(files: str) -> pd.DataFrame:
    if files.endswith(".parquet"):
        return pd.concat([pd.read_parquet(file) for file in sorted(glob(files))], ignore_index=True)
    kinds = {"order_id": "str", "customer_id": "str", "amount": "float64", "status": "str"}
    # Arrow's reader uses both cores and takes a quarter of the time of the default one.
    parts = [
        pd.read_csv(file, dtype=kinds, parse_dates=["ordered_at"], engine="pyarrow") for file in sorted(glob(files))
    ]
    return pd.concat(parts, ignore_index=True)


def _dates(days: Any) -> Any:
    return np.asarray(days).astype("datetime64[D]").astype("datetime64[s]")


def _write(target: Path, name: str, columns: dict[str, Any]) -> None:
    # By place, not by index: the columns come from frames of different order.
    values = {key: value.array if isinstance(value, pd.Series) else np.asarray(value) for key, value in columns.items()}
    pd.DataFrame(values).to_parquet(target / f"{name}.parquet", index=False)
