"""Sources elsewhere, on real servers: what is loaded, when it is loaded again, and what a user is told of a failure."""

from __future__ import annotations

import gzip
import subprocess
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import duckdb
import pytest

from orchestration.lib import inputs, loading
from orchestration.lib.errors import UserError
from orchestration.lib.places import opened
from orchestration.lib.remote import Tables
from orchestration.lib.settings import PROJECT_ROOT
from tests.support.servers import PASSWORD, Postgres, Store, WebServer, postgres, store, web_server
from tests.support.shop import ORDERS, Shop

HEADER = "id,customer,at,total\n"
ONE = "1,anna,2024-01-05 10:00:00,12.50\n"
TWO = "2,bert,2024-01-06 10:00:00,5.00\n"
NOWHERE = "127.0.0.1:9"
VARIABLES = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "REGION", "DEFAULT_REGION", "ENDPOINT_URL")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine has set is not what is tested."""
    for name in [*VARIABLES, "ENDPOINT_URL_S3"]:
        monkeypatch.delenv(f"AWS_{name}", raising=False)


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture(scope="module")
def s3() -> Iterator[Store]:
    with store() as server:
        yield server


@pytest.fixture
def lake(s3: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The S3 server, empty, with its credentials in the environment."""
    for found in s3.client.list_objects_v2(Bucket="lake").get("Contents", []):
        s3.client.delete_object(Bucket="lake", Key=found["Key"])
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", PASSWORD)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return s3


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def orders(database: Postgres, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Postgres:
    """The database with a table of two orders, and a mapping that reads it."""
    database.run(
        """drop schema public cascade; create schema public; grant usage on schema public to reader;
        create table orders (id int, customer text, at timestamptz, total numeric(10, 2));
        insert into orders values (2, 'bert', '2024-01-06 10:00+01', 5), (1, 'anna', '2024-01-05 10:00+01', 12.5)"""
    )
    monkeypatch.setenv("SHOP_DATABASE", database.dsn())
    shop.map(sources=table("orders"))
    return database


def table(name: str) -> dict[str, Any]:
    return {"orders": {"read": f"postgres:public.{name}", "connection": "SHOP_DATABASE"}}


def ago(**time: float) -> str:
    """A Last-Modified so long ago."""
    return format_datetime(datetime.now(UTC) - timedelta(**time), usegmt=True)


def loaded(shop: Shop) -> tuple[int, int, int]:
    """Loads; files read, files left, rows there now."""
    [source] = shop.load().sources
    return source.files_new, source.files_unchanged, source.rows_total


def totals(shop: Shop) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(shop.settings.warehouse_path), read_only=True) as connection:
        return connection.execute("select _file, _row, total from raw.orders order by all").fetchall()


def error(shop: Shop) -> UserError:
    """What loading fails with. No password is in it, or in what it came from."""
    with pytest.raises(UserError) as caught:
        shop.load()
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    assert "shop.yml: source 'orders' reads " in caught.value.what
    return caught.value


# Web servers


def test_a_file_at_rest_is_read_once_and_a_changed_one_replaces_its_rows(web: WebServer, shop: Shop) -> None:
    shop.map(sources={"orders": f"{web.url}/orders.csv"})
    web.put("orders.csv", HEADER + ONE, Last_Modified=ago(days=2), ETag='"1"')
    assert loaded(shop) == (1, 0, 1)
    web.reads()
    assert loaded(shop) == (0, 1, 1)
    assert web.reads() == 0
    web.put("orders.csv", HEADER + ONE + TWO, Last_Modified=ago(days=1), ETag='"2"')
    assert loaded(shop) == (1, 0, 2)
    assert totals(shop) == [(f"{web.url}/orders.csv", 1, "12.50"), (f"{web.url}/orders.csv", 2, "5.00")]
    web.put("orders.csv", HEADER + ONE + TWO, Last_Modified=ago(hours=1), ETag='"3"')
    assert loaded(shop) == (0, 1, 2), "sent again, not changed"


