"""Each rule of the raw contract: what a bad row or a bad mapping leaves, in the words a user sees."""

from __future__ import annotations

from typing import Any

import pytest

from orchestration.lib.errors import UserError
from tests.support.shop import ORDERS, Shop

HEADER = "id,customer,at,total\n"
GOOD = "1,anna,2024-01-05 10:00:00,12.50\n"

BAD_ROWS = [
    ("2,bert,yesterday,5\n", ("at", "ordered_at", "yesterday", "cannot be read as timestamp")),
    ("2,bert,2024-02-30,5\n", ("at", "ordered_at", "2024-02-30", "cannot be read as timestamp")),
    ("2,bert,2024-01-06,twelve\n", ("total", "amount", "twelve", "cannot be read as amount")),
    ('2,bert,2024-01-06,"1,234.50"\n', ("total", "amount", "1,234.50", "cannot be read as amount")),
    ("2,bert,2024-01-06,\n", ("total", "amount", None, "is required and missing")),
    ("2,bert,2024-01-06,  \n", ("total", "amount", None, "is required and missing")),
    (",bert,2024-01-06,5\n", ("id", "order_id", None, "is required and missing")),
    (" \u2003,bert,2024-01-06,5\n", ("id", "order_id", None, "is required and missing")),
    ("2,bert,,5\n", ("at", "ordered_at", None, "is required and missing")),
    ("2,bert,2024-01-06,-0.01\n", ("total", "amount", "-0.0100", "is negative")),
    (
        "2,bert,2999-01-01,5\n",
        ("at", "ordered_at", "2999-01-01 00:00:00", "lies in the future, more than a day after the end of the data"),
    ),
    ("2,bert,2024-01-06,5,surplus\n", (None, None, "2,bert,2024-01-06,5,surplus", "the row has too many columns")),
    ("2,bert\n", (None, "at", "2,bert", "the row has too few columns")),
]


@pytest.mark.parametrize(("line", "expected"), BAD_ROWS, ids=[line.strip() for line, _ in BAD_ROWS])
def test_a_bad_row_is_quarantined_with_its_place_and_reason(
    shop: Shop, line: str, expected: tuple[str | None, ...]
) -> None:
    shop.write("orders.csv", HEADER + GOOD + line + "3,carl,2024-01-07,7\n")
    shop.map()
    _, column, value, reason = expected
    [row] = shop.quarantine()
    assert row[:3] == ("orders", "orders.csv", 2)
    assert row[5] == reason
    if column is not None:
        assert row[3] == column
    assert row[4] == value
    with shop.staged() as connection:
        kept = connection.execute(
            "select order_id, source_row from staging.stg_orders_checked where row_status = 'accepted' order by 1"
        ).fetchall()
    assert kept == [("1", 1), ("3", 3)]


def test_invalid_utf8_is_quarantined(shop: Shop) -> None:
    shop.write("orders.csv", (HEADER + GOOD).encode() + b"2,b\xff\xfert,2024-01-06,5\n" + b"3,carl,2024-01-07,7\n")
    shop.map()
    [row] = shop.quarantine()
    assert row[:3] == ("orders", "orders.csv", 2)
    assert row[5] == "the row is not valid UTF-8"


def test_a_currency_without_a_rate_is_quarantined_and_never_taken_as_one(shop: Shop) -> None:
    shop.write(
        "orders.csv", "id,customer,at,total,cur\n1,a,2024-01-05,10,EUR\n2,a,2024-01-06,10,XXX\n3,a,2024-01-06,10,DEM\n"
    )
    shop.map(orders={"from": "orders", "columns": {**ORDERS, "currency": "cur"}})
    [row] = shop.quarantine()
    assert row[2:] == (2, "currency", "XXX", "has no rate to EUR on that day in the seed exchange_rates")
    with shop.staged() as connection:
        amounts = connection.execute("select order_id, gross_amount from marts.core.fct_orders order by 1").fetchall()
    assert [(order, float(amount)) for order, amount in amounts] == [("1", 10.0), ("3", 5.11)]


def test_a_date_after_a_given_data_end_is_quarantined(shop: Shop) -> None:
    shop.write(
        "orders.csv", HEADER + "1,a,2024-01-31 23:00:00,1\n2,a,2024-02-01 23:59:59,1\n3,a,2024-02-02 00:00:00,1\n"
    )
    shop.map(data_end="2024-01-31")
    assert [row[2] for row in shop.quarantine()] == [3]


