"""The command `tenure`. Imports only what prints help: the rest is imported by the command that needs it."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from rich.console import Console

    from orchestration.lib.backfilling import Span
    from orchestration.lib.mapping import Mapping
    from orchestration.lib.progress import Progress
    from orchestration.lib.publishing import Version
    from orchestration.lib.running import TenureRun
    from orchestration.lib.settings import Settings

app = typer.Typer(
    name="tenure",
    help="A customer-loyalty warehouse: raw orders and interactions in; checked, published marts out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

tiers = typer.Typer(help="Tiers of members.", no_args_is_help=True)
app.add_typer(tiers, name="tiers")

DatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        "-d",
        help="A name from `tenure datasets`, or the path of a mapping file (.yml). "
        "Default: TENURE_DATASET, else complete_journey.",
        show_default=False,
    ),
]
HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        help="Where everything that a run writes is kept. Default: TENURE_HOME, else ./warehouse.",
        show_default=False,
        file_okay=False,
    ),
]
KeepOption = Annotated[
    int | None,
    typer.Option(
        help="How many published versions of the data set remain, the newest ones. Default: TENURE_KEEP, else 5.",
        show_default=False,
        min=2,
    ),
]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="On failure, show Python's traceback too.")]


_LITTLE_ROOM = 10_000_000  # bytes


class Target(Enum):
    """Where else a version can be published."""

    POSTGRES = "postgres"


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    from orchestration.lib import telemetry

    telemetry.turn_off()
    if version:
        show_version()
        raise typer.Exit


@app.command()
def run(
    dataset: DatasetOption = None,
    home: HomeOption = None,
    keep: KeepOption = None,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Build every table anew from the raw rows, even with nothing new.")
    ] = False,
    verbose: VerboseOption = False,
) -> None:
    """Load new files, build the marts, check them, publish them.

    Does nothing when files, mapping and models are those of the last published version. When anything fails, the
    published version stays what it was and the exit code is 1.
    """
    with _plain_errors(verbose):
        _run(_settings(dataset, home, keep), verbose, is_full_refresh=full_refresh)


@app.command()
def backfill(
    first: Annotated[str, typer.Option("--from", metavar="DATE", help="First business date, as 2024-01-31.")],
    last: Annotated[str, typer.Option("--to", metavar="DATE", help="Last business date; may be the first.")],
    dataset: DatasetOption = None,
    home: HomeOption = None,
    keep: KeepOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Compute anew what the orders, refunds and interactions of some days concern, check it, publish it.

    All rows of their customers are computed anew, everybody else's stay. Files are read only if they are new or have
    changed, as in any run. `tenure run --full-refresh` computes everything anew.
    """
    from orchestration.lib.backfilling import Span

    with _plain_errors(verbose):
        span = Span.parse(first, last)
        _run(_settings(dataset, home, keep), verbose, span=span)


@app.command()
def datasets() -> None:
    """List the data sets that have a mapping, with what each reads."""
    from orchestration.lib.settings import Settings, known_datasets

    with _plain_errors():
        for name in known_datasets():
            mapping = _mapping(Settings.resolve(name, None))
            typer.echo(f"{name}  ({mapping.business_timezone}, {mapping.reporting_currency})")
            for source, details in mapping.sources.items():
                typer.echo(f"    {source}: {', '.join(details.read)}")


@app.command("check-mapping")
def check_mapping(
    dataset: Annotated[str, typer.Argument(help="A name from `tenure datasets`, or the path of a mapping file.")],
    verbose: VerboseOption = False,
) -> None:
    """Try a mapping on its files without writing anything: files, columns, expressions, tier rules."""
    import tempfile

    from orchestration.lib import inputs, loading
    from orchestration.lib.running import place_of
    from orchestration.lib.tiers import rules

    with _plain_errors(verbose), tempfile.TemporaryDirectory() as scratch:
        settings = _settings(dataset, Path(scratch))
        mapping = _mapping(settings)
        columns = loading.check(mapping, inputs.fingerprint(settings, mapping))
        rules.check({name: place_of(settings, mapping).seed_path(name) for name in rules.FILES})
        for source, found in columns.items():
            typer.echo(f"{source}: {', '.join(name for name, _ in found)}")
        for table, feeds in mapping.feeds.items():
            mapped = ", ".join(sorted({column for feed in feeds for column in feed.columns}))
            typer.echo(f"{table} <- {', '.join(feed.source for feed in feeds)}: {mapped}")
        typer.echo(f"{settings.mapping_path} fits its files.")


