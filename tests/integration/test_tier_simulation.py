"""Other rules tried on a warehouse that the real command built: exact, and without a trace in it."""

from __future__ import annotations

import csv
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner, Result

from orchestration.cli import app
from orchestration.lib.mapping import load_mapping
from orchestration.lib.settings import Settings
from orchestration.lib.tiers import comparing, simulating
from orchestration.synthetic.generating import generate
from orchestration.synthetic.world import World
from tests.unit.test_lock import start_holder

pytestmark = pytest.mark.integration

PROGRAMS = """program_id,program_name,membership,is_history_counted
all,Everybody,purchasers,true
club,The club,enrolled,false
"""
TIERS = """program_id,tier,tier_rank,benefit_cost_amount
all,base,0,0.25
all,gold,1,12.50
club,base,0,0
club,silver,1,1.10
club,gold,2,3.30
"""
HEAD = "program_id,rule_version,valid_from,tier,metric,threshold,window_type,window_months,extension_months,grace_days,soft_landing\n"  # noqa: E501
RULES = (
    HEAD
    + """\
all,1,1900-01-01,gold,spend,150,rolling_months,12,0,0,full
club,1,2022-06-01,silver,orders,2,calendar_year,,0,0,full
club,1,2022-06-01,gold,spend,200,calendar_year,,0,0,full
club,2,2023-03-01,silver,orders,3,calendar_year,,0,10,full
club,2,2023-03-01,gold,spend,300,calendar_year,,0,10,full
"""
)
OTHER_RULES = (
    HEAD
    + """\
all,1,1900-01-01,gold,spend,90,calendar_months,6,1,5,full
club,1,2022-09-01,silver,spend,50,rolling_months,4,2,20,one_down
club,1,2022-09-01,gold,purchase_days,4,rolling_months,6,1,30,base
club,2,2023-06-15,silver,spend,60,enrolment_anniversary,,3,0,base
club,2,2023-06-15,gold,purchase_days,5,rolling_months,6,1,30,one_down
"""
)
OVERRIDES = "program_id,customer_id,tier,valid_from,valid_to,reason\n"
POINTS = """\
program_id,rule_version,valid_from,expiry_type,expiry_months,order_cap,day_cap,month_cap,point_value_amount,point_cost_amount,expected_redemption_rate
all,1,1900-01-01,never,,,,,0.01,0.01,0.8
"""
EARN = """program_id,rule_version,applies_to,value,multiplier
all,1,order,,1
all,1,tier,gold,2
"""
IN_FORCE = {
    "tier_programs": PROGRAMS, "tiers": TIERS, "tier_rules": RULES, "tier_overrides": OVERRIDES,
    "points_rules": POINTS, "earn_rules": EARN,
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a made-up shop with rules of its own, built and published once."""
    folder = tmp_path_factory.mktemp("world")
    made = generate(World(customers=400, months=27, seed=3, dirt=1, layout="parquet"), folder)
    seeds = ", ".join(f"{name}: {name}.csv" for name in IN_FORCE)
    with made.mapping.open("a") as mapping:
        mapping.write(f"vars: {{forecast_models: []}}\nseeds: {{{seeds}}}\n")
    for name, content in IN_FORCE.items():
        (folder / f"{name}.csv").write_text(content)
    run(folder)
    return folder


def run(folder: Path) -> None:
    result = CliRunner().invoke(app, ["run", *place(folder)])
    assert result.exit_code == 0, result.output


def place(folder: Path) -> list[str]:
    return ["--dataset", str(folder / "synthetic.yml"), "--home", str(folder / "home")]


def simulate(folder: Path, *options: str | Path) -> Result:
    result = CliRunner().invoke(app, ["tiers", "simulate", *place(folder), *map(str, options)])
    assert result.exit_code == 0 or isinstance(result.exception, SystemExit), result.exception
    return result


def said(result: Result) -> str:
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def tried(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The rules in force and others of two seeds, compared."""
    folder = tmp_path_factory.mktemp("other")
    seeds = {"tier_rules": folder / "stricter.csv", "tiers": folder / "dearer.csv"}
    seeds["tier_rules"].write_text(OTHER_RULES)
    seeds["tiers"].write_text(TIERS.replace("12.50", "20"))
    settings = Settings.resolve(str(world / "synthetic.yml"), world / "home")
    with simulating.simulated(settings, load_mapping(settings.mapping_path), seeds) as connection:
        comparing.compare(connection)
        yield connection


def test_a_simulation_is_what_a_run_under_these_rules_builds(
    world: Path, tried: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(world, tmp_path / "copy", ignore=shutil.ignore_patterns("home")))
    (folder / "tier_rules.csv").write_text(OTHER_RULES)
    run(folder)
    tried.execute(f"attach '{folder / 'home/current/marts.duckdb'}' as really (read_only)")
    for mart in ("tier_history", "member_tiers", "points_liability"):
        for one, other in (("really.tiers", "simulated"), ("simulated", "really.tiers")):
            assert tried.execute(f"from {one}.{mart} except all from {other}.{mart}").fetchall() == []
        different = f"select count(*) from (from built.{mart} except all from simulated.{mart})"
        assert number(tried, different) > 20
    tried.execute("detach really")


def number(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = connection.execute(sql).fetchone()
    assert row
    return int(row[0])


@pytest.mark.parametrize("side", comparing.SIDES)
def test_member_months_are_those_of_the_eves(tried: duckdb.DuckDBPyConnection, side: str) -> None:
    """2022-01 to 2024-03: the year is from April 2023 on."""
    counted = tried.execute(f"select program_id, tier, member_months from comparison.{side}_tiers order by all")
    by_eve = f"""
        select program_id, tier, count(month)
        from {side}.tiers
        left join {side}.tier_history using (program_id, tier)
        left join unnest(generate_series(date '2023-04-01', date '2024-03-01', interval 1 month)) as months(month)
            on valid_from <= month - interval 1 day and coalesce(valid_to, '9999-12-31') > month - interval 1 day
        group by all
        order by all
    """
    found = counted.fetchall()
    assert found == tried.execute(by_eve).fetchall()
    assert sum(months for _, _, months in found) > 1000


def test_member_months_are_the_movements(tried: duckdb.DuckDBPyConnection) -> None:
    moved = tried.execute("""
        select program_id, from_tier, sum(member_count)
        from marts.tiers.tier_movements
        where from_tier <> 'new' and month between '2023-04-01' and '2024-03-01'
        group by all
        order by all
    """).fetchall()
    counted = "from comparison.built_tiers select program_id, tier, member_months where member_months > 0 order by all"
    assert moved == tried.execute(counted).fetchall()


def test_who_moves_by_hand(tried: duckdb.DuckDBPyConnection) -> None:
    ranks = {tuple(line.split(",")[:2]): int(line.split(",")[2]) for line in TIERS.splitlines()[1:]}
    rows = tried.execute(
        """
        select program_id, customer_id, built.tier, simulated.tier, move, members.net_amount, coalesce(orders.net, 0)
        from built.member_tiers as built
        full join simulated.member_tiers as simulated using (program_id, customer_id)
        full join comparison.members as members using (program_id, customer_id)
        left join (
            select customer_id, sum(net_amount) as net
            from marts.core.fct_orders
            where is_valid_sale and business_date between '2023-04-01' and '2024-03-31'
            group by customer_id
        ) as orders using (customer_id)
        """
    ).fetchall()
    assert {move for *_, move, _, _ in rows} == {"up", "down", "stays"}
    for program, _, now, then, move, net_amount, expected in rows:
        step = ranks[program, then] - ranks[program, now]
        assert move == ("up" if step > 0 else "down" if step < 0 else "stays")
        assert net_amount == expected


def test_benefits_cost_what_their_seed_says_on_each_side(tried: duckdb.DuckDBPyConnection) -> None:
    tiers = "from comparison.{}_tiers select tier, member_months where program_id = 'all'"
    months = {side: dict(tried.execute(tiers.format(side)).fetchall()) for side in comparing.SIDES}
    cost, points = comparing.costs(tried, "all")
    assert cost.now == Decimal("0.25") * months["built"]["base"] + Decimal("12.50") * months["built"]["gold"]
    assert cost.then == Decimal("0.25") * months["simulated"]["base"] + 20 * months["simulated"]["gold"]
    # Points cost what is given in the year: each a cent, four of five of which are redeemed.
    for side, amount in (("built", points.now), ("simulated", points.then)):
        given = number(
            tried,
            f"""
            select sum(issued_points - withdrawn_points)
            from {side}.points_liability
            where program_id = 'all' and vintage_month between '2023-04-01' and '2024-03-01'
        """,
        )
        assert float(amount) == pytest.approx(0.008 * given, rel=0.01)
    assert points.now != points.then
    assert cost.then > cost.now > 0


def test_the_rules_in_force_move_nobody_and_cost_the_same(world: Path, tmp_path: Path) -> None:
    movers = tmp_path / "movers.csv"
    result = simulate(
        world, "--rules", world / "tier_rules.csv", "--rules", world / "tiers.csv", "--output", movers
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "0 members who would move" in said(result)
    assert movers.read_text() == "program_id,customer_id,from_tier,to_tier,move,net_amount\n"
    assert "up 0 0.00 down 0 0.00 stays" in said(result)
    [cost] = [line.split() for line in result.stdout.splitlines() if line.startswith("benefits")][:1]
    assert (cost[-3], cost[-1]) == (cost[-2], "0.00")


def test_tiers_that_come_and_go_and_members_who_join(world: Path, tmp_path: Path) -> None:
    """A tier is put in below gold, the club's silver has another name, and the club is for everybody."""
    files = {
        "tiers": TIERS.replace("all,gold,1,12.50", "all,bronze,1,0\nall,gold,2,12.50").replace("silver", "argent"),
        "tier_rules": RULES.replace("silver", "argent").replace(
            "all,1,1900-01-01,gold",
            "all,1,1900-01-01,bronze,spend,20,rolling_months,12,0,0,full\nall,1,1900-01-01,gold",
        ),
        "tier_programs": PROGRAMS.replace("enrolled", "purchasers"),
    }
    options: list[str | Path] = ["--output", tmp_path / "movers.csv"]
    for name, content in files.items():
        (tmp_path / f"my_{name}.csv").write_text(content)
        options += ["--rules", tmp_path / f"my_{name}.csv"]
    result = simulate(world, *options)
    assert result.exit_code == 0, result.output
    with (tmp_path / "movers.csv").open(newline="") as file:
        moves = {(m["program_id"], m["from_tier"], m["to_tier"], m["move"]) for m in csv.DictReader(file)}
    assert {move for move in moves if move[0] == "all"} == {("all", "base", "bronze", "up")}
    assert {("club", "", "base", "joins"), ("club", "", "argent", "joins")} <= moves
    assert not {move for move in moves if (move[1], move[2]) == ("silver", "argent")}
    assert "no member" in result.output
    assert "joins" in result.output


def test_files_that_cannot_be_used_are_refused(world: Path, tmp_path: Path) -> None:
    def refused(content: str, *more: str | Path) -> str:
        (tmp_path / "mine.csv").write_text(content)
        result = simulate(world, "--rules", tmp_path / "mine.csv", *more)
        assert result.exit_code == 1
        return said(result)

    assert "mine.csv, line 4: gold of club, version 1" in refused(OTHER_RULES.replace("gold,purchase_days,4", "gold,spend,9").replace("rolling_months,6,1,30,base", "rolling_months,4,1,30,base"))  # fmt: skip # noqa: E501
    # With the rules that are in force beside it.
    assert "line 3: program_id 'club', tier 'silver' is not in mine.csv" in refused(TIERS.replace("silver", "argent"))
    assert "its columns are" in refused(OTHER_RULES.replace("threshold", "treshold"))
    assert "mine.csv has the columns one, two: it is no file of rules" in refused("one,two\n1,2\n")
    assert "are both tier_rules" in refused(RULES, "--rules", world / "tier_rules.csv")
    assert "gone.csv cannot be read" in refused(RULES, "--rules", tmp_path / "gone.csv")
    assert "there is no folder" in refused(RULES, "--output", tmp_path / "nowhere/movers.csv")


def test_nothing_that_is_built_is_touched_and_a_run_of_another_data_set_is_no_matter(
    world: Path, tmp_path: Path
) -> None:
    home = world / "home"
    (tmp_path / "stricter.csv").write_text(OTHER_RULES)
    holder = start_holder(home / ".lock", "another")
    before = state(home)
    try:
        result = simulate(world, "--rules", tmp_path / "stricter.csv", "--output", tmp_path / "movers.csv")
        assert result.exit_code == 0, result.output
        assert state(home) == before
    finally:
        holder.communicate("\n")
    assert len((tmp_path / "movers.csv").read_text().splitlines()) > 10


def state(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file with the time of its last change and a digest of its content."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_while_the_data_set_is_built_its_run_is_named(world: Path) -> None:
    holder = start_holder(world / "home/.lock", "synthetic")
    try:
        result = simulate(world, "--rules", world / "tier_rules.csv")
    finally:
        holder.communicate("\n")
    assert result.exit_code == 1
    assert f"Another run is under way: process {holder.pid}, data set 'synthetic'" in said(result)


def test_while_the_warehouse_is_written_to_by_something_else(world: Path) -> None:
    code = (
        "import duckdb, sys; connection = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.readline()"
    )
    warehouse = world / "home/work/synthetic/warehouse.duckdb"
    writer = subprocess.Popen(
        [sys.executable, "-c", code, str(warehouse)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "open\n"
    try:
        result = simulate(world, "--rules", world / "tier_rules.csv")
    finally:
        writer.communicate("\n")
    assert result.exit_code == 1
    assert "The warehouse of 'synthetic' is in use" in said(result)


def test_what_was_never_built_or_not_by_these_rules_is_not_compared(world: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(world, tmp_path / "copy", symlinks=True))
    (folder / "tier_rules.csv").write_text(OTHER_RULES)
    result = simulate(folder, "--rules", folder / "tiers.csv")
    assert result.exit_code == 1
    assert "is not of the rules, models and settings in force, or not whole" in said(result)
    shutil.rmtree(folder / "home")
    result = simulate(folder, "--rules", folder / "tiers.csv")
    assert result.exit_code == 1
    assert "Nothing was ever built of 'synthetic'" in said(result)
    assert f"Run `tenure run --dataset {folder / 'synthetic.yml'}` first." in said(result)
    assert not (folder / "home").exists()