def test_an_expression_that_fails_on_a_row_rejects_that_row_only(shop: Shop) -> None:
    shop.write("orders.csv", "id,customer,at,total\n1,a,05/01/2024,1\n2,a,2024-01-05,1\n")
    shop.map(orders={"from": "orders", "columns": {**ORDERS, "ordered_at": "strptime(\"at\", '%d/%m/%Y')"}})
    [row] = shop.quarantine()
    assert row[2:] == (2, "ordered_at", "2024-01-05", "cannot be read as timestamp")


def test_duplicates_corrections_and_conflicts_across_files(shop: Shop) -> None:
    head = "id,customer,at,total,changed\n"
    shop.write("orders_1.csv", head + "1,a,2024-01-05,1,\n2,a,2024-01-05,1,2024-01-06\n3,a,2024-01-05,1,\n")
    shop.write("orders_2.csv", head + "1,a,2024-01-05,1,\n2,a,2024-01-05,9,2024-01-07\n3,a,2024-01-05,8,\n")
    shop.map(orders={"from": "orders", "columns": {**ORDERS, "updated_at": "changed"}})
    reason = "two different rows have this key and neither is later by updated_at; the other is"
    assert shop.quarantine() == [
        ("orders", "orders_1.csv", 3, "order_id", "3", f"{reason} orders_2.csv, row 3"),
        ("orders", "orders_2.csv", 3, "order_id", "3", f"{reason} orders_1.csv, row 3"),
    ]
    with shop.staged() as connection:
        accounts = connection.execute(
            """select
                sum(rows_read), sum(accepted_count), sum(quarantined_count), sum(copy_count), sum(superseded_count)
            from marts.quality.load_accounting"""
        ).fetchone()
        revenue = connection.execute("select sum(net_amount) from marts.core.fct_orders").fetchone()
    assert accounts == (6, 2, 2, 1, 1)
    assert revenue is not None and float(revenue[0]) == 10.0


def test_rows_without_an_order_id_are_never_deduplicated(shop: Shop) -> None:
    shop.write("orders.csv", "customer,at,total\na,2024-01-05,1\na,2024-01-05,1\n")
    shop.map(orders={"from": "orders", "columns": {**ORDERS, "order_id": "_file || '#' || _row"}})
    with shop.staged() as connection:
        assert connection.execute("select count(*) from marts.core.fct_orders").fetchone() == (2,)


def test_ids_are_trimmed_of_unicode_white_space_and_else_compared_exactly(shop: Shop) -> None:
    shop.write(
        "orders.csv",
        HEADER + "1,\u00a0Anna\u3000,2024-01-05,1\n2,Anna,2024-01-06,1\n3,anna,2024-01-06,1\n4,an na,2024-01-06,1\n",
    )
    shop.map()
    with shop.staged() as connection:
        rows = connection.execute("select customer_id, order_count from marts.core.dim_customers order by 1").fetchall()
    assert rows == [("Anna", 2), ("an na", 1), ("anna", 1)]


def test_an_order_of_which_one_line_cannot_be_read_is_quarantined_whole(shop: Shop) -> None:
    shop.write(
        "orders.csv",
        HEADER
        + "1,a,2024-01-05,1\n1,a,2024-01-05,x\n"
        + "2,a,2024-01-05,1\n2,a,2024-01-05,1\n"
        + "3,a,2024-01-05,1\n3,b,2024-01-05,1\n",
    )
    shop.map(orders={"from": "orders", "grain": "order_line", "columns": ORDERS})
    assert shop.quarantine() == [
        ("orders", "orders.csv", 1, "amount", "x", "cannot be read as amount"),
        ("orders", "orders.csv", 5, "customer_id", "a, b", "the lines of the order name different customers"),
    ]
    with shop.staged() as connection:
        assert connection.execute("select order_id, gross_amount::varchar from marts.core.fct_orders").fetchall() == [
            ("2", "2.00")
        ]
        accounts = connection.execute(
            "select rows_read, accepted_count, quarantined_count from marts.quality.load_accounting"
        ).fetchall()
    assert accounts == [(6, 2, 4)]


