"""Publishing, with real files, real DuckDB, real readers in other processes and publishers that are killed."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from orchestration.lib import publishing
from orchestration.lib.lock import LockHeldError
from orchestration.lib.publishing import CheckResult, PublishingError, RunRecord, RunStep
from orchestration.lib.settings import PROJECT_ROOT, Settings

TABLES = ("core.dim_customers", "core.fct_orders", "quality.run_log")


def settings_in(home: Path, dataset: str = "shop") -> Settings:
    return Settings(home=home, dataset=dataset, mapping_path=home / f"{dataset}.yml")


def build_marts(settings: Settings, stamp: int, rows: int = 2_000, extra: str = "") -> None:
    """Marts as a run leaves them: every row of both tables carries `stamp`, so a mixture would show."""
    settings.work_dir.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(settings.marts_path)) as connection:
        connection.execute(f"""
            create schema if not exists core;
            create or replace table core.dim_customers as
                select 'c' || i as customer_id, 2 as order_count, 2 as purchase_day_count, {stamp} as stamp
                from range({rows}) as numbers (i);
            create or replace table core.fct_orders as
                select
                    'o' || i as order_id, date '2024-01-01' + (i % 90)::integer as business_date,
                    (i % 7 + 0.25)::decimal(18, 2) as net_amount, true as is_identified, true as is_valid_sale,
                    {stamp} as stamp, if(i % 3 = 0, null, 'web') as channel
                from range({rows * 2}) as numbers (i);
            create or replace table core.dim_dates as
                select day::date as date_on, day between date '2024-01-01' and date '2024-03-30' as is_in_data
                from generate_series(date '2024-01-01', date '2024-12-31', interval 1 day) as days (day);
            create or replace view core.recent_orders as
                select order_id from core.fct_orders where business_date >= date '2024-03-01';
            comment on table core.fct_orders is 'One row per order.';
            {extra}
        """)


def run(number: int = 1) -> RunRecord:
    steps = (RunStep("load", 6_000, 1.5), RunStep("build marts", None, 2.25))
    return RunRecord(f"run-{number}", datetime(2024, 4, 1, 3, tzinfo=UTC), steps)


def publish(settings: Settings, number: int = 1, **arguments: object) -> publishing.Version:
    given = {
        "inputs": {"digest": f"digest-{number}"},
        "checks": (),
        "month_columns": {"core.fct_orders": "business_date"},
        **arguments,
    }
    return publishing.publish(settings, run=run(number), **given)  # type: ignore[arg-type]


def query(path: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def assert_whole(settings: Settings, number: int, stamp: int) -> None:
    """What readers see is version `number`, complete: every file as in its manifest, one stamp in both tables."""
    version = publishing.current(settings)
    assert version is not None and version.number == number
    on_disk = {
        path.relative_to(version.path).as_posix()
        for path in version.path.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert on_disk == {entry["path"] for entry in version.manifest["files"]}
    for entry in version.manifest["files"]:
        content = (version.path / entry["path"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry["bytes"], entry["sha256"])
    for table in TABLES[:2]:
        assert query(settings.current / "marts.duckdb", f"select distinct stamp from {table}") == [(stamp,)]


def leftovers(settings: Settings) -> list[str]:
    names = [
        path.name for path in settings.versions_dir.iterdir() if path.name != ".lock" and path.name.startswith(".")
    ]
    return names + [path.name for path in settings.home.glob(".current*")]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = settings_in(tmp_path / "home")
    build_marts(made, stamp=1)
    return made


def test_a_version_holds_the_marts_their_parquet_a_report_and_a_manifest(settings: Settings, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    (docs / "static").mkdir(parents=True)
    (docs / "index.html").write_text("<p>docs</p>")
    checks = (
        CheckResult("unique", "core.fct_orders", "dbt", True),
        CheckResult("range", "", "gx", False, False, "3 rows"),
    )
    inputs = {"digest": "abc", "files": [{"path": "orders.csv", "sha256": "00"}]}

    version = publish(
        settings,
        inputs=inputs,
        checks=checks,
        data_docs=docs,
        reporting_currency="EUR",
        business_timezone="Europe/Berlin",
    )

    assert_whole(settings, number=1, stamp=1)
    manifest = json.loads((settings.current / "manifest.json").read_text())
    assert manifest == version.manifest
    assert (manifest["version"], manifest["dataset"], manifest["is_synthetic"]) == (1, "shop", False)
    assert (version.data_start, version.data_end) == (date(2024, 1, 1), date(2024, 3, 30))
    assert (manifest["reporting_currency"], manifest["business_timezone"]) == ("EUR", "Europe/Berlin")
    assert manifest["inputs"] == inputs and version.inputs_digest == "abc"
    assert manifest["checks"][1]["observed"] == "3 rows"
    assert version.created_at.tzinfo is not None
    assert manifest["tables"]["core.fct_orders"] == {"row_count": 4_000}
    assert manifest["tables"]["quality.run_log"] == {"row_count": 2}
    paths = {entry["path"] for entry in manifest["files"]}
    assert {"marts.duckdb", "report.html", "data_docs/index.html", "parquet/core/fct_orders/2024-01.parquet"} <= paths
    assert query(version.marts_path, "select current_database()") == [("marts",)]
    assert query(version.marts_path, "select comment from duckdb_tables() where table_name = 'fct_orders'") == [
        ("One row per order.",)
    ]
    assert os.readlink(settings.current) == "versions/1"


@pytest.mark.parametrize("month_columns", [{}, {"core.fct_orders": "business_date"}], ids=["whole", "months"])
def test_parquet_is_the_same_as_the_tables(settings: Settings, month_columns: dict[str, str]) -> None:
    version = publish(settings, month_columns=month_columns)
    for name in version.manifest["tables"]:
        schema, table = name.split(".")
        parquet = f"read_parquet('{version.path / 'parquet' / schema / table}/*.parquet')"
        difference = f"""
            select count(*) from (
                (from {name} except all from {parquet}) union all (from {parquet} except all from {name})
            )
        """
        assert query(version.marts_path, difference) == [(0,)], name
        describe = "select column_name, column_type from (describe from {})"
        assert query(version.marts_path, describe.format(name)) == query(version.marts_path, describe.format(parquet))
    codecs = f"select distinct compression from parquet_metadata('{version.path}/parquet/core/*/*.parquet')"
    assert query(version.marts_path, codecs) == [("ZSTD",)]


def change(settings: Settings, sql: str) -> None:
    with duckdb.connect(str(settings.marts_path)) as connection:
        connection.execute(sql)


def parts(version: publishing.Version, table: str) -> dict[str, int]:
    """Name of each Parquet file of a table, and on which inode it is."""
    folder = version.path / "parquet" / table.replace(".", "/")
    return {path.stem: path.stat().st_ino for path in folder.iterdir()}


def written_anew(before: publishing.Version, after: publishing.Version, table: str) -> list[str]:
    linked = set(parts(before, table).values())
    return sorted(name for name, inode in parts(after, table).items() if inode not in linked)


MONTHS = ["2024-01", "2024-02", "2024-03"]


def test_a_month_whose_rows_are_as_they_were_is_linked_from_the_version_before(settings: Settings) -> None:
    first = publish(settings)
    assert sorted(parts(first, "core.fct_orders")) == MONTHS
    assert sorted(parts(first, "core.dim_customers")) == ["all"]
    build_marts(settings, stamp=1)
    change(settings, "update core.fct_orders set net_amount = 9 where order_id = 'o40'")
    second = publish(settings, 2)
    assert written_anew(first, second, "core.fct_orders") == ["2024-02"]
    assert written_anew(first, second, "core.dim_customers") == []
    assert written_anew(first, second, "core.recent_orders") == []
    assert written_anew(first, second, "quality.run_log") == ["all"]
    assert_whole(settings, number=2, stamp=1)
    february = str(second.path / "parquet/core/fct_orders/2024-02.parquet")
    assert query(second.marts_path, f"select net_amount from '{february}' where order_id = 'o40'") == [(9,)]

    publish(settings, 3, keep=1)
    assert_whole(settings, number=3, stamp=1)


@pytest.mark.parametrize(
    ("sql", "anew"),
    [
        ("create or replace table core.fct_orders as from core.fct_orders order by hash(order_id)", []),
        ("update core.fct_orders set channel = 'shop' where order_id = 'o1'", ["2024-01"]),
        ("update core.fct_orders set channel = if(channel is null, 'web', null) where order_id in ('o3', 'o4')",
         ["2024-01"]),
        ("delete from core.fct_orders where order_id = 'o1'", ["2024-01"]),
        ("insert into core.fct_orders from core.fct_orders where order_id = 'o1'", ["2024-01"]),
        ("update core.fct_orders set business_date = '2024-03-01' where order_id = 'o1'", ["2024-01", "2024-03"]),
        ("alter table core.fct_orders rename channel to medium", MONTHS),
        ("alter table core.fct_orders alter stamp type bigint", MONTHS),
        ("delete from core.fct_orders where business_date >= '2024-02-01'", []),
        ("update core.fct_orders set business_date = null where order_id = 'o1'", ["2024-01", "unknown"]),
        ("delete from core.fct_orders", ["all"]),
    ],
)  # fmt: skip
def test_what_makes_a_month_other_than_it_was(settings: Settings, sql: str, anew: list[str]) -> None:
    change(settings, "drop view core.recent_orders")
    first = publish(settings)
    change(settings, sql)
    second = publish(settings, 2)
    assert written_anew(first, second, "core.fct_orders") == anew
    files = second.path / "parquet/core/fct_orders/*.parquet"
    difference = f"select count(*) from (from core.fct_orders except all from read_parquet('{files}'))"
    assert query(second.marts_path, difference) == [(0,)]
    assert query(second.marts_path, f"select count(*) from '{files}'") == query(
        second.marts_path, "select count(*) from core.fct_orders"
    )


def test_a_full_refresh_links_nothing(settings: Settings) -> None:
    first = publish(settings)
    second = publish(settings, 2, is_full_refresh=True)
    assert written_anew(first, second, "core.fct_orders") == MONTHS
    assert written_anew(first, second, "core.dim_customers") == ["all"]


def test_a_file_that_the_version_before_has_lost_is_written_anew(settings: Settings) -> None:
    first = publish(settings)
    lost, cut = (first.path / f"parquet/core/fct_orders/{month}.parquet" for month in MONTHS[:2])
    lost.unlink()
    cut.chmod(0o644)
    os.truncate(cut, 100)
    second = publish(settings, 2)
    assert written_anew(first, second, "core.fct_orders") == MONTHS[:2]
    assert_whole(settings, number=2, stamp=1)


def test_where_there_are_no_links_files_are_copied(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    first = publish(settings)
    monkeypatch.setattr(os, "link", refuse)
    second = publish(settings, 2)
    assert written_anew(first, second, "core.fct_orders") == MONTHS
    assert_whole(settings, number=2, stamp=1)
    assert second.manifest["files"][0].keys() == first.manifest["files"][0].keys()


def test_each_of_many_months_is_one_file(settings: Settings) -> None:
    change(settings, """
        drop view core.recent_orders;
        update core.fct_orders set business_date = '1900-01-01'::date + to_months(rowid::integer % 1100)
    """)  # fmt: skip
    version = publish(settings)
    found = parts(version, "core.fct_orders")
    assert (len(found), min(found), max(found)) == (1100, "1900-01", "1991-08")
    assert_whole(settings, number=1, stamp=1)


def test_the_run_log_goes_on_from_version_to_version_of_the_same_data_set(settings: Settings) -> None:
    publish(settings, 1)
    other = settings_in(settings.home, "other")
    build_marts(other, stamp=2)
    publish(other, 2)
    version = publish(settings, 3)
    assert query(
        version.marts_path, "select run_id, version, step, row_count, seconds, status from quality.run_log"
    ) == [
        ("run-1", 1, "load", 6_000, 1.5, "ok"),
        ("run-1", 1, "build marts", None, 2.25, "ok"),
        ("run-3", 3, "load", 6_000, 1.5, "ok"),
        ("run-3", 3, "build marts", None, 2.25, "ok"),
    ]
    assert len(query(publishing.versions(settings)[1].marts_path, "from quality.run_log")) == 2


def test_the_run_log_says_what_its_columns_are(settings: Settings) -> None:
    undescribed = "select column_name from duckdb_columns() where table_name = 'run_log' and comment is null"
    assert query(publish(settings).marts_path, undescribed) == []


def test_runs_that_published_nothing_are_in_the_next_run_log(settings: Settings) -> None:
    publish(settings, 1)
    started = datetime(2024, 4, 2, 3, tzinfo=UTC)
    failed = RunRecord("run-2", started, (RunStep("load", None, 0.5, "failed"),))
    after = RunRecord("run-1", run(1).started_at, (RunStep("publish", None, 3.5),), version=1)
    record = RunRecord("run-3", started, (RunStep("load", 6_000, 1.5),), earlier=(after, failed))
    for _ in range(2):  # a publish that was killed before the state was written: the same again
        version = publishing.publish(settings, run=record, inputs={"digest": "3"}, checks=())
    assert query(
        version.marts_path,
        "select run_id, version, step, seconds, status from quality.run_log order by run_id, step, seconds",
    ) == [
        ("run-1", 1, "build marts", 2.25, "ok"),
        ("run-1", 1, "load", 1.5, "ok"),
        ("run-1", 1, "publish", 3.5, "ok"),
        ("run-2", None, "load", 0.5, "failed"),
        ("run-3", 3, "load", 1.5, "ok"),
    ]


def test_a_version_cannot_be_written_to(settings: Settings) -> None:
    version = publish(settings)
    assert {path.stat().st_mode & 0o222 for path in version.path.rglob("*") if path.is_file()} == {0}


def test_the_working_marts_stay_as_they_were(settings: Settings) -> None:
    publish(settings)
    assert query(settings.marts_path, "select count(*) from duckdb_tables() where table_name = 'run_log'") == [(0,)]
    build_marts(settings, stamp=2)
    assert_whole(settings, number=1, stamp=1)


def test_an_open_reader_keeps_the_version_it_opened_even_when_that_is_pruned(settings: Settings) -> None:
    publish(settings, 1)
    with duckdb.connect(str(settings.current / "marts.duckdb"), read_only=True) as reader:
        for stamp in (2, 3):
            build_marts(settings, stamp)
            publish(settings, stamp, keep=1)
        assert not (settings.versions_dir / "1").exists()
        assert reader.execute("select distinct stamp from core.fct_orders").fetchall() == [(1,)]
    assert_whole(settings, number=3, stamp=3)


READER = """
import json, sys, time
from pathlib import Path
import duckdb