@app.command()
def generate(
    customers: Annotated[int, typer.Option(min=1, help="People who ever buy.")] = 10_000,
    months: Annotated[int, typer.Option(min=1, max=240, help="Length of the history, from January 2022.")] = 36,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write. Default: synthetic in TENURE_HOME.", show_default=False, file_okay=False),
    ] = None,
    dirt: Annotated[float, typer.Option(min=0, max=1, help="Defects: 0 none, 1 their usual share.")] = 1.0,
    layout: Annotated[str, typer.Option("--format", help="mixed, csv or parquet.")] = "mixed",
) -> None:
    """Make up a shop's raw files of every kind, with the truth beside them: nobody in them exists."""
    import os

    from orchestration.synthetic.generating import generate as generate_world
    from orchestration.synthetic.world import World, checked_layout

    with _plain_errors():
        world = World(customers, months, seed, dirt, checked_layout(layout))
        folder = out or Path(os.environ.get("TENURE_HOME") or "warehouse") / "synthetic"
        made = generate_world(world, folder, on_progress=lambda step: typer.echo(f"  {step}"))
        typer.echo(
            f"{made.orders:,} orders of {made.customers:,} made-up customers, {made.bytes_written / 1e6:,.0f} MB"
        )
        typer.echo(f"tenure run --dataset {made.mapping}")


@tiers.command()
def simulate(
    rules: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE",
            help="A file like one of seeds/tier_rules.csv, tiers.csv, … with other rules in it; which one its columns "
            "tell. May be given several times.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write who would move, as CSV.", show_default=False, dir_okay=False),
    ] = None,
    dataset: DatasetOption = None,
    home: HomeOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Replay history under other rules: who would move, and what it would cost.

    Compares with what `tenure run` built, of which nothing is touched.
    """
    from orchestration.lib.running import place_of
    from orchestration.lib.tiers import simulating

    with _plain_errors(verbose):
        settings = _settings(dataset, home)
        mapping = _mapping(settings)
        seeds = simulating.seeds_of(place_of(settings, mapping), rules)
        _require_folder(output)
        typer.echo(f"Replaying the history of '{settings.dataset}' under other {', '.join(seeds)} …", err=True)
        with simulating.simulated(settings, mapping, seeds) as connection:
            _show_comparison(connection, mapping.reporting_currency, output)


@app.command()
def versions(home: HomeOption = None) -> None:
    """List the published versions, oldest first; * marks the current one."""
    from orchestration.lib import publishing

    with _plain_errors():
        settings = _settings(None, home)
        current = publishing.current(settings)
        found = publishing.versions(settings)
        for version in found:
            mark = "*" if current and version.number == current.number else " "
            chosen = publishing.rolled_back_to(settings, version.dataset)
            note = "  rolled back to on purpose" if chosen and chosen.number == version.number else ""
            typer.echo(
                f"{mark} {version.number:>4}  {version.dataset:<24} data through {version.data_end}  "
                f"published {version.created_at:%Y-%m-%d %H:%M} UTC{note}"
            )
        if not found:
            typer.echo(f"No version is published in {settings.home} yet: `tenure run` makes the first.")


@app.command()
def rollback(
    number: Annotated[int, typer.Argument(metavar="VERSION", help="A number from `tenure versions`.")],
    home: HomeOption = None,
) -> None:
    """Make an older version current again, in one step; give the newest number to go forward again.

    Runs that find nothing new leave it so; a run with something new publishes its version and makes that current.
    """
    from orchestration.lib import postgres, publishing

    with _plain_errors():
        settings = _settings(None, home)
        version = publishing.activate(settings, number)
        chosen = publishing.rolled_back_to(settings, version.dataset)
        stays = f" It stays so until a run of '{version.dataset}' finds something new." if chosen else ""
        typer.echo(
            f"{settings.current} shows version {number} ({version.dataset}, data through {version.data_end}).{stays}"
        )
        if postgres.is_wanted():
            typer.echo("Postgres follows with the next `tenure publish --to postgres`, or `tenure run`.")


@app.command()
def publish(
    to: Annotated[
        Target, typer.Option(help="postgres: the database whose connection is in the variable TENURE_POSTGRES.")
    ],
    number: Annotated[
        int | None,
        typer.Option(
            "--version",
            metavar="VERSION",
            help="A number from `tenure versions`. Default: the current one.",
            show_default=False,
        ),
    ] = None,
    home: HomeOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Write a published version into a database, all of its marts in one instant, and grant its readers what is theirs.

    Does nothing but make the grants again where the database serves the version already.
    """
    from orchestration.lib import publishing
    from orchestration.lib.errors import UserError

    with _plain_errors(verbose):
        settings = _settings(None, home)
        version = publishing.current(settings) if number is None else publishing.find(settings, number)
        if version is None:
            raise UserError(f"No version is published in {settings.home} yet.", "`tenure run` makes the first.")
        if to is Target.POSTGRES:
            _serve(version)