def test_rows_left_out_by_where_are_counted(shop: Shop) -> None:
    shop.write("orders.csv", "id,customer,at,total\n1,a,2024-01-05,10\nC1,a,2024-01-06,-4\n2,a,2024-01-07,5\n")
    shop.map(
        orders={"from": "orders", "where": "id not like 'C%'", "columns": ORDERS},
        refunds={
            "from": "orders",
            "where": "id like 'C%'",
            "columns": {
                "refund_id": "id",
                "order_id": "substr(id, 2)",
                "refunded_at": "at",
                "amount": "-cast(total as decimal(18, 4))",
            },
        },
    )
    assert shop.quarantine() == []
    with shop.staged() as connection:
        accounts = connection.execute(
            "select table_name, rows_read, accepted_count, filtered_count from marts.quality.load_accounting order by 1"
        ).fetchall()
        orders = connection.execute(
            "select order_id, net_amount::varchar from marts.core.fct_orders order by 1"
        ).fetchall()
    assert accounts == [("orders", 3, 2, 1), ("refunds", 3, 1, 2)]
    assert orders == [("1", "6.00"), ("2", "5.00")]


def test_a_merge_circle_is_quarantined(shop: Shop) -> None:
    shop.write("orders.csv", HEADER + GOOD)
    shop.write("merges.csv", "old,new\nb,c\nc,b\nanna,a\n")
    shop.map(
        sources={"orders": "orders.csv", "merges": "merges.csv"},
        identity_map={"from": "merges", "columns": {"alias_id": "old", "customer_id": "new"}},
    )
    reason = "leads into a circle of aliases, or through more than 64 of them"
    assert [(row[2], row[4], row[5]) for row in shop.quarantine()] == [(1, "b", reason), (2, "c", reason)]
    with shop.staged() as connection:
        assert connection.execute("select customer_id from marts.core.dim_customers").fetchall() == [("a",)]


def test_an_alias_of_two_customers_is_quarantined_in_each_file_and_load_that_names_it(shop: Shop) -> None:
    shop.write("orders.csv", HEADER + GOOD)
    shop.write("merges_b.csv", "old,new,since\nx,a,2023-01-01\n")
    shop.map(
        sources={"orders": "orders.csv", "merges": "merges_*.csv"},
        identity_map={"from": "merges", "columns": {"alias_id": "old", "customer_id": "new", "valid_from": "since"}},
    )
    shop.load()
    shop.write("merges_a.csv", "old,new,since\ny,a,2023-01-01\nx,b,2023-02-01\n")
    reason = "is an alias of two customers at the same time: a and b"
    assert [(row[1], row[2], row[4], row[5]) for row in shop.quarantine()] == [
        ("merges_a.csv", 2, "x", reason),
        ("merges_b.csv", 1, "x", reason),
    ]
    with shop.staged() as connection:
        accounts = connection.execute(
            """select load_id, source_file, rows_read, accepted_count, quarantined_count
            from marts.quality.load_accounting where table_name = 'identity_map' order by load_id"""
        ).fetchall()
    assert accounts == [(1, "merges_b.csv", 1, 0, 1), (2, "merges_a.csv", 2, 1, 1)]


def test_a_json_line_that_is_no_object_is_quarantined(shop: Shop) -> None:
    shop.write(
        "orders.jsonl.gz",
        '{"id": 1, "customer": "a", "at": "2024-01-05T10:00:00+02:00", "total": 1.5}\n'
        "broken\n"
        '{"id": 2, "customer": "a", "at": "2024-01-05", "total": 2, "rare": {"x": 1}}\n',
    )
    shop.map(sources={"orders": "*.jsonl.gz"})
    [row] = shop.quarantine()
    assert row[2:] == (2, None, "broken", "the line is not a JSON object")
    with shop.staged() as connection:
        orders = connection.execute(
            "select order_id, ordered_at::varchar from marts.core.fct_orders order by 1"
        ).fetchall()
    assert orders == [("1", "2024-01-05 08:00:00"), ("2", "2024-01-05 00:00:00")]