marts, stop = Path(sys.argv[1]), Path(sys.argv[2])
counts, seen, slowest = {"reads": 0, "errors": [], "mixed": 0}, set(), 0.0
print("ready", flush=True)
while not stop.exists():
    begun = time.perf_counter()
    try:
        with duckdb.connect(str(marts), read_only=True) as connection:
            stamps = connection.execute('''
                select distinct stamp from core.dim_customers union select distinct stamp from core.fct_orders
                union select max(version) from quality.run_log
            ''').fetchall()
    except Exception as error:
        counts["errors"].append(str(error))
    else:
        counts["mixed"] += len(stamps) != 1
        seen.update(stamp for stamp, in stamps)
    counts["reads"] += 1
    slowest = max(slowest, time.perf_counter() - begun)
print(json.dumps({**counts, "seen": sorted(seen), "slowest": slowest}))
"""


def test_polling_readers_see_no_error_and_no_mixture_through_50_publishes(settings: Settings, tmp_path: Path) -> None:
    publish(settings, 1)
    stop = tmp_path / "stop"
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(settings.current / "marts.duckdb"), str(stop)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert reader.stdout is not None and reader.stdout.readline() == "ready\n"
        for number in range(2, 52):
            build_marts(settings, stamp=number)
            publish(settings, number, keep=2)
        time.sleep(0.1)
    finally:
        stop.touch()
        output, _ = reader.communicate(timeout=60)
    result = json.loads(output)
    print(result)
    assert result["errors"] == []
    assert result["mixed"] == 0
    assert result["reads"] > 100
    assert len(result["seen"]) >= 40 and set(result["seen"]) <= set(range(1, 52))
    assert_whole(settings, number=51, stamp=51)


PUBLISHER = """
import os, resource, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from orchestration.lib import publishing
from orchestration.lib.settings import Settings