@app.command()
def report(home: HomeOption = None) -> None:
    """Print the path of the current version's report (one HTML page, needs no network)."""
    from orchestration.lib import publishing

    with _plain_errors():
        settings = _settings(None, home)
        version = publishing.current(settings)
        if version is None:
            typer.echo(f"No version is published in {settings.home} yet: `tenure run` makes the first.", err=True)
            raise typer.Exit(1)
        typer.echo(settings.current / version.report_path.name)


@app.command()
def dev(
    dataset: DatasetOption = None,
    home: HomeOption = None,
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 3000,
) -> None:
    """Open Dagster's page on 127.0.0.1: lineage, checks, runs, schedule, sensor."""
    import os

    from orchestration.lib import telemetry

    with _plain_errors():
        settings = _settings(dataset, home)
        _mapping(settings)
        os.environ["DAGSTER_HOME"] = str(telemetry.prepare_dagster_home(settings.dagster_home))
        os.environ["TENURE_HOME"] = str(settings.home)
        os.environ["TENURE_DATASET"] = str(settings.mapping_path)
        module = ["-m", "orchestration.definitions"]
        dagster = [sys.executable, "-m", "dagster", "dev", *module, "--host", "127.0.0.1", "--port", str(port)]
        os.execv(sys.executable, dagster)


@app.command("version")
def show_version() -> None:
    """Show the version of Tenure."""
    from importlib.metadata import version

    typer.echo(f"tenure {version('tenure')}")


def _settings(dataset: str | None, home: Path | None, keep: int | None = None) -> Settings:
    from orchestration.lib.settings import Settings

    return Settings.resolve(dataset, home, keep)


def _mapping(settings: Settings) -> Mapping:
    from orchestration.lib.mapping import load_mapping

    return load_mapping(settings.mapping_path)


def _run(settings: Settings, verbose: bool, *, is_full_refresh: bool = False, span: Span | None = None) -> None:
    """Load, build, check, publish, and say how it ended; no work where nothing is new and nothing was asked for.

    Raises typer.Exit with code 1 when nothing was published, or not everywhere.
    """
    from orchestration.lib import postgres, publishing
    from orchestration.lib.lock import run_lock

    started = time.perf_counter()
    with run_lock(settings.lock_path, settings.dataset):
        mapping = _mapping(settings)
        if span is not None:
            _note(settings, mapping, span)
        elif not is_full_refresh and (shown := _shown_if_nothing_new(settings, mapping)):
            if postgres.is_wanted():
                _serve(shown)
            return
        rolled_back = publishing.rolled_back_to(settings)
        finished = _execute(settings, mapping, is_full_refresh, span)
    _show_outcome(finished, time.perf_counter() - started, verbose)
    if finished.version is None or finished.failures:
        raise typer.Exit(1)
    if rolled_back:
        typer.echo(
            f"{settings.current} had been rolled back to version {rolled_back.number}; "
            f"this run moved it on to version {finished.version.number}."
        )


def _note(settings: Settings, mapping: Mapping, span: Span) -> None:
    from orchestration.lib import backfilling
    from orchestration.lib.progress import counted

    noted = backfilling.note(settings, mapping.business_timezone, span)
    typer.echo(
        f"Backfill of {span}: {counted(noted.orders, 'order')}, {counted(noted.refunds, 'refund')} and "
        f"{counted(noted.interactions, 'interaction')} are computed anew, with everything of their customers."
    )