MAPPING_ERRORS: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"sources": {"orders": "nowhere.csv"}},
        ["shop.yml", "source 'orders'", "nowhere.csv", "does not exist", "orders.csv"],
    ),
    ({"sources": {"orders": "none_*.csv"}}, ["shop.yml", "source 'orders'", "none_*.csv", "matches no file"]),
    (
        {"orders": {"from": "orders", "columns": {**ORDERS, "amount": "totl"}}},
        ["shop.yml", "orders (from orders), amount: `totl` does not compile", "total (varchar)"],
    ),
    (
        {"orders": {"from": "orders", "columns": {**ORDERS, "amount": "cast(total as"}}},
        ["shop.yml", "orders (from orders), amount: `cast(total as` does not compile", "total (varchar)"],
    ),
    ({"orders": {"from": "order", "columns": ORDERS}}, ["there is no source 'order' (did you mean 'orders'?)"]),
    (
        {"orders": {"from": "orders", "columns": {**ORDERS, "ammount": "total"}}},
        ["the contract has no column 'ammount' (did you mean 'amount'?)"],
    ),
    (
        {"orders": {"from": "orders", "columns": {"order_id": "id", "ordered_at": "at"}}},
        ["orders (from orders): required columns are not mapped: amount"],
    ),
    ({"business_timezone": "Europe/Berlim"}, ["business_timezone: 'Europe/Berlim' is not a time zone"]),
    ({"reporting_currency": "euro"}, ["'euro' is not a three-letter currency code"]),
    ({"ordrs": {"from": "orders"}}, ["ordrs: is not something a mapping has (did you mean 'orders'?)"]),
    (
        {"orders": {"from": "orders", "where": "total", "columns": ORDERS}},
        ["where: `total` is VARCHAR, not a condition"],
    ),
    (
        {"sources": {"orders": "package:no_such_package/x.csv"}},
        ["the Python package 'no_such_package' is not installed"],
    ),
]


@pytest.mark.parametrize(("change", "words"), MAPPING_ERRORS, ids=[words[-1] for _, words in MAPPING_ERRORS])
def test_a_mapping_that_does_not_fit_fails_before_anything_is_written(
    shop: Shop, change: dict[str, Any], words: list[str]
) -> None:
    shop.write("orders.csv", HEADER + GOOD)
    shop.map(**change)
    with pytest.raises(UserError) as caught:
        shop.load()
    message = str(caught.value)
    assert [word for word in words if word not in message] == []
    if shop.settings.warehouse_path.exists():
        import duckdb

        with duckdb.connect(str(shop.settings.warehouse_path)) as connection:
            assert connection.execute("select count(*) from duckdb_tables()").fetchone() == (0,)


def test_a_lookup_that_is_not_unique_is_refused(shop: Shop) -> None:
    shop.write("orders.csv", HEADER + GOOD)
    shop.write("cities.csv", "customer,city\nanna,Ulm\nanna,Bonn\n")
    shop.map(
        sources={"orders": "orders.csv", "cities": "cities.csv"},
        orders={"from": "orders", "lookups": {"cities": "customer"}, "columns": {**ORDERS, "channel": "city"}},
    )
    with pytest.raises(
        UserError, match=r"looks up 'cities' by customer, which must be unique there, but anna stands in 2 rows"
    ):
        shop.load()


def test_a_file_is_loaded_once_and_a_changed_one_replaces_its_own_rows(shop: Shop) -> None:
    shop.write("orders_1.csv", HEADER + GOOD)
    shop.write("orders_2.csv", HEADER + "2,bert,2024-01-06,5\n")
    shop.map()
    assert [(s.files_new, s.files_unchanged, s.rows_total) for s in shop.load().sources] == [(2, 0, 2)]
    assert [(s.files_new, s.files_unchanged, s.rows_total) for s in shop.load().sources] == [(0, 2, 2)]
    shop.write("orders_2.csv", HEADER + "2,bert,2024-01-06,5\n3,carl,2024-01-06,5\n")
    assert [(s.files_new, s.files_unchanged, s.rows_total) for s in shop.load().sources] == [(1, 1, 3)]
    (shop.folder / "orders_1.csv").unlink()
    assert [(s.files_new, s.files_unchanged, s.rows_total) for s in shop.load().sources] == [(0, 1, 3)]


def test_a_file_with_new_columns_widens_the_raw_table(shop: Shop) -> None:
    shop.write("orders_1.csv", HEADER + GOOD)
    shop.write("orders_2.csv", "total;id;at;customer;note\n5;2;2024-01-06;bert;hi\n".replace(";", "\t"))
    shop.map()
    shop.load()
    with shop.staged() as connection:
        assert connection.execute("select id, note from raw.orders order by id").fetchall() == [
            ("1", None),
            ("2", "hi"),
        ]


