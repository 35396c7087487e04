"""Publishing to Postgres, on a real server: what arrives, who may read it, and what readers see meanwhile."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner, Result

from orchestration.cli import app
from orchestration.lib import postgres as target
from orchestration.lib import publishing
from orchestration.lib.errors import UserError
from orchestration.lib.postgres import PostgresError
from orchestration.lib.publishing import Version
from orchestration.lib.settings import PROJECT_ROOT, Settings
from tests.support.servers import PASSWORD, Postgres, postgres
from tests.unit.test_publishing import build_marts, publish, settings_in

# Besides what every version of these tests has: in two domains, each row with the stamp of the version.
DOMAINS = """
create schema if not exists retention;
create schema if not exists churn;
create or replace table retention.cohorts (
    cohort_label varchar not null, cohort_size bigint, net_amount decimal(18, 2), "window" varchar, stamp integer
);
insert into retention.cohorts select 'k' || i, i, i + 0.25, null, {stamp} from range({rows}) as numbers (i);
comment on table retention.cohorts is 'One row per cohort; it''s "quoted" \\ here. Primary key cohort_label.';
comment on column retention.cohorts.cohort_size is 'Customers: 100 %.';
create or replace table churn.scores (
    customer_id varchar not null, model_id varchar not null, owner_id varchar, p_alive double, is_lost boolean,
    lost_on date, scored_at timestamp, position integer, stamp integer
);
insert into churn.scores
select 'c' || i, 'm', 'o', case i when 0 then 'nan'::double when 1 then 'infinity'::double else 1 / i end, i % 2 = 0,
    date '2024-01-01' + i::integer, timestamp '2024-01-01 10:00:00.123456' + to_hours(i::integer), i, {stamp}