@pytest.mark.parametrize("known", ["nothing", "an ETag", "a recent time"])
def test_a_change_is_seen_that_neither_size_nor_time_tell(web: WebServer, shop: Shop, known: str) -> None:
    # Made here and not for the parameters, which may be half an hour old by now.
    headers = {
        "nothing": {},
        "an ETag": {"ETag": '"of the time and the size"'},
        "a recent time": {"Last_Modified": ago(minutes=1)},
    }[known]
    shop.map(sources={"orders": f"{web.url}/orders.csv"})
    web.put("orders.csv", HEADER + ONE, **headers)
    assert loaded(shop) == (1, 0, 1)
    assert loaded(shop) == (0, 1, 1)
    web.put("orders.csv", HEADER + ONE.replace("12.50", "12.60"), **headers)
    assert loaded(shop) == (1, 0, 1)
    assert [row[2] for row in totals(shop)] == ["12.60"]


def test_a_file_that_changes_while_it_is_read_is_not_loaded(web: WebServer, shop: Shop) -> None:
    shop.map(sources={"orders": f"{web.url}/orders.csv"})
    web.put("orders.csv", HEADER + ONE)
    mapping = shop.mapping
    state = inputs.fingerprint(shop.settings, mapping)
    web.put("orders.csv", HEADER + ONE.replace("12.50", "12.60"))
    with pytest.raises(UserError, match="changed while it was read"):
        loading.load(shop.settings, mapping, state)


def test_a_url_may_have_parameters(web: WebServer, shop: Shop) -> None:
    shop.map(sources={"orders": f"{web.url}/export.tsv?table=orders&day=[1]"})
    web.put("export.tsv?table=orders&day=[1]", (HEADER + ONE).replace(",", "\t"))
    assert loaded(shop) == (1, 0, 1)


@pytest.mark.parametrize(
    ("status", "words"),
    [("404", "there is no such file"), ("403", "the server refuses it"), ("500", "answers with HTTP 500")],
)
def test_what_a_web_server_refuses(web: WebServer, shop: Shop, status: str, words: str) -> None:
    shop.map(sources={"orders": f"{web.url}/orders.csv"})
    web.put("orders.csv", "", Status=status)
    assert words in error(shop).what


def test_a_web_server_that_is_down(shop: Shop) -> None:
    shop.map(sources={"orders": f"http://{NOWHERE}/orders.csv"})
    assert "the server cannot be reached: IO Error: Could not connect" in error(shop).what


# Object stores


def test_the_files_of_a_bucket(lake: Store, shop: Shop) -> None:
    shop.map(sources={"orders": "s3://lake/landing/**/*.csv*"})
    lake.put("landing/2024/a[1].csv.gz", gzip.compress((HEADER + ONE).encode()))
    lake.put("landing/a1.csv", HEADER + TWO)
    lake.put("elsewhere.csv", HEADER + TWO)
    assert loaded(shop) == (2, 0, 2)
    assert totals(shop) == [
        ("s3://lake/landing/2024/a[1].csv.gz", 1, "12.50"),
        ("s3://lake/landing/a1.csv", 1, "5.00"),
    ]
    assert loaded(shop) == (0, 2, 2)
    lake.put("landing/a1.csv", HEADER + TWO.replace("5.00", "6.00"))
    lake.put("landing/b.csv", HEADER + TWO)
    assert loaded(shop) == (2, 1, 3)
    lake.client.delete_object(Bucket="lake", Key="landing/a1.csv")
    assert loaded(shop) == (0, 2, 3)