def test_the_sources_zone_holds_for_timestamps_without_one(shop: Shop) -> None:
    shop.write("orders.csv", HEADER + "1,a,2024-07-05 00:30:00,1\n2,a,2024-07-05T00:30:00Z,1\n3,a,2024-07-05,1\n")
    shop.map(business_timezone="Europe/Berlin", sources={"orders": {"read": "orders.csv", "timezone": "Europe/Berlin"}})
    with shop.staged() as connection:
        rows = connection.execute(
            "select ordered_at::varchar, business_date::varchar from marts.core.fct_orders order by order_id"
        ).fetchall()
    assert rows == [
        ("2024-07-04 22:30:00", "2024-07-05"),
        ("2024-07-05 00:30:00", "2024-07-05"),
        ("2024-07-04 22:00:00", "2024-07-05"),
    ]


def test_parquet_zstd_and_semicolons(shop: Shop) -> None:
    import duckdb

    duckdb.sql(
        f"""copy (select 1 as id, 7.0 as customer, timestamptz '2024-01-05 10:00:00+01' as at, 1.25 as total)
        to '{shop.folder}/orders_1.parquet'"""
    )
    duckdb.sql(
        f"""copy (select 2 as id, 7.0 as customer, timestamptz '2024-01-06 10:00:00+01' as at, 2.5 as total)
        to '{shop.folder}/orders_2.csv.zst' (header, delim ';')"""
    )
    shop.map(
        sources={"new": "orders_1.parquet", "old": "orders_2.csv.zst"},
        orders=[
            {"from": "new", "columns": {**ORDERS, "customer_id": "cast(customer as integer)"}},
            {"from": "old", "columns": {**ORDERS, "customer_id": "cast(cast(customer as double) as integer)"}},
        ],
    )
    assert shop.quarantine() == []
    with shop.staged() as connection:
        rows = connection.execute(
            """select order_id, customer_id, ordered_at::varchar, gross_amount::varchar
            from marts.core.fct_orders order by 1"""
        ).fetchall()
    assert rows == [("1", "7", "2024-01-05 09:00:00", "1.25"), ("2", "7", "2024-01-06 09:00:00", "2.50")]


def test_a_column_takes_the_type_that_holds_what_all_files_bring(shop: Shop) -> None:
    import duckdb

    def write(name: str, total: str, at: str = "date '2024-01-05'") -> None:
        duckdb.sql(f"copy (select 1 as id, 2 as customer, {at} as at, {total} as total) to '{shop.folder}/{name}'")

    def totals() -> list[str]:
        shop.load()
        with duckdb.connect(str(shop.settings.warehouse_path)) as connection:
            return [row[0] for row in connection.execute("select total::varchar from raw.orders order by 1").fetchall()]

    shop.map(sources={"orders": "orders_*.parquet"})
    write("orders_1.parquet", "1")
    assert totals() == ["1"]
    write("orders_2.parquet", "1.6::decimal(10, 2)")
    assert totals() == ["1.00", "1.60"]
    write("orders_1.parquet", "'none'")
    assert totals() == ["1.60", "none"]
    write("orders_3.parquet", "1", "timestamptz '2024-01-05'")
    with pytest.raises(
        UserError, match=r"orders_3.parquet: at is TIMESTAMP WITH TIME ZONE, in other files .* it is DATE"
    ):
        shop.load()


def test_a_file_that_is_no_text_is_refused_with_advice(shop: Shop) -> None:
    shop.write("orders.xlsx", b"PK\x03\x04")
    shop.map(sources={"orders": "orders.xlsx"})
    with pytest.raises(UserError, match=r"\.xlsx is none of CSV, TSV, JSON lines.*\n.*save it as CSV"):
        shop.load()


def test_a_file_read_as_one_column_hints_at_the_delimiter(shop: Shop) -> None:
    shop.write("orders.csv", "id~customer~at~total\n1~a~2024-01-05~1\n")
    shop.map()
    with pytest.raises(UserError, match=r"came as a single column.*delim"):
        shop.load()


def test_an_empty_file_says_so(shop: Shop) -> None:
    shop.write("orders.csv", "")
    shop.map()
    with pytest.raises(UserError, match=r"Columns of 'orders': none\.\nIts files are empty"):
        shop.load()
