"""A customer who asked to be erased is in no raw row, no mart and no version, and does not come back."""

from __future__ import annotations

import duckdb
import pytest

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


def test_who_was_merged_by_mistake_and_parted_again_is_not_erased_too(shop: Shop) -> None:
    shop.write("orders.csv", "id,customer,at,total\n1,anna,2024-01-05,1\n2,bert,2024-01-05,2\n3,anna2,2024-01-06,3\n")
    shop.write(
        "merges.csv",
        "old,new,since,until,changed\nanna,bert,2024-01-01,,2024-01-01\nanna,bert,2024-01-01,2024-01-20,2024-01-20\n"
        "anna2,anna,2024-01-01,,2024-01-01\n",
    )
    shop.write("erasures.csv", "who,at\nanna,2024-04-01\n")
    shop.map(
        sources={name: f"{name}.csv" for name in ("orders", "merges", "erasures")},
        orders={"from": "orders", "columns": ORDERS},
        identity_map={
            "from": "merges",
            "columns": {
                "alias_id": "old", "customer_id": "new", "valid_from": "since", "valid_to": "until",
                "updated_at": "changed",
            },
        },
        erasures={"from": "erasures", "columns": {"customer_id": "who", "requested_at": "at"}},
    )  # fmt: skip
    with shop.staged() as connection:
        left = connection.execute("select order_id, customer_id from marts.core.fct_orders").fetchall()
    assert left == [("2", "bert")]