def _shown_if_nothing_new(settings: Settings, mapping: Mapping) -> Version | None:
    """If the newest version of this data set was made of just these inputs: says so, makes it current, returns it.

    Instead of the newest, the version that the data set was rolled back to.
    """
    from orchestration.lib import inputs, publishing
    from orchestration.lib.erasing import last_erasure_at

    last = publishing.latest(settings)
    if last is None or last.inputs_digest != inputs.fingerprint(settings, mapping).digest:
        return None
    erased_at = last_erasure_at(settings.warehouse_path)
    if erased_at and last.created_at < erased_at:
        return None
    typer.echo(
        f"Nothing new since version {last.number} (published {last.created_at:%Y-%m-%d %H:%M} UTC): no work done."
    )
    before, shown = publishing.restore(settings, erased_at=erased_at)
    if shown.number != last.number:
        typer.echo(
            f"{settings.current} shows version {shown.number}, which was rolled back to; "
            f"`tenure rollback {last.number}` shows the newest."
        )
    elif before is None or before.number != shown.number:
        was = f"version {before.number} ({before.dataset})" if before else "nothing"
        typer.echo(f"{settings.current} showed {was} and shows version {shown.number} ({shown.dataset}) again.")
    typer.echo(f"Report: {settings.current / shown.report_path.name}")
    return shown


