"""A customer who asked to be erased is in no raw row, no mart and no version, and does not come back."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from orchestration.cli import app
from orchestration.lib import publishing
from tests.support.shop import ORDERS, Shop


@pytest.fixture
def erasing_shop(shop: Shop) -> Shop:
    shop.write(
        "orders.csv",
        "id,customer,at,total\n1,anna,2024-01-05,1\n2,bert,2024-01-05,2\n3,anna2,2024-02-05,3\n4,,2024-02-06,4\n"
        "5,anna,2024-02-07,5,surplus\n",
    )
    shop.write("lines.csv", "id,customer,at,total\n1,anna,2024-01-05,1\n2,bert,2024-01-05,2\n")
    shop.write("refunds.csv", "id,order,at,total\nr1,1,2024-03-01,1\nr2,2,2024-03-01,1\n")
    shop.write("people.csv", "who,mail\nanna,anna@example.org\nbert,bert@example.org\n")
    shop.write("merges.csv", "old,new\nanna2,anna\n")
    shop.write("erasures.csv", "who,at\n")
    shop.map(
        max_quarantined_share=1,
        sources={name: f"{name}.csv" for name in ("orders", "lines", "refunds", "people", "merges", "erasures")},
        orders={"from": "orders", "columns": ORDERS},
        order_lines={"from": "lines", "columns": {"order_id": "id", "line_number": "_row", "amount": "total"}},
        refunds={
            "from": "refunds",
            "columns": {"refund_id": "id", "order_id": "order", "refunded_at": "at", "amount": "total"},
        },
        customers={"from": "people", "columns": {"customer_id": "who", "email": "mail"}},
        identity_map={"from": "merges", "columns": {"alias_id": "old", "customer_id": "new"}},
        erasures={"from": "erasures", "columns": {"customer_id": "who", "requested_at": "at"}},
    )
    return shop


def everything(connection: duckdb.DuckDBPyConnection) -> str:
    """All text of all tables of both files, the request itself and its record apart."""
    tables = connection.execute(
        """select database_name, schema_name, table_name from duckdb_tables()
        where not internal and table_name not in ('erasures', 'erased_customers', 'stg_erasures_checked')"""
    ).fetchall()
    return "\n".join(
        str(connection.execute(f'from "{database}"."{schema}"."{table}"').fetchall())
        for database, schema, table in tables
    )


def test_an_erased_customer_is_gone_everywhere_under_every_alias(erasing_shop: Shop) -> None:
    with erasing_shop.staged() as connection:
        assert "anna" in everything(connection)
    erasing_shop.write("erasures.csv", "who,at\nanna,2024-04-01\n")
    with erasing_shop.staged() as connection:
        assert "anna" not in everything(connection)
        left = connection.execute(
            "select order_id, net_amount::varchar from marts.core.fct_orders order by 1"
        ).fetchall()
        assert left == [("2", "1.00"), ("4", "4.00")]
        accounts = connection.execute(
            """select table_name, rows_read, accepted_count, quarantined_count, erased_count
            from marts.quality.load_accounting order by 1"""
        ).fetchall()
    assert accounts == [
        ("customers", 2, 1, 0, 1),
        ("erasures", 1, 1, 0, 0),
        ("identity_map", 1, 0, 0, 1),
        ("order_lines", 2, 1, 0, 1),
        ("orders", 5, 2, 1, 2),
        ("refunds", 2, 1, 0, 1),
    ]


def test_a_file_delivered_again_does_not_bring_the_customer_back(erasing_shop: Shop) -> None:
    erasing_shop.write("erasures.csv", "who,at\nanna,2024-04-01\n")
    erasing_shop.load()
    erasing_shop.write(
        "orders.csv", "id,customer,at,total\n1,anna,2024-01-05,1\n9,anna2,2024-05-05,9\n2,bert,2024-01-05,2\n"
    )
    with erasing_shop.staged() as connection:
        assert "anna" not in everything(connection)
        accounts = connection.execute(
            """select rows_read, accepted_count, erased_count
            from marts.quality.load_accounting where table_name = 'orders'"""
        ).fetchall()
    assert accounts == [(3, 1, 2)]


MERGES = {
    "from": "merges",
    "columns": {
        "alias_id": "old", "customer_id": "new", "valid_from": "since", "valid_to": "until", "updated_at": "changed",
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("merges", "left"),
    [
        (
            "anna,bert,2024-01-01,,2024-01-01\nanna,bert,2024-01-01,2024-01-20,2024-01-20\n"
            "anna2,anna,2024-01-01,,2024-01-01\n",
            ["2"],
        ),
        ("anna2,anna,2024-01-01,,\nanna2,bert,2024-01-02,,\n", ["2", "3"]),
        ("anna2,anna,2024-01-01,,\nanna2,bert,2999-01-02,,\n", ["2"]),
        ("anna,bert,2024-01-01,2023-01-01,\nanna,anna2,yesterday,,\n", ["2", "3"]),
    ],
    ids=["parted again", "of two customers at once", "later another's", "quarantined"],
)
def test_who_is_not_merged_is_not_erased_too(shop: Shop, merges: str, left: list[str]) -> None:
    shop.write("orders.csv", "id,customer,at,total\n1,anna,2024-01-05,1\n2,bert,2024-01-05,2\n3,anna2,2024-01-06,3\n")
    shop.write("merges.csv", f"old,new,since,until,changed\n{merges}")
    shop.write("erasures.csv", "who,at\nanna,2024-04-01\n")
    shop.map(
        max_quarantined_share=1,
        sources={name: f"{name}.csv" for name in ("orders", "merges", "erasures")},
        orders={"from": "orders", "columns": ORDERS},
        identity_map=MERGES,
        erasures={"from": "erasures", "columns": {"customer_id": "who", "requested_at": "at"}},
    )
    with shop.staged() as connection:
        kept = connection.execute("select order_id from marts.core.fct_orders order by all").fetchall()
    assert [order for (order,) in kept] == left


def run(shop: Shop) -> None:
    command = ["run", "--dataset", str(shop.settings.mapping_path), "--home", str(shop.settings.home)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output


def found_in(home: Path, text: str) -> set[str]:
    """Files whose bytes have this text in them; or, of Parquet, which is packed, whose values have."""
    found = set()
    for path in home.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            if path.suffix == ".parquet":
                content += str(duckdb.sql(f"from '{path}'").fetchall()).encode()
            if text.encode() in content:
                found.add(path.relative_to(home).as_posix())
    return found


@pytest.mark.integration
def test_after_the_next_run_the_customer_is_in_no_byte_of_any_file(erasing_shop: Shop) -> None:
    """Nor in what DuckDB and SQLite have marked as free. Of the request the id stays, and nothing else."""
    shop, home = erasing_shop, erasing_shop.settings.home
    orders = [f"order-{n},customer-{n % 30},2024-{1 + n % 5:02}-{1 + n % 28:02},10" for n in range(300)]
    of_anna = [f"annas-{n},anna{'2' if n % 3 else ''},2024-{1 + n % 4:02}-07,10" for n in range(40)]
    bad = ["annas-unreadable,anna,2024-01-05,5,surplus", "annas-quarantined,anna,2024-01-05,much"]
    shop.write("orders.csv", "\n".join(["id,customer,at,total", *orders, *of_anna, *bad, ""]))
    # None of them adds up to its order: a rule that warns shows rows, in data docs, Dagster's history and the log.
    shop.write("lines.csv", "\n".join(["id,customer,at,total", *(f"annas-{n},,2024-01-05,1" for n in range(40)), ""]))
    shop.write("refunds.csv", "id,order,at,total\nr1,annas-1,2024-03-01,1\nr2,order-2,2024-03-01,1\n")
    run(shop)
    for text in ("annas-1", "anna@example.org"):
        assert "work/shop/warehouse.duckdb" in found_in(home, text)
    shown = {path.split("/")[0] for path in found_in(home, "annas-1") if not path.endswith((".duckdb", ".parquet"))}
    assert shown == {"dagster", "versions", "work"}

    shop.write("erasures.csv", "who,at\nanna,2024-06-01\n")
    run(shop)
    assert [version.number for version in publishing.versions(shop.settings)] == [2]
    for text in ("annas-", "anna@example.org", "surplus"):
        assert found_in(home, text) == set(), text
    assert found_in(home, "anna") == {"work/shop/warehouse.duckdb"}
    with duckdb.connect(str(shop.settings.warehouse_path), read_only=True) as connection:
        assert "anna" not in everything(connection)