def test_every_format(lake: Store, shop: Shop) -> None:
    written = shop.folder / "orders.parquet"
    duckdb.sql(f"copy (select 3 as id, 'carl' as customer, date '2024-01-07' as at, 1.5 as total) to '{written}'")
    lake.put("orders.parquet", written.read_bytes())
    lake.put("orders.jsonl", '{"id": 4, "customer": "dora", "at": "2024-01-07", "total": 2}\n')
    shop.map(
        sources={"typed": "s3://lake/orders.parquet", "events": "gs://lake/orders.jsonl"},
        orders=[{"from": "typed", "columns": ORDERS}, {"from": "events", "columns": ORDERS}],
    )
    shop.check()
    shop.load()
    with duckdb.connect(str(shop.settings.warehouse_path), read_only=True) as connection:
        rows = connection.execute("select order_id, amount::varchar, source_file from contract.orders order by 1")
        assert rows.fetchall() == [
            ("3", "1.5000", "s3://lake/orders.parquet"),
            ("4", "2.0000", "gs://lake/orders.jsonl"),
        ]


def test_credentials_are_kept_nowhere(lake: Store, shop: Shop) -> None:
    shop.map(sources={"orders": "s3://lake/*.csv"})
    lake.put("orders.csv", HEADER + ONE)
    shop.load()
    written = [path for path in shop.settings.home.rglob("*") if path.is_file()]
    assert len(written) >= 2
    assert not [path for path in written if PASSWORD.encode() in path.read_bytes()]