from range({rows}) as numbers (i);
comment on table churn.scores is 'One row per customer and model. Primary key customer_id, model_id.';
"""
LOGINS = {"dora": "bi_reader", "anna": "analyst", "zoe": None}


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """With a publisher who may make schemas and roles and nothing else, and people without rights."""
    with postgres() as started:
        for login in ["publisher", *LOGINS]:
            started.run(f"create role {login} login password '{PASSWORD}'")
        started.run("alter role publisher createrole")
        yield started


@pytest.fixture
def database(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> Postgres:
    """The server, in which nothing was published yet; the publisher's connection is in the environment."""
    server.run(
        """drop owned by publisher cascade; drop role if exists bi_reader, analyst;
        grant create on database postgres to publisher"""
    )
    monkeypatch.setenv(target.VARIABLE, server.dsn("publisher"))
    return server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Two versions, all of whose rows have the number of the version as their stamp."""
    settings = settings_in(tmp_path_factory.mktemp("home"))
    for number in (1, 2):
        build_marts(settings, stamp=number, rows=300, extra=DOMAINS.format(stamp=number, rows=200))
        publish(settings, number)
    return settings


class Listener:
    """A progress that calls a function when a line comes."""

    def __init__(self, at: str = "", act: Callable[[], object] = lambda: None) -> None:
        self.at, self.act = at, act

    def stage(self, title: str) -> None:
        pass

    def tick(self, done: int, total: int, what: str = "") -> None:
        pass

    def line(self, text: str) -> None:
        if self.at and self.at in text:
            self.act()


QUIET = Listener()


def version(home: Settings, number: int) -> Version:
    return publishing.find(home, number)


def serve(home: Settings, number: int, progress: Listener = QUIET, patience: float = 60) -> target.Outcome:
    return target.publish(version(home, number), progress, patience=patience)


def let_in(database: Postgres) -> None:
    """What an administrator does once."""
    for login, role in LOGINS.items():
        if role:
            database.run(f"grant {role} to {login}")


def served(database: Postgres, user: str = "publisher") -> list[str]:
    """Number of the version, and the stamps of all tables that have one."""
    return database.ask(
        """select version from quality.published_version
        union select stamp from retention.cohorts union select stamp from churn.scores
        union select stamp from core.dim_customers union select stamp from core.fct_orders""",
        user,
    )


def schemas(database: Postgres) -> list[str]:
    return database.ask("select nspname from pg_namespace where nspname !~ '^pg_|information_schema|public' order by 1")


def refusal(database: Postgres, user: str, sql: str) -> str:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        database.ask(sql, user)
    return str(caught.value.stderr)


def tenure(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


# What arrives


def test_what_is_served_are_the_marts_row_for_row(database: Postgres, cdnow_home: Path) -> None:
    shown = publishing.current(Settings(cdnow_home, "cdnow", cdnow_home))
    assert shown is not None
    outcome = target.publish(shown, QUIET)
    assert outcome.is_new
    with reading(database, shown) as connection:
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = 'marts' order by all"
        ).fetchall()
        assert len(tables) == outcome.table_count >= 38
        for schema, table in tables:
            there, here = f"postgres.{schema}.{table}", f"marts.{schema}.{table}"
            for one, other in ((here, there), (there, here)):
                missing = connection.execute(f"from {one} except all from {other} limit 1").fetchall()
                assert missing == [], f"in {one} and not in {other}"
            assert described(connection, there) == described(connection, here)
    comments = database.ask(
        """select format('%s.%s.%s', table_schema, table_name, column_name)
        from information_schema.columns
        where table_schema in ('core', 'retention', 'churn', 'value', 'tiers', 'wallet', 'quality')
            and col_description(format('%I.%I', table_schema, table_name)::regclass, ordinal_position) is null"""
    )
    with duckdb.connect(str(shown.marts_path), read_only=True) as connection:
        silent = connection.execute(
            """select concat_ws('.', schema_name, table_name, column_name) from duckdb_columns()
            where not internal and coalesce(comment, '') = ''"""
        ).fetchall()
    assert sorted(comments) == sorted(name for (name,) in silent)


@contextmanager
def reading(database: Postgres, shown: Version) -> Iterator[duckdb.DuckDBPyConnection]:
    from orchestration.lib import remote

    with duckdb.connect() as connection:
        remote.load_extension(connection, "postgres_scanner", "The test")
        connection.execute(f"attach '{database.dsn('publisher')}' as postgres (type postgres, read_only)")
        connection.execute(f"attach '{shown.marts_path}' as marts (read_only)")
        yield connection


def described(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple[Any, ...]]:
    return [row[:2] for row in connection.execute(f"describe {table}").fetchall()]


def test_keys_comments_and_the_version(database: Postgres, home: Settings) -> None:
    serve(home, 1)
    keys = database.ask(
        """select conrelid::regclass as table, pg_get_constraintdef(oid) from pg_constraint
        where contype = 'p' and connamespace::regnamespace::text !~ '^pg_' order by conrelid::regclass::text"""
    )
    assert keys == [
        "churn.scores|PRIMARY KEY (customer_id, model_id)",
        "quality.run_log|PRIMARY KEY (run_id, step)",
        "retention.cohorts|PRIMARY KEY (cohort_label)",
    ]
    assert database.ask("select obj_description('retention.cohorts'::regclass)") == [
        """One row per cohort; it's "quoted" \\ here. Primary key cohort_label."""
    ]
    assert database.ask("select count(*), max(p_alive) from churn.scores") == ["200|NaN"]
    [count] = database.ask("select count(*) from core.recent_orders")
    assert int(count) > 0, "a view of the marts is a table there"
    shown = version(home, 1)
    [digest] = [file["sha256"] for file in shown.manifest["files"] if file["path"] == "marts.duckdb"]
    assert database.ask("select dataset, version, data_end, marts_sha256 from quality.published_version") == [
        f"shop|1|2024-03-30|{digest}"
    ]


def test_publishing_again_makes_the_grants_again_and_nothing_else(database: Postgres, home: Settings) -> None:
    assert serve(home, 1).is_new
    tables = "select oid, relname from pg_class where relname in ('scores', 'published_version') order by 1"
    before = database.ask(tables)
    database.run("grant select on retention.cohorts to public; grant usage on schema core to bi_reader, public")
    database.run("revoke select on churn.scores from analyst")
    assert not serve(home, 1).is_new
    assert database.ask(tables) == before
    assert "permission denied for schema" in refusal(database, "zoe", "select from retention.cohorts")
    assert database.ask("select has_schema_privilege('bi_reader', 'core', 'usage')") == ["f"]
    assert database.ask("select has_table_privilege('analyst', 'churn.scores', 'select')") == ["t"]
    database.run("drop table churn.scores")
    assert serve(home, 1).is_new
    assert served(database) == ["1"]