home, kill_at, file_limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

def on_progress(step, count):
    if step == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)

if file_limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
settings = Settings(home=home, dataset="shop", mapping_path=home / "shop.yml")
record = publishing.RunRecord("killed", datetime.now(UTC), ())
try:
    publishing.publish(settings, run=record, inputs={"digest": "k"}, checks=(), keep=2, on_progress=on_progress)
except publishing.PublishingError as error:
    sys.exit(str(error))
"""


def run_publisher(settings: Settings, kill_at: str = "", file_limit: int = 0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PUBLISHER), str(settings.home), kill_at, str(file_limit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
    )


@pytest.mark.parametrize(
    ("step", "current_after"),
    [
        ("copy marts", 2),
        ("write run log", 2),
        ("audit copy", 2),
        ("write parquet", 2),
        ("render report", 2),
        ("write manifest", 2),
        ("bring to disk", 2),
        ("name the version", 2),
        ("make it current", 2),
        ("remove old versions", 3),
    ],
)
def test_a_killed_publisher_leaves_a_whole_current_version(settings: Settings, step: str, current_after: int) -> None:
    for number in (1, 2):
        build_marts(settings, stamp=number)
        publish(settings, number, keep=5)
    build_marts(settings, stamp=3)

    killed = run_publisher(settings, kill_at=step)

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert_whole(settings, number=current_after, stamp=current_after)
    version = publish(settings, 4, keep=2)
    assert_whole(settings, number=version.number, stamp=3)
    assert leftovers(settings) == []
    assert [each.number for each in publishing.versions(settings)] == [version.number - 1, version.number]


def test_a_full_disk_leaves_the_current_version_untouched(settings: Settings) -> None:
    publish(settings, 1)
    build_marts(settings, stamp=2)
    failed = run_publisher(settings, file_limit=settings.marts_path.stat().st_size + 600_000)  # the report is larger
    assert failed.returncode == 1
    assert "File too large" in failed.stderr and "version 1 (shop) stays current" in failed.stderr
    assert_whole(settings, number=1, stamp=1)
    assert leftovers(settings) == []
    assert publish(settings, 2).number == 2


def test_a_corrupt_table_is_not_published(settings: Settings) -> None:
    publish(settings, 1)
    build_marts(settings, stamp=2, rows=200_000)
    size = settings.marts_path.stat().st_size
    with open(settings.marts_path, "r+b") as handle:
        for offset in range(12_288 + 262_144, size - 262_144, 262_144):  # inside of every data block
            handle.seek(offset + 1_000)
            handle.write(b"\xff" * 64)
    with pytest.raises(PublishingError, match=r"(?s)[Cc]orrupt.*version 1 \(shop\) stays current"):
        publish(settings, 2)
    assert_whole(settings, number=1, stamp=1)
    assert leftovers(settings) == []


@pytest.mark.parametrize(
    ("extra", "personal", "reason"),
    [
        (
            "create table core.dim_people as select 'a@b.c' as Email",
            ["email"],
            "personal data .* core.dim_people.Email",
        ),
        ("create table core.dim_people as select 'a@b.c' as mail", ["core.dim_people.mail"], "core.dim_people.mail"),
        ("create view core.outside as from read_csv('{csv}')", [], "view core.outside needs something outside"),
    ],
)
def test_the_audit_refuses_personal_data_and_views_that_reach_outside(
    settings: Settings, tmp_path: Path, extra: str, personal: list[str], reason: str
) -> None:
    publish(settings, 1, personal_columns=personal)
    (tmp_path / "outside.csv").write_text("a,b\n1,2\n")
    build_marts(settings, stamp=2, extra=extra.format(csv=tmp_path / "outside.csv"))
    with pytest.raises(PublishingError, match=reason):
        publish(settings, 2, personal_columns=personal)
    assert_whole(settings, number=1, stamp=1)
    assert leftovers(settings) == []


def test_a_failed_blocking_check_publishes_nothing_and_is_named(settings: Settings) -> None:
    checks = (CheckResult("amounts add up", "core.fct_orders", "gx", False), CheckResult("x", "", "dbt", False, False))
    with pytest.raises(PublishingError, match=r"core\.fct_orders: amounts add up; there is no current version yet"):
        publish(settings, checks=checks)
    assert publishing.current(settings) is None and publishing.versions(settings) == []


def test_no_marts_is_said(tmp_path: Path) -> None:
    with pytest.raises(PublishingError, match=r"there are no marts at .*marts\.duckdb"):
        publish(settings_in(tmp_path))


def test_a_second_publisher_is_refused_while_one_is_at_work(settings: Settings) -> None:
    publish(settings, 1)
    with open(settings.versions_dir / ".lock", "a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LockHeldError):
            publish(settings, 2)
        with pytest.raises(LockHeldError):
            publishing.activate(settings, 1)
    assert publish(settings, 2).number == 2


def test_pruning_keeps_the_last_of_each_data_set_and_always_the_current_one(settings: Settings) -> None:
    for number in (1, 2, 3):
        publish(settings, number, keep=5)
    other = settings_in(settings.home, "other")
    build_marts(other, stamp=4)
    publish(other, 4, keep=1)
    assert [each.number for each in publishing.versions(settings)] == [1, 2, 3, 4]
    publish(settings, 5, keep=2)
    assert [(each.number, each.dataset) for each in publishing.versions(settings)] == [
        (3, "shop"),
        (4, "other"),
        (5, "shop"),
    ]
    newest = publishing.latest(other)
    assert newest is not None and newest.number == 4
    with pytest.raises(ValueError, match="keep must be at least 1"):
        publish(settings, 6, keep=0)


def test_activate_goes_to_another_version_and_back(settings: Settings) -> None:
    publish(settings, 1)
    build_marts(settings, stamp=2)
    publish(settings, 2)
    assert publishing.activate(settings, 1).number == 1
    assert_whole(settings, number=1, stamp=1)
    newest = publishing.latest(settings)
    assert newest is not None and newest.number == 2
    publishing.activate(settings, 2)
    publishing.activate(settings, 2)
    assert_whole(settings, number=2, stamp=2)
    with pytest.raises(PublishingError, match=r"there is no version 7 in .* \(there is: 1, 2\)"):
        publishing.activate(settings, 7)
    assert_whole(settings, number=2, stamp=2)


def test_a_publish_after_going_back_gets_a_new_number_and_never_prunes_what_readers_see(settings: Settings) -> None:
    for number in (1, 2, 3):
        publish(settings, number, keep=5)
    publishing.activate(settings, 1)
    assert publish(settings, 4, keep=1).number == 4
    assert [each.number for each in publishing.versions(settings)] == [4]  # 4 is what readers see now
    assert leftovers(settings) == []


def test_a_link_to_nothing_is_an_error_and_not_an_empty_warehouse(settings: Settings) -> None:
    settings.current.symlink_to("versions/9")
    with pytest.raises(PublishingError, match="points to versions/9, which is not a version"):
        publishing.current(settings)


def test_versions_from_before_an_erasure_are_removed_whatever_is_kept(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    for stamp in (1, 2):
        build_marts(settings, stamp)
        publish(settings, stamp)
    erased_at = datetime.now(UTC)
    time.sleep(1.1)  # the manifest states whole seconds
    build_marts(settings, 3)
    publish(settings, 3, erased_at=erased_at, keep=5)

    assert [version.number for version in publishing.versions(settings)] == [3]