def test_what_a_store_refuses(lake: Store, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.put("landing/orders.csv", HEADER + ONE)
    shop.map(sources={"orders": "s3://lake/landing/order.csv"})
    missing = error(shop)
    assert "there is no such file" in missing.what
    assert "s3://lake/landing has: s3://lake/landing/orders.csv. Did you mean" in missing.remedy
    shop.map(sources={"orders": "s3://pond/orders.csv"})
    assert error(shop).remedy == "There is no such bucket."
    shop.map(sources={"orders": "s3://lake/nothing*.csv"})
    with pytest.raises(UserError, match="matches no file"):
        shop.load()
    for pattern in ("landing/*.csv", "landing/orders.csv"):
        shop.map(sources={"orders": f"s3://lake/{pattern}"})
        with lake.asking_for_credentials():
            denied = error(shop)
        assert "denies access (HTTP 403)" in denied.what
        assert "AWS_ACCESS_KEY_ID" in denied.remedy
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{NOWHERE}")
    assert "the server cannot be reached" in error(shop).what
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", NOWHERE)
    with pytest.raises(UserError, match=r"AWS_ENDPOINT_URL_S3 .* is no URL"):
        shop.load()


# Tables


def test_a_table_is_loaded_with_its_types_and_read_again_when_it_has_changed(orders: Postgres, shop: Shop) -> None:
    assert loaded(shop) == (1, 0, 2)
    rows = [(file, row, str(total)) for file, row, total in totals(shop)]
    assert rows == [("postgres:public.orders", 1, "12.50"), ("postgres:public.orders", 2, "5.00")], "sorted"
    with duckdb.connect(str(shop.settings.warehouse_path), read_only=True) as connection:
        types = [row[1] for row in connection.execute("describe raw.orders").fetchall()]
        at = connection.execute("select ordered_at::varchar from contract.orders order by order_id").fetchall()
    assert types[3:] == ["INTEGER", "VARCHAR", "TIMESTAMP WITH TIME ZONE", "DECIMAL(10,2)"]
    assert at == [("2024-01-05 09:00:00",), ("2024-01-06 09:00:00",)]
    orders.run("delete from orders where id = 2; insert into orders values (2, 'bert', '2024-01-06 10:00+01', 5)")
    assert loaded(shop) == (0, 1, 2), "the same rows in another order"
    orders.run("alter table orders alter total type numeric(12, 4); update orders set total = 0.0001")
    assert loaded(shop) == (1, 0, 2)
    assert [str(row[2]) for row in totals(shop)] == ["0.0001", "0.0001"]


def test_every_change_of_a_table_is_seen(orders: Postgres, shop: Shop) -> None:
    seen = [inputs.fingerprint(shop.settings, shop.mapping).digest]
    for change in (
        "insert into orders values (3, 'carl', '2024-01-07', 1)",
        "insert into orders values (3, 'carl', '2024-01-07', 1)",
        "update orders set customer = (array['bert', 'anna'])[id] where id < 3",
        "update orders set customer = null where id = 1",
        "alter table orders add note text",
        "alter table orders rename note to remark",
        "truncate orders",
    ):
        orders.run(change)
        seen.append(inputs.fingerprint(shop.settings, shop.mapping).digest)
    assert len(set(seen)) == len(seen)


def test_a_table_that_changes_between_looking_and_loading_is_known_as_it_was_loaded(
    orders: Postgres, shop: Shop
) -> None:
    orders.run("create view later as select * from orders")
    sources = {**table("orders"), "later": table("later")["orders"]}
    shop.map(sources=sources, orders=[{"from": name, "columns": ORDERS} for name in sources])
    mapping = shop.mapping
    before = inputs.fingerprint(shop.settings, mapping)
    orders.run("insert into orders values (3, 'carl', '2024-01-07', 1)")
    between = inputs.fingerprint(shop.settings, mapping)
    report = loading.load(
        shop.settings, mapping, before, lambda *_: orders.run("insert into orders values (4, 'dora', '2024-01-07', 1)")
    )
    assert [source.rows_total for source in report.sources] == [3, 3], "both as of one moment"
    assert report.inputs.digest == between.digest != before.digest
    assert [(source.files_new, source.rows_total) for source in shop.load().sources] == [(1, 5), (1, 5)]


def test_a_tables_bad_rows_are_known_by_its_name_and_their_place_in_it(orders: Postgres, shop: Shop) -> None:
    orders.run(
        """create table "Odd.Name" as
        select id::text, customer, case id when 1 then '2024-01-05' else 'soon' end as "At", total from orders"""
    )
    shop.map(sources=table("Odd.Name"))
    shop.load()
    with duckdb.connect(str(shop.settings.warehouse_path), read_only=True) as connection:
        rejected = connection.execute(
            """select source_file, source_row, rejected_column, rejected_value
            from contract.orders where reason is not null"""
        ).fetchall()
    assert rejected == [("postgres:public.Odd.Name", 2, "ordered_at", "soon")]


def test_what_a_database_refuses(orders: Postgres, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.map(sources=table("order"))
    missing = error(shop)
    assert "the database of SHOP_DATABASE has no table or view public.order" in missing.what
    assert "Did you mean public.orders?" in missing.remedy
    shop.map(sources=table("orders"))
    monkeypatch.setenv("SHOP_DATABASE", orders.dsn("reader"))
    denied = error(shop)
    assert "denies it: permission denied for table orders" in denied.what
    assert denied.remedy == "GRANT SELECT ON public.orders to its user."
    monkeypatch.setenv("SHOP_DATABASE", orders.dsn(password=f"{PASSWORD}-not"))
    assert 'password authentication failed for user "owner"' in error(shop).what
    for dsn in (f"host=127.0.0.1 port=9 password='{PASSWORD}'", f"postgresql://x:{PASSWORD}@{NOWHERE}/x"):
        monkeypatch.setenv("SHOP_DATABASE", dsn)
        down = error(shop)
        assert "cannot connect to the database of SHOP_DATABASE" in down.what
        assert "Connection refused" in down.what
    monkeypatch.delenv("SHOP_DATABASE")
    unset = error(shop)
    assert "there is no such variable in the environment" in unset.what
    assert "export SHOP_DATABASE=" in unset.remedy


@pytest.mark.parametrize("form", ["host=h password='{}' user=u", "password={} host=h", "postgresql://u:{}@h/d"])
def test_whatever_a_message_repeats_of_the_connection_is_left_out(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    dsn = form.format(PASSWORD)
    monkeypatch.setenv("SHOP_DATABASE", dsn)
    shop.map(sources=table("orders"))
    with duckdb.connect() as connection, pytest.raises(UserError) as caught:
        Tables(connection, shop.mapping, "orders").explain("postgres:public.orders", duckdb.Error(f"{dsn} {PASSWORD}"))
    assert PASSWORD not in caught.value.what
    assert caught.value.what.endswith("the database of SHOP_DATABASE fails: … …")


def test_the_connection_is_kept_nowhere_and_reads_only(orders: Postgres, shop: Shop) -> None:
    shop.load()
    written = [path for path in shop.settings.home.rglob("*") if path.is_file()]
    assert len(written) >= 2
    assert not [path for path in written if PASSWORD.encode() in path.read_bytes()]
    with (
        duckdb.connect() as connection,
        opened(shop.mapping, connection),
        pytest.raises(duckdb.Error, match="read-only"),
    ):
        connection.execute("""delete from "postgres_SHOP_DATABASE".public.orders""")


# Mappings


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            {"read": "postgres:orders", "connection": "X"},
            "'postgres:orders' is not of the form postgres:<schema>.<table>",
        ),
        ({"read": "postgres:public.orders"}, "a table of a database needs `connection`"),
        ({"read": "orders.csv", "connection": "X"}, "`connection` is for tables of a database"),
        (
            {"read": "postgres:public.orders", "connection": f"password={PASSWORD}"},
            "give the name of the environment variable that holds the connection, not the connection",
        ),
        ({"read": "ftp://host/orders.csv"}, "'ftp://' cannot be read; what can: s3, gs, https, http"),
        ({"read": "https://host/*.csv"}, "a web server does not list its files"),
        ({"read": f"https://me:{PASSWORD}@host/orders.csv"}, "must hold no password, key or signature"),
        ({"read": f"https://host/orders.csv?X-Amz-Signature={PASSWORD}"}, "must hold no password, key or signature"),
        ({"read": f"s3://lake/o.csv?s3_secret_access_key={PASSWORD}"}, "'s3://': a name with a question mark cannot"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_mapping_may_not_say(shop: Shop, source: dict[str, Any], words: str) -> None:
    shop.map(sources={"orders": source})
    with pytest.raises(UserError) as caught:
        shop.load()
    assert "sources.orders" in caught.value.what
    assert words in caught.value.what
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("source", "package"),
    [
        ({"read": "s3://lake/orders.csv"}, "duckdb-extension-httpfs"),
        ({"read": "postgres:public.orders", "connection": "X"}, "duckdb-extension-postgres-scanner"),
    ],
    ids=["s3", "postgres"],
)
def test_an_extension_that_is_not_installed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, source: dict[str, str], package: str
) -> None:
    monkeypatch.setitem(sys.modules, package.replace("-", "_"), None)
    shop.map(sources={"orders": source})
    missing = error(shop)
    assert f"needs the Python package {package}; it is not installed" in missing.what
    assert f"pip install {package}=={duckdb.__version__}" in missing.remedy


def test_a_bracket_in_the_name_of_a_file_is_no_pattern(shop: Shop) -> None:
    shop.write("orders[1].csv", HEADER + ONE)
    shop.write("orders1.csv", HEADER + TWO)
    shop.map()
    assert loaded(shop) == (2, 0, 2)
    assert totals(shop) == [("orders1.csv", 1, "5.00"), ("orders[1].csv", 1, "12.50")]


def test_files_of_this_machine_need_no_duckdb_to_be_looked_at(shop: Shop) -> None:
    shop.write("orders.csv", HEADER + ONE)
    shop.map()
    code = f"""
import sys
from pathlib import Path
from orchestration.lib import inputs, mapping, settings
found = settings.Settings(Path({str(shop.folder)!r}), "shop", Path({str(shop.settings.mapping_path)!r}))
print(len(inputs.fingerprint(found, mapping.load_mapping(found.mapping_path)).files), "duckdb" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, check=True, text=True)
    assert ran.stdout == "1 False\n"