def test_another_number_of_another_home_is_another_version(database: Postgres, home: Settings, tmp_path: Path) -> None:
    serve(home, 1)
    other = settings_in(tmp_path / "home")
    build_marts(other, stamp=1, rows=301, extra=DOMAINS.format(stamp=1, rows=10))
    publish(other)
    assert serve(other, 1).is_new
    assert database.ask("select count(*) from churn.scores") == ["10"]


def test_schemas_and_tables_that_a_version_no_longer_has_are_gone(
    database: Postgres, home: Settings, tmp_path: Path
) -> None:
    serve(home, 2)
    other = settings_in(tmp_path / "home")
    build_marts(other, stamp=3)
    publish(other)
    serve(other, 1)
    assert schemas(database) == ["core", "quality"]
    assert database.ask("select count(*) from pg_class where relname ~ 'scores|cohorts'") == ["0"]


def test_names_are_quoted(database: Postgres, tmp_path: Path) -> None:
    evil = """x"; drop table core."dim_customers"; --'$$"""
    settings = settings_in(tmp_path / "home", "o'shop \\' $$")
    quoted = '"' + evil.replace('"', '""') + '"'
    build_marts(settings, 1, 10, f"create schema {quoted}; create table {quoted}.{quoted} as select 1 as {quoted}")
    publish(settings)
    # Parquet folders are named by tables: what Postgres is told is tried all the same.
    serve(settings, 1)
    serve(settings, 1)
    assert database.ask("select dataset from quality.published_version") == ["o'shop \\' $$"]
    assert evil in database.ask("select relname from pg_class")


# Readers