def _serve(version: Version) -> None:
    """Publish a version to Postgres, and say how it ended."""
    from orchestration.lib import postgres
    from orchestration.lib.progress import counted

    started = time.perf_counter()
    with _progress() as progress:
        outcome = postgres.publish(version, progress)
    how = (
        f"{counted(outcome.table_count, 'table')}, {counted(outcome.row_count, 'row')}, "
        f"{time.perf_counter() - started:.0f} s"
        if outcome.is_new
        else "it did already, and grants were made again"
    )
    typer.echo(
        f"The database '{outcome.database}' serves version {version.number} ({version.dataset}, "
        f"data through {version.data_end}): {how}."
    )


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on a terminal, lines elsewhere."""
    from rich.console import Console

    from orchestration.lib.progress import LineProgress, RichProgress

    console = Console()
    if not console.is_terminal:
        yield LineProgress(lambda text: print(text, flush=True))
        return
    with RichProgress(console) as progress:
        yield progress


def _execute(settings: Settings, mapping: Mapping, is_full_refresh: bool, span: Span | None) -> TenureRun:
    from rich.console import Console

    Console().print(f"Tenure run of '{settings.dataset}' into {settings.home}", highlight=False, soft_wrap=True)
    with _progress() as progress:
        return _executed(settings, mapping, progress, is_full_refresh, span)


def _executed(
    settings: Settings, mapping: Mapping, progress: Progress, is_full_refresh: bool, span: Span | None
) -> TenureRun:
    import gc

    # Hundreds of thousands of objects of parsers and manifests live as long as the run: looking for garbage among them
    # so often costs 6 % of a small run's processor time.
    gc.set_threshold(200_000, 20, 20)
    # This line is the first sign of life: the imports that follow take some seconds.
    progress.stage("Start dbt and Dagster")
    from orchestration.lib.executing import execute
    from orchestration.lib.running import TenureRun

    run = TenureRun(settings, mapping, progress, is_own_process=True, is_full_refresh=is_full_refresh, backfill=span)
    execute(run)
    return run


def _show_outcome(run: TenureRun, seconds: float, verbose: bool) -> None:
    from rich.console import Console

    if run.version is not None and not run.failures:
        _show_success(Console(soft_wrap=True), run, seconds)
    else:
        _show_failure(Console(stderr=True), run, verbose)


def _show_success(console: Console, run: TenureRun, seconds: float) -> None:
    from rich.table import Table

    version = run.version
    assert version is not None
    current, figures = run.settings.current, run.figures
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2))
    table.add_column()
    # A path that is cut off leads nowhere.
    table.add_column(overflow="fold")
    table.add_row("rows read", f"{figures.get('rows_read', 0):,} new, {figures.get('rows_delivered', 0):,} in all")
    table.add_row("quarantined", f"{_quarantined(run):,}")
    table.add_row("marts built", f"{len(version.manifest['tables']):,}")
    table.add_row(
        "checks passed",
        f"{figures.get('dbt_tests_passed', 0):,} of {figures.get('dbt_tests', 0):,} dbt tests, "
        f"{figures.get('rules_passed', 0):,} of {figures.get('rules', 0):,} expectations",
    )
    table.add_row("version", f"{version.number}, data through {version.data_end}, {seconds:.0f} s")
    table.add_row("marts", str(current / version.marts_path.name))
    table.add_row("parquet", str(current / "parquet"))
    table.add_row("report", str(current / version.report_path.name))
    if (version.path / "data_docs").is_dir():
        table.add_row("data docs", str(current / "data_docs" / "index.html"))
    console.print()
    console.print(table, highlight=False)


def _quarantined(run: TenureRun) -> int:
    """Rows in quarantine, as the published quarantine summary counts them."""
    import duckdb

    assert run.version is not None
    with duckdb.connect(str(run.version.marts_path), read_only=True) as connection:
        try:
            row = connection.execute("select sum(row_count) from quality.quarantine_summary").fetchone()
        except duckdb.CatalogException:
            return 0
    return int(row[0]) if row and row[0] else 0


def _require_folder(output: Path | None) -> None:
    from orchestration.lib.errors import UserError

    if output is not None and not output.absolute().parent.is_dir():
        raise UserError(f"{output} cannot be written: there is no folder {output.absolute().parent}.", "Make it first.")


def _show_comparison(connection: DuckDBPyConnection, currency: str, output: Path | None) -> None:
    from rich.console import Console

    from orchestration.lib.progress import counted
    from orchestration.lib.tiers import comparing

    comparing.compare(connection)
    console = Console()
    if not console.is_terminal:
        # Nobody's window limits what goes into a file.
        console = Console(width=1000)
    for title, table in comparing.tables(connection, currency):
        console.print(title, style="bold", markup=False, highlight=False)
        console.print(table, highlight=False)
        console.print()
    if output is not None:
        typer.echo(f"{counted(comparing.write_movers(connection, output), 'member')} who would move: {output}")


def _show_failure(console: Console, run: TenureRun, verbose: bool) -> None:
    from rich.panel import Panel
    from rich.text import Text

    from orchestration.lib.executing import log_path
    from orchestration.lib.publishing import PublishingError, current
    from orchestration.lib.running import describe

    body = "\n\n".join(describe(failure) for failure in run.failures[:10])
    if len(run.failures) > 10:
        body += f"\n\n… and {len(run.failures) - 10} more."
    console.print(Panel(Text(body), title=_failed_title(run), title_align="left", border_style="red"))
    try:
        shown = current(run.settings)
        state = f"still shows version {shown.number} ({shown.dataset})" if shown else "does not exist yet"
    except PublishingError as error:
        state = f"is broken: {error}"
    ended = (
        f"Nothing was published: {run.settings.current} {state}."
        if run.version is None
        else f"{run.settings.current} shows version {run.version.number}, which is published; "
        "`tenure publish --to postgres` tries again what failed after it."
    )
    console.print(ended, highlight=False, soft_wrap=True)
    if full := _full_disk(run.settings.home):
        console.print(full, highlight=False, soft_wrap=True)
    console.print(f"Details: {log_path(run)}", highlight=False, soft_wrap=True)
    if verbose:
        for failure in run.failures:
            if failure.trace:
                console.print(failure.trace, markup=False, highlight=False, soft_wrap=True)


def _full_disk(home: Path) -> str:
    """What a full disk breaks is said in the words of whatever needed it first: this says what it comes from."""
    import shutil

    free = shutil.disk_usage(home).free
    if free >= _LITTLE_ROOM:
        return ""
    return f"The disk of {home} is full ({free / 1e6:.1f} MB are left): make room, and run again."


def _failed_title(run: TenureRun) -> str:
    words = {
        "prepare": " while preparing",
        "load": " while loading the raw files",
        "build": " while building the marts",
        "fit": " while fitting the forecasts",
        "check": ": checks did not pass",
        "publish": " while publishing",
        "serve": " while publishing to Postgres",
    }
    step = run.failures[0].step if run.failures else ""
    return f"The run of '{run.settings.dataset}' failed{words.get(step, '')}"


@contextmanager
def _plain_errors(verbose: bool = False) -> Iterator[None]:
    """What a user can act on is shown in plain words, exit code 1; Ctrl-C is exit code 130."""
    from orchestration.lib.errors import UserError

    try:
        yield
    except UserError as error:
        if verbose:
            raise
        typer.echo(f"Error: {error.what}", err=True)
        if error.remedy:
            typer.echo(error.remedy, err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        typer.echo("Interrupted; the published version is as it was.", err=True)
        sys.exit(130)
    except OSError as error:
        if verbose or error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        typer.echo(f"Error: {error}", err=True)
        typer.echo("Make room on that disk, and run again.", err=True)
        raise typer.Exit(1) from error
    except RuntimeError as error:
        if verbose or type(error).__name__ != "PublishingError":
            raise
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    app()
