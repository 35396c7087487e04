"""The marts with Polars: its own engine for what grows with the orders, NumPy for the rest."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmarks import frames


def build(files: str, target: Path) -> None:
    """Reads the orders and writes each mart as a Parquet file into `target`."""
    scan = pl.scan_parquet(files) if files.endswith(".parquet") else _scan_csv(files)
    orders = (
        scan.with_columns(
            minor=(pl.col("amount") * 100).round().cast(pl.Int64),
            is_sale=pl.col("status") == "completed",
            business_date=pl.col("ordered_at").cast(pl.Date),
        )
    ).collect()
    names = orders.select("customer_id").unique().with_row_index("customer")
    orders = orders.join(names, on="customer_id", how="left")
    sales = orders.filter("is_sale").sort("customer", "ordered_at", "order_id")
    numbered = sales.select("order_id", order_number=pl.int_range(1, pl.len() + 1).over("customer"))
    orders.join(numbered, on="order_id", how="left").select(
        "order_id", "customer_id", "ordered_at", "business_date", "status", "order_number",
        net_amount=pl.when("is_sale").then("minor").otherwise(0) / 100,
    ).write_parquet(target / "fct_orders.parquet")  # fmt: skip
    days = (
        sales.group_by("customer", "business_date")
        .agg(order_count=pl.len().cast(pl.Int64), minor=pl.col("minor").sum())
        .sort("customer", "business_date")
        .with_columns(day=pl.col("business_date").to_physical().cast(pl.Int64))
        .with_columns(
            first=pl.col("day").first().over("customer"),
            previous=pl.col("day").shift(1).over("customer").fill_null(-1),
            number=pl.int_range(1, pl.len() + 1).over("customer"),
            month=pl.col("business_date").dt.year().cast(pl.Int64) * 12 + pl.col("business_date").dt.month() - 1,
            week=(pl.col("day") + 3) // 7,
        )
    )
    customers = days.group_by("customer").agg(
        first_order_on=pl.col("business_date").min(),
        last_order_on=pl.col("business_date").max(),
        order_count=pl.col("order_count").sum(),
        purchase_day_count=pl.len(),
        minor=pl.col("minor").sum(),
    )
    names.join(customers, on="customer", how="left").select(
        "customer_id", "first_order_on", "last_order_on",
        cohort_month=pl.col("first_order_on").dt.truncate("1mo"),
        order_count=pl.col("order_count").fill_null(0),
        purchase_day_count=pl.col("purchase_day_count").fill_null(0),
        net_amount=pl.col("minor").fill_null(0) / 100,
    ).write_parquet(target / "dim_customers.parquet")  # fmt: skip
    months = (
        days.group_by("customer", "month")
        .agg(order_count=pl.col("order_count").sum(), purchase_day_count=pl.len(), minor=pl.col("minor").sum())
        .sort("customer", "month")
    )
    months.join(names, on="customer", how="left").select(
        "customer_id", "order_count", "purchase_day_count",
        month=pl.date(pl.col("month") // 12, pl.col("month") % 12 + 1, 1),
        net_at_order_date_amount=pl.col("minor") / 100,
    ).write_parquet(target / "fct_customer_months.parquet")  # fmt: skip
    weeks = days.group_by("customer", "week").agg(pl.col("minor").sum()).sort("customer", "week")
    frame_columns = [
        (days, ("customer", "day", "first", "previous", "number", "minor")),
        (weeks, ("customer", "week", "minor")),
        (months, ("customer", "month", "minor")),
    ]
    arrays = [{name: frame[name].to_numpy() for name in columns} for frame, columns in frame_columns]
    for name, parts in frames.retention_marts(*arrays).items():
        pl.concat([pl.DataFrame(part, nan_to_null=True) for part in parts], how="vertical_relaxed").write_parquet(
            target / f"{name}.parquet"
        )


def _scan_csv(files: str) -> pl.LazyFrame:
    return pl.scan_csv(
        files,
        schema={
            "order_id": pl.String, "customer_id": pl.String, "ordered_at": pl.Datetime, "amount": pl.Float64,
            "status": pl.String,
        },
    )  # fmt: skip
