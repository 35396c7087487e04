"""Purchase histories of published data sets, and of the sample that the literature fits its models on."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import duckdb

HISTORY = """
    with days as (
        select customer_id, business_date as purchased_on, sum(net_minor) as net_minor
        from {purchases}
        where business_date <= date '{until}'
        group by all
    ),
    numbered as (
        select *, row_number() over (partition by customer_id order by purchased_on) as purchase_number
        from days
    )
    select
        customer_id,
        count(*) - 1 as repeat_count,
        max(purchased_on) - min(purchased_on) as span_days,
        date '{until}' - min(purchased_on) as tenure_days,
        coalesce(sum(net_minor) filter (where purchase_number > 1), 0) as repeat_minor,
        1 as customer_count
    from numbered
    group by customer_id
"""


def histories_of_orders(connection: duckdb.DuckDBPyConnection, until: str) -> str:
    """Creates a table of the published orders' histories up to a date, and names it."""
    purchases = """(
        select customer_id, business_date, cast(net_amount * 100 as bigint) as net_minor
        from core.fct_orders
        where is_identified and is_valid_sale
    )"""
    connection.execute(f"create or replace temp table histories as {HISTORY.format(purchases=purchases, until=until)}")
    return "histories"


def cdnow_sample(connection: duckdb.DuckDBPyConnection, until: str = "1997-09-30") -> str:
    """Creates a table of the histories of the sample of 2,357 customers of CDNOW up to a date, and names it."""
    found = find_spec("lifetimes")
    assert found is not None and found.origin is not None
    file = Path(found.origin).parent / "datasets" / "CDNOW_sample.txt"
    connection.execute(
        f"""
        create or replace temp table cdnow_sample as
        select
            fields[1] as customer_id,
            cast(strptime(fields[3], '%Y%m%d') as date) as business_date,
            cast(cast(fields[5] as decimal(18, 2)) * 100 as bigint) as net_minor
        from (
            select regexp_split_to_array(trim(line), '\\s+') as fields
            from read_csv('{file}', columns = {{line: 'varchar'}}, header = false, delim = '\x01')
        )
        """
    )
    histories = HISTORY.format(purchases="cdnow_sample", until=until)
    connection.execute(f"create or replace temp table histories as {histories}")
    return "histories"