class Reader(Thread):
    """Asks over one connection until it is told to stop; `answers` are lines as psql prints them."""

    def __init__(self, database: Postgres, user: str, sql: str, first: str = "") -> None:
        super().__init__()
        self.sql, self.answers, self.stopped = sql, [], Event()
        self.answers: list[str]
        self.process = subprocess.Popen(
            [database.psql, database.dsn(user), "-qXAt", "-v", "ON_ERROR_STOP=1"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdin is not None
        self.process.stdin.write(first + "\n")

    def run(self) -> None:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None and stdout is not None
        while not self.stopped.is_set():
            stdin.write(self.sql + "\n\\echo done\n")
            stdin.flush()
            answer: list[str] = []
            while (line := stdout.readline().strip()) != "done":
                if self.process.poll() is not None:
                    return
                answer.append(line)
            self.answers.append(" ".join(answer))
            # Who reads without a break leaves the processor to nobody.
            time.sleep(0.005)

    def end(self) -> str:
        """What it said on the way out: '' without an error."""
        self.stopped.set()
        self.join()
        return self.process.communicate()[1]


# Nothing but stamps, and whether all rows are there.
JOINED = """select string_agg(distinct stamps, ' ') || ' ' || (count(*) = 201) from (
    select version::text as stamps from quality.published_version
    union all
    select cohorts.stamp || ' ' || scores.stamp
    from retention.cohorts inner join churn.scores on scores.position = cohorts.cohort_size
) as everything"""
STEPS = """select version from quality.published_version;
select min(stamp) || ' ' || max(stamp) || ' ' || (count(*) = 200) from retention.cohorts;
select min(stamp) || ' ' || max(stamp) || ' ' || (count(*) = 200) from churn.scores"""


def test_readers_see_no_error_and_no_mixture_in_fifty_publishes(database: Postgres, home: Settings) -> None:
    serve(home, 2)
    let_in(database)
    readers = [
        Reader(database, "dora", f"{JOINED};"),
        Reader(database, "dora", f"begin; {STEPS}; commit;"),
        Reader(database, "anna", "execute everything;", f"prepare everything as {JOINED};"),
        Reader(database, "anna", f"begin isolation level repeatable read; {STEPS}; commit;"),
    ]
    for reader in readers:
        reader.start()
    started = time.monotonic()
    try:
        for number in range(50):
            assert serve(home, 1 + number % 2).is_new
    finally:
        errors = [reader.end() for reader in readers]
    assert errors == [""] * 4
    for reader in readers:
        assert len(reader.answers) > 100
        assert {frozenset(answer.split()) for answer in reader.answers} == {
            frozenset({"1", "true"}), frozenset({"2", "true"})
        }  # fmt: skip
    assert time.monotonic() - started < 120


def test_a_snapshot_from_before_sees_no_version_rather_than_a_part_of_one(database: Postgres, home: Settings) -> None:
    serve(home, 1)
    let_in(database)
    asked = "select count(*) from quality.published_version; select count(*) from retention.cohorts;"
    reader = subprocess.Popen(
        [database.psql, database.dsn("dora"), "-qXAt"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert reader.stdin is not None and reader.stdout is not None
    reader.stdin.write("begin isolation level repeatable read; select 'ready';\n")
    reader.stdin.flush()
    reader.stdout.readline()
    serve(home, 2)
    said, _ = reader.communicate(f"{asked} commit; {asked}\n")
    assert said.split() == ["0", "0", "1", "200"]


def test_a_long_reader_keeps_what_is_served_and_nobody_else_waits_for_long(database: Postgres, home: Settings) -> None:
    serve(home, 1)
    let_in(database)
    with long_reader(database):
        with pytest.raises(PostgresError, match=r"no instant without a reader .* version 1 stays.*of dora") as caught:
            serve(home, 2, patience=2)
        assert "pg_terminate_backend" in caught.value.remedy
        started = time.monotonic()
        assert served(database, "anna") == ["1"]
        assert time.monotonic() - started < 1
    assert serve(home, 2).is_new
    assert served(database) == ["2"]
    assert schemas(database) == ["churn", "core", "quality", "retention"]


def test_it_is_tried_again_until_the_reader_has_finished(database: Postgres, home: Settings) -> None:
    serve(home, 1)
    let_in(database)
    with long_reader(database) as ended:
        killer = Thread(target=lambda: (time.sleep(2), ended.kill()))
        killer.start()
        started = time.monotonic()
        assert serve(home, 2).is_new
        assert time.monotonic() - started > 1.5
        killer.join()
    assert served(database) == ["2"]


@contextmanager
def long_reader(database: Postgres) -> Iterator[subprocess.Popen[str]]:
    """Has read a table in a transaction that is open still."""
    process = subprocess.Popen(
        [database.psql, database.dsn("dora"), "-qXAt"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("begin; select count(*) from retention.cohorts;\n")
    process.stdin.flush()
    process.stdout.readline()
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


# Roles


FORBIDDEN = [
    ("dora", "select from core.dim_customers", "permission denied for schema core"),
    ("dora", "select customer_id from churn.scores", "permission denied for table scores"),
    ("dora", "select owner_id from churn.scores", "permission denied for table scores"),
    ("dora", "select * from churn.scores", "permission denied for table scores"),
    ("dora", "select count(*) from churn.scores where customer_id = 'c1'", "permission denied for table scores"),
    ("dora", "select scores from churn.scores", "permission denied for table scores"),
    ("zoe", "select from retention.cohorts", "permission denied for schema retention"),
    ("zoe", "select from quality.published_version", "permission denied for schema quality"),
    ("zoe", "select from core.dim_customers", "permission denied for schema core"),
    ("zoe", "set role bi_reader", "permission denied to set role"),
    ("dora", "set role analyst", "permission denied to set role"),
    ("anna", "set role publisher", "permission denied to set role"),
]
# What nobody may who reads.
FORBIDDEN += [
    (user, sql, words)
    for user in ("dora", "anna")
    for sql, words in [
        ("update retention.cohorts set stamp = 0", "permission denied for table cohorts"),
        ("delete from quality.published_version", "permission denied for table published_version"),
        ("truncate churn.scores", "permission denied for table scores"),
        ("insert into retention.cohorts default values", "permission denied for table cohorts"),
        ("begin; lock table retention.cohorts in access exclusive mode", "permission denied for table cohorts"),
        ("drop table retention.cohorts", "must be owner of table cohorts"),
        ("drop schema retention cascade", "must be owner of schema retention"),
        ("alter schema retention rename to mine", "must be owner of schema retention"),
        ("create table retention.mine (i int)", "permission denied for schema retention"),
        ("create view churn.mine as select 1", "permission denied for schema churn"),
        ("create table public.mine (i int)", "permission denied for schema public"),
        ("create schema mine", "permission denied for database"),
        ("create role mine", "permission denied to create role"),
        ("grant bi_reader to zoe", "must have admin option"),
        ("alter role dora superuser", "must be superuser"),
        ("set role owner", "permission denied to set role"),
        ("set session authorization owner", "permission denied to set session authorization"),
        ("copy retention.cohorts to '/tmp/cohorts'", "COPY to a file"),
        ("copy (select 1) to program 'cat'", "COPY to or from an external program"),
        ("create temporary table t (x text); copy t from '/etc/passwd'", "COPY from a file"),
        ("select pg_read_file('/etc/passwd')", "permission denied for function pg_read_file"),
        ("select pg_ls_dir('/')", "permission denied for function pg_ls_dir"),
        ("select lo_import('/etc/passwd')", "permission denied for function lo_import"),
        ("create extension dblink", "permission denied to create extension"),
        ("create extension postgres_fdw", "permission denied to create extension"),
        ("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'owner'", "must be a superuser"),
        ("alter system set log_statement = 'none'", "must be superuser|permission denied"),
        ("select rolpassword from pg_authid", "permission denied for table pg_authid"),
    ]
]  # fmt: skip


def test_each_forbidden_thing_is_denied(database: Postgres, home: Settings) -> None:
    serve(home, 1)
    let_in(database)
    with database_session(database):
        for user, sql, words in FORBIDDEN:
            assert re.search(words, refusal(database, user, sql)), f"{user}: {sql}"
    assert served(database) == ["1"]


@contextmanager
def database_session(database: Postgres) -> Iterator[None]:
    """Somebody else is there, of the owner: whom others try to end."""
    process = subprocess.Popen([database.psql, database.dsn()], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 10
    while not database.ask("select 1 from pg_stat_activity where usename = 'owner' and pid <> pg_backend_pid()"):
        assert time.monotonic() < until
    try:
        yield
    finally:
        process.kill()
        process.communicate()


def test_what_each_role_reads(database: Postgres, home: Settings) -> None:
    serve(home, 1)
    let_in(database)
    for user in ("dora", "anna"):
        assert database.ask("select count(*), sum(net_amount) from retention.cohorts", user) == ["200|19950.00"]
        assert database.ask("select version from quality.published_version", user) == ["1"]
        assert database.ask("select sum(position) from churn.scores where model_id = 'm'", user) == ["19900"]
    assert served(database, "anna") == ["1"]
    assert database.ask("select customer_id from churn.scores where position = 7", "anna") == ["c7"]
    seen = "select attname from pg_stats where schemaname = 'churn' order by 1"
    assert not {"customer_id", "owner_id"} & set(database.ask(seen, "dora"))
    assert "customer_id" in database.ask(seen, "anna")
    assert database.ask("select rolname from pg_roles where rolcanlogin and rolname in ('bi_reader', 'analyst')") == []


def test_nobody_reads_what_is_not_served_yet(database: Postgres, home: Settings) -> None:
    serve(home, 1)
    let_in(database)
    denied = []

    def look() -> None:
        for user in LOGINS:
            for table in ("retention.cohorts", "churn.scores", "quality.published_version"):
                denied.append(refusal(database, user, f"select from tenure_new__{table}"))

    serve(home, 2, Listener("compare", look))
    assert len(denied) == 9
    assert all("permission denied for schema tenure_new__" in words for words in denied)


def test_a_new_table_is_read_at_once_and_what_was_given_away_by_hand_is_not_kept_but_by_default_privileges(
    database: Postgres, home: Settings, tmp_path: Path
) -> None:
    serve(home, 1)
    let_in(database)
    database.run("grant usage on schema retention to zoe; grant select on retention.cohorts to zoe")
    assert database.ask("select count(*) from retention.cohorts", "zoe") == ["200"]
    database.run(
        """alter default privileges for role publisher grant usage on schemas to dora;
        alter default privileges for role publisher grant select on tables to dora"""
    )
    other = settings_in(tmp_path / "home")
    build_marts(
        other, stamp=2,
        extra=DOMAINS.format(stamp=2, rows=5) + "create schema value; create table value.totals as select 7 as total",
    )  # fmt: skip
    publish(other)
    serve(other, 1)
    assert database.ask("select total from value.totals", "anna") == ["7"]
    assert "permission denied" in refusal(database, "zoe", "select from retention.cohorts")
    assert database.ask("select count(*) from core.dim_dates", "dora") == ["366"]


# What stops it


TAMPERED = [
    ("delete from tenure_new__retention.cohorts where cohort_size = 7", r"retention\.cohorts, rows: .* 200, .* 199"),
    ("update tenure_new__retention.cohorts set net_amount = net_amount + 0.01 where cohort_size = 0",
     r"retention\.cohorts, net_amount, sum: the marts have 19950\.00, what was written to Postgres 19950\.01"),
    ("update tenure_new__churn.scores set p_alive = 0.5 where position = 199", r"churn\.scores, p_alive, least: "),
    ("update tenure_new__churn.scores set is_lost = null where position = 0", r"churn\.scores, is_lost, values .* 199"),
    ("update tenure_new__churn.scores set lost_on = '2020-01-01' where position = 9", "lost_on, least: .* 2020-01-01"),
    ("update tenure_new__core.fct_orders set channel = 'web'", r"core\.fct_orders, channel, values that are there: "),
]  # fmt: skip


@pytest.mark.parametrize(("tampering", "words"), TAMPERED, ids=[words[:28] for _, words in TAMPERED])
def test_a_difference_leaves_what_is_served(database: Postgres, home: Settings, tampering: str, words: str) -> None:
    serve(home, 1)
    with pytest.raises(PostgresError, match=f"{words}.*; version 1 stays"):
        serve(home, 2, Listener("compare", lambda: database.run(tampering)))
    assert served(database) == ["1"]
    assert schemas(database) == ["churn", "core", "quality", "retention"]
    assert serve(home, 2).is_new
    assert served(database) == ["2"]


def test_a_trigger_that_changes_rows_is_seen(database: Postgres, home: Settings) -> None:
    serve(home, 1)
    database.run(
        """create function public.alter_row() returns trigger language plpgsql as
        'begin new.net_amount = 0; return new; end';
        create function public.add_trigger() returns event_trigger language plpgsql as $$
        begin
            if to_regclass('tenure_new__retention.cohorts') is not null and not exists (select from pg_trigger) then
                create trigger t before insert on tenure_new__retention.cohorts
                for each row execute function public.alter_row();
            end if;
        end $$;
        create event trigger meddling on ddl_command_end when tag in ('CREATE TABLE')
        execute function public.add_trigger()"""
    )
    try:
        with pytest.raises(PostgresError, match=r"retention\.cohorts, net_amount, sum: the marts have 19950\.00"):
            serve(home, 2)
    finally:
        database.run("drop event trigger meddling; drop function public.alter_row(), public.add_trigger() cascade")
    assert served(database) == ["1"]


@pytest.mark.parametrize("moment", ["while it copies", "before the swap"])
def test_a_publisher_that_is_killed(database: Postgres, home: Settings, tmp_path: Path, moment: str) -> None:
    serve(home, 1)
    large = settings_in(tmp_path / "home")
    build_marts(large, stamp=3, rows=400_000, extra=DOMAINS.format(stamp=3, rows=10))
    publish(large)
    command = [sys.executable, "-m", "orchestration.cli", "publish", "--to", "postgres", "--home", str(large.home)]
    process = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    if moment == "while it copies":
        while not database.ask("select 1 from pg_stat_progress_copy"):
            assert process.poll() is None
    else:
        while "compare" not in process.stdout.readline():
            assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert served(database) == ["1"]
    assert "tenure_new__core" in schemas(database)
    until_alone(database)
    assert serve(home, 2).is_new
    assert served(database) == ["2"]
    assert schemas(database) == ["churn", "core", "quality", "retention"]


def test_what_a_publisher_leaves_that_is_killed_after_the_swap_goes_with_the_next(
    database: Postgres, home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(home, 1)
    let_in(database)
    drop = target._drop

    def killed(where: Any, names: Sequence[str], patience: float) -> None:
        if "tenure_old__core" in names:
            raise KeyboardInterrupt
        drop(where, names, patience)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(target, "_drop", killed)
        serve(home, 2)
    assert "tenure_old__core" in schemas(database)
    assert served(database, "anna") == ["2"]
    assert not serve(home, 2).is_new
    assert schemas(database) == ["churn", "core", "quality", "retention"]


def until_alone(database: Postgres) -> None:
    """Until the server has noticed that the publisher is gone."""
    until = time.monotonic() + 10
    while database.ask("select 1 from pg_stat_activity where usename = 'publisher'"):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_database_that_goes_away_meanwhile(database: Postgres, home: Settings) -> None:
    serve(home, 1)
    gone = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'publisher'"
    with pytest.raises(PostgresError, match="was not published to Postgres: ") as caught:
        serve(home, 2, Listener("compare", lambda: database.run(gone)))
    assert PASSWORD not in str(caught.value)
    assert served(database) == ["1"]
    assert serve(home, 2).is_new


def test_one_publisher_at_a_time(database: Postgres, home: Settings) -> None:
    def second() -> None:
        with pytest.raises(PostgresError, match="another process is publishing to this database"):
            serve(home, 1)

    assert serve(home, 2, Listener("compare", second)).is_new
    assert served(database) == ["2"]


def test_what_somebody_else_made_is_left_alone(database: Postgres, home: Settings) -> None:
    database.run("create schema churn; create table churn.theirs (i int)")
    try:
        with pytest.raises(PostgresError, match="has a schema churn that Tenure did not make"):
            serve(home, 1)
        assert database.ask("select count(*) from churn.theirs") == ["0"]
    finally:
        database.run("drop schema churn cascade")
    assert schemas(database) == []


def test_another_data_set_is_not_replaced(database: Postgres, home: Settings, tmp_path: Path) -> None:
    serve(home, 1)
    other = settings_in(tmp_path / "home", "club")
    build_marts(other, stamp=3)
    publish(other)
    with pytest.raises(PostgresError, match="the database serves the data set 'shop'") as caught:
        serve(other, 1)
    assert served(database) == ["1"]
    [dropping] = re.findall(r"drop the schemas (.*) first", caught.value.remedy)
    database.run(f"drop schema {dropping} cascade")
    assert serve(other, 1).is_new


@pytest.mark.parametrize(
    "made",
    [
        "view reporting.v as select cohort_size from retention.cohorts",
        "materialized view reporting.v as select cohort_size from retention.cohorts",
        "table reporting.v (whole retention.cohorts)",
    ],
    ids=["view", "materialized view", "type"],
)
def test_what_is_made_of_the_marts_outside_is_not_dropped(database: Postgres, home: Settings, made: str) -> None:
    serve(home, 1)
    database.run(f"create schema reporting; create {made}")
    try:
        with pytest.raises(PostgresError, match=r"reporting\.v .*would go with the tables .*; version 1 stays"):
            serve(home, 2)
        assert database.ask("select count(*) from reporting.v") in (["200"], ["0"])
        assert served(database) == ["1"]
    finally:
        database.run("drop schema reporting cascade")
    assert serve(home, 2).is_new


def test_a_publisher_who_may_not(database: Postgres, home: Settings) -> None:
    database.run("revoke create on database postgres from publisher")
    with pytest.raises(PostgresError, match="permission denied for database postgres") as caught:
        serve(home, 1)
    assert "docs/postgres.md" in caught.value.remedy
    database.run("grant create on database postgres to publisher; drop role bi_reader, analyst")
    database.run("alter role publisher nocreaterole")
    try:
        with pytest.raises(PostgresError, match="there is no role analyst and no role bi_reader yet") as caught:
            serve(home, 1)
        [commands] = re.findall("run: (.*)", caught.value.remedy)
        database.run(commands)
        assert serve(home, 1).is_new
    finally:
        database.run("alter role publisher createrole")


@pytest.mark.parametrize("wrong", ["password", "database", "server", "nothing", "words"])
def test_connections_that_are_none(
    database: Postgres, home: Settings, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    right = database.dsn("publisher")
    dsn, words = {
        "password": (database.dsn("publisher", f"{PASSWORD}-not"), "password authentication failed"),
        "database": (right + "nowhere", 'database "postgresnowhere" does not exist'),
        "server": (f"postgresql://publisher:{PASSWORD}@127.0.0.1:9/postgres", "Connection refused"),
        "nothing": ("", "there is no variable TENURE_POSTGRES in the environment"),
        "words": (f"user=publisher password='{PASSWORD}' what is this", "TENURE_POSTGRES"),
    }[wrong]
    monkeypatch.setenv(target.VARIABLE, dsn)
    result = tenure("publish", "--to", "postgres", "--home", home.home)
    assert result.exit_code == 1
    assert words in result.output
    assert PASSWORD not in result.output
    assert "Traceback" not in result.output


def test_the_extension_that_is_not_installed(
    database: Postgres, home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb_extension_postgres_scanner", None)
    with pytest.raises(UserError, match="Publishing to Postgres needs the Python package duckdb-extension-postgres"):
        serve(home, 1)


# The command


def test_the_command(database: Postgres, home: Settings, tmp_path: Path) -> None:
    def said(*arguments: str) -> str:
        result = tenure("publish", "--to", "postgres", "--home", home.home, *arguments)
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())

    assert "Publish version 1 to Postgres" in said("--version", "1")
    assert served(database) == ["1"]
    assert re.search(
        r"The database 'postgres' serves version 2 \(shop, data through 2024-03-30\): 7 tables, 1,\d+ rows, ", said()
    )
    assert "serves version 2 (shop, data through 2024-03-30): it did already, and grants were made again." in said()
    rolled_back = tenure("rollback", "1", "--home", home.home)
    assert "Postgres follows" in rolled_back.output
    assert served(database) == ["2"]
    assert "serves version 1" in said()
    assert served(database) == ["1"]
    tenure("rollback", "2", "--home", home.home)
    unknown = tenure("publish", "--to", "postgres", "--home", home.home, "--version", "9")
    assert (unknown.exit_code, "there is no version 9" in unknown.output) == (1, True)
    unpublished = tenure("publish", "--to", "postgres", "--home", tmp_path)
    assert (unpublished.exit_code, "No version is published" in unpublished.output) == (1, True)
    assert tenure("publish", "--home", home.home).exit_code == 2
    written = [path for path in home.home.rglob("*") if path.is_file()]
    assert not [path for path in written if PASSWORD.encode() in path.read_bytes()]


MAPPING = """
dataset: shop
reporting_currency: EUR
sources: {sales: sales*.csv}
orders:
  from: sales
  columns: {order_id: order_no, customer_id: customer, ordered_at: day, amount: total}
"""


@pytest.mark.integration
def test_a_run_publishes_to_postgres_too_and_the_next_makes_up_for_what_failed(
    database: Postgres, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def run() -> Result:
        return tenure("run", "--dataset", tmp_path / "shop.yml", "--home", tmp_path / "home")

    def sales(month: int) -> None:
        days = [f"{month}-{n},c{n % 40},2024-{month:02}-{1 + n % 28:02},{5 + n % 17}.50" for n in range(200)]
        (tmp_path / f"sales{month}.csv").write_text("\n".join(["order_no,customer,day,total", *days]) + "\n")

    (tmp_path / "shop.yml").write_text(MAPPING)
    sales(1)
    first = run()
    assert first.exit_code == 0, first.output
    with duckdb.connect(str(tmp_path / "home/current/marts.duckdb"), read_only=True) as connection:
        [(table_count,)] = connection.execute("select count(*) from information_schema.tables").fetchall()
    assert f"{table_count} tables in 'postgres'" in " ".join(first.output.split())
    orders = "select version, count(*) from quality.published_version, core.fct_orders group by version"
    assert database.ask(orders) == ["1|200"]
    sales(2)
    monkeypatch.setenv(target.VARIABLE, database.dsn("publisher", f"{PASSWORD}-not"))
    failed = run()
    assert failed.exit_code == 1
    said = " ".join(failed.output.replace("│", "").split())
    assert "failed while publishing to Postgres" in said
    assert "password authentication failed" in said
    assert "current shows version 2, which is published; `tenure publish --to postgres` tries again" in said
    assert database.ask(orders) == ["1|200"]
    monkeypatch.setenv(target.VARIABLE, database.dsn("publisher"))
    again = run()
    assert again.exit_code == 0
    assert "Nothing new since version 2" in again.output
    assert "The database 'postgres' serves version 2 (shop" in again.output
    assert database.ask(orders) == ["2|400"]
    with duckdb.connect(str(tmp_path / "home/current/marts.duckdb"), read_only=True) as connection:
        steps = connection.execute("select version, row_count, status from quality.run_log where step = 'serve'")
        assert [(version, status) for version, rows, status in steps.fetchall() if rows > 200] == [(1, "ok")]
    for path in filter(Path.is_file, (tmp_path / "home").rglob("*")):
        assert PASSWORD.encode() not in path.read_bytes(), path
