"""A span of days computed anew: what was wrong in it is right again, what is outside is not touched."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest
from typer.testing import CliRunner, Result

from orchestration.cli import app
from orchestration.lib.backfilling import Noted, Span, note
from orchestration.lib.errors import UserError
from tests.support.shop import ORDERS, Shop


def tenure(shop: Shop, *arguments: str) -> Result:
    paths = ["--dataset", str(shop.settings.mapping_path), "--home", str(shop.settings.home)]
    return CliRunner().invoke(app, [*arguments, *paths])


def write_shop(shop: Shop) -> None:
    """Three months: f1 to f9 buy in each, m1 to m9 in January and March only. Times are UTC, the shop is in Berlin."""
    orders = [
        f"{name}{number}-{month},{name}{number},2024-{month:02}-{10 + number} 12:00:00,{10 * number + month}.50"
        for name, months in (("f", (1, 2, 3)), ("m", (1, 3)))
        for number in range(1, 10)
        for month in months
    ]
    # In Berlin the first is of 1 February, the second of 1 March.
    orders += ["first,eve,2024-01-31 23:30:00,5.00", "last,mia,2024-02-29 23:30:00,6.00"]
    shop.write("orders.csv", "id,customer,at,total\n" + "\n".join(orders) + "\n")
    shop.write("refunds.csv", "id,order,at,total\nr1,m1-1,2024-02-20,4.00\nr2,f2-1,2024-03-20,4.00\n")
    shop.write("visits.csv", "id,customer,at\nv1,m2,2024-02-05\nv2,m3,2024-03-05\nv3,,2024-02-06\n")
    shop.map(
        business_timezone="Europe/Berlin",
        sources={name: f"{name}.csv" for name in ("orders", "refunds", "visits")},
        orders={"from": "orders", "columns": ORDERS},
        refunds={
            "from": "refunds",
            "columns": {"refund_id": "id", "order_id": "order", "refunded_at": "at", "amount": "total"},
        },
        interactions={
            "from": "visits",
            "columns": {
                "interaction_id": "id",
                "customer_id": "customer",
                "occurred_at": "at",
                "interaction_type": "'visit'",
            },
        },
    )


def damage(shop: Shop) -> None:
    """Wrong rows in every kind of table, all of days in February or of customers who did something then."""
    with duckdb.connect(str(shop.settings.warehouse_path)) as connection:
        connection.execute(f"attach '{shop.settings.marts_path}' as marts")
        for statement in (
            "update marts.core.fct_orders set net_amount = 1000, order_number = 99 where order_id in ('f3-2', 'first')",
            "update marts.core.fct_orders set refund_amount = 0 where order_id = 'm1-1'",
            "delete from marts.core.fct_orders where order_id = 'f4-2'",
            "update marts.core.fct_interactions set family = 'other' where interaction_id in ('v1', 'v3')",
            "delete from marts.core.fct_refunds where refund_id = 'r1'",
            "update marts.core.fct_customer_months set order_count = 7 where month = date '2024-02-01'",
            "update intermediate.int_orders_enriched set net_minor = 1 where business_date = date '2024-02-15'",
            "update intermediate.int_purchase_days set order_count = 7 where month(purchased_on) = 2",
            "delete from intermediate.int_customer_periods where customer_id = 'f6'",
        ):
            connection.execute("use warehouse; begin")
            [changed] = connection.execute(statement).fetchone() or (0,)
            connection.execute("commit")
            assert changed, statement


def differences(shop: Shop, one: int, other: int) -> dict[str, list[tuple[object, ...]]]:
    """Rows that only the first of two versions has, by table."""
    marts = [shop.settings.versions_dir / str(number) / "marts.duckdb" for number in (one, other)]
    with duckdb.connect() as connection:
        for name, path in zip(("one", "other"), marts, strict=True):
            connection.execute(f"attach '{path}' as {name} (read_only)")
        tables = connection.execute(
            """select schema_name || '.' || table_name from duckdb_tables()
            where database_name = 'one' and table_name <> 'run_log'"""
        ).fetchall()
        found = {
            table: connection.execute(f"from one.{table} except all from other.{table}").fetchall()
            for (table,) in tables
        }
    assert len(found) > 10
    return {table: rows for table, rows in found.items() if rows}


@pytest.mark.integration
def test_damage_inside_of_the_span_is_mended_and_nothing_else_is_touched(shop: Shop) -> None:
    write_shop(shop)
    assert tenure(shop, "run").exit_code == 0
    damage(shop)
    # Marks on rows of customers who have nothing in February: they must still be there.
    with duckdb.connect(str(shop.settings.marts_path)) as marts:
        marts.execute("update core.fct_orders set channel = 'marked' where customer_id in ('m5', 'mia')")

    result = tenure(shop, "backfill", "--from", "2024-02-01", "--to", "2024-02-29")

    assert result.exit_code == 0, result.output
    said = "Backfill of 2024-02-01 to 2024-02-29: 10 orders, 1 refund and 2 interactions are computed anew"
    assert said in result.output
    assert "rows read        0 new" in result.output
    [(table, rows)] = differences(shop, 2, 1).items()
    assert table == "core.fct_orders"
    assert {(row[0], row[13]) for row in rows} == {("m5-1", "marked"), ("m5-3", "marked"), ("last", "marked")}
    kinds = "select distinct version, kind from quality.run_log order by version"
    with duckdb.connect(str(shop.settings.current / "marts.duckdb"), read_only=True) as marts:
        assert marts.execute(kinds).fetchall() == [(1, "run"), (2, "backfill 2024-02-01 to 2024-02-29")]


def test_a_span_is_two_dates_in_order() -> None:
    assert Span.parse("2024-02-01", "2024-02-01") == Span(date(2024, 2, 1), date(2024, 2, 1))
    with pytest.raises(UserError, match="--from 2024-02-30 is not a date"):
        Span.parse("2024-02-30", "2024-03-01")
    with pytest.raises(UserError, match="--to tomorrow is not a date"):
        Span.parse("2024-02-01", "tomorrow")
    with pytest.raises(UserError, match="--from 2024-02-02 is later than --to 2024-02-01"):
        Span.parse("2024-02-02", "2024-02-01")


def test_what_is_noted(shop: Shop) -> None:
    write_shop(shop)
    touched = """select coalesce(customer_id, ''), coalesce(order_id, ''), coalesce(interaction_id, '')
        from staging.touched order by all"""
    with shop.staged(only=("staging",)) as connection:
        connection.execute("delete from staging.touched")
    day = Span(date(2024, 2, 20), date(2024, 2, 20))
    assert note(shop.settings, "Europe/Berlin", day) == Noted(orders=0, refunds=1, interactions=0)
    assert note(shop.settings, "Europe/Berlin", Span(date(2024, 2, 1), date(2024, 2, 6))) == Noted(1, 0, 2)
    with duckdb.connect(str(shop.settings.warehouse_path)) as connection:
        assert connection.execute(touched).fetchall() == [
            ("", "", "v3"),
            ("", "m1-1", ""),
            ("eve", "first", ""),
            ("m2", "", "v1"),
        ]
    with pytest.raises(UserError, match=r"no order, refund or interaction from 2030-01-01 to .*from 2024-01-11 to"):
        note(shop.settings, "Europe/Berlin", Span(date(2030, 1, 1), date(2030, 2, 1)))
    with duckdb.connect(str(shop.settings.warehouse_path)) as connection:
        assert connection.execute("select count(*) from staging.touched").fetchone() == (4,)


@pytest.mark.parametrize("is_loaded", [False, True])
def test_before_anything_was_built(shop: Shop, is_loaded: bool) -> None:
    write_shop(shop)
    if is_loaded:
        shop.load()
    result = tenure(shop, "backfill", "--from", "2024-02-01", "--to", "2024-02-29")
    assert result.exit_code == 1
    assert "Nothing was ever built of 'shop' in " in result.output
    assert "`tenure run --dataset " in result.output
    assert not shop.settings.current.exists()


def test_what_the_command_refuses(shop: Shop) -> None:
    write_shop(shop)
    for first, last, words in (
        ("2024-03-01", "2024-02-01", "--from 2024-03-01 is later than --to 2024-02-01.\nExchange the two."),
        ("yesterday", "2024-02-01", "--from yesterday is not a date.\nWrite it as 2024-01-31."),
    ):
        result = tenure(shop, "backfill", "--from", first, "--to", last)
        assert (result.exit_code, words in result.output) == (1, True), result.output
    assert tenure(shop, "backfill", "--from", "2024-02-01").exit_code == 2
    assert not shop.settings.home.exists()
