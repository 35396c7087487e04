"""The two phases of a build, and runs that make no forecasts: because they may not, or because they cannot."""

from __future__ import annotations

from datetime import date, timedelta

import duckdb
import pytest
from typer.testing import CliRunner

from orchestration.cli import app
from orchestration.defs.dbt.assets import build
from orchestration.defs.forecast.assets import fit_brand_panels, fit_purchases, learn_risk, model_wallets
from orchestration.defs.ingest.assets import load
from orchestration.lib.dbt import FORECASTS, MARTS
from orchestration.lib.progress import LineProgress
from orchestration.lib.running import TenureRun
from tests.support.shop import Shop


def a_run(shop: Shop) -> TenureRun:
    return TenureRun(shop.settings, shop.mapping, LineProgress(print))


def pending(shop: Shop) -> int:
    """Files that the next build has to catch up on."""
    with duckdb.connect(str(shop.settings.warehouse_path), read_only=True) as connection:
        row = connection.execute("select count(*) from raw.touched_files").fetchone()
        assert row is not None
        return int(row[0])


def test_what_is_pending_waits_for_both_phases(shop: Shop) -> None:
    """Fifty customers, too few to fit anything: the tables of the fits say so, and all is built."""
    orders = [
        f"{c}-{day},c{c},2024-0{1 + day}-0{1 + c % 9},{c + day}.50" for c in range(50) for day in range(1 + c % 4)
    ]
    shop.write("orders.csv", "\n".join(["id,customer,at,total", *orders]) + "\n")
    shop.map()
    killed = a_run(shop)
    load(killed, "killed between the phases")
    assert build(killed, MARTS, None).is_success
    assert pending(shop) == 1

    rest = a_run(shop)
    for fit in (fit_purchases, learn_risk, fit_brand_panels, model_wallets):
        fit(rest)
    assert build(rest, FORECASTS, None).is_success
    assert pending(shop) == 1, "this run knows nothing of what the other has built"

    part = a_run(shop)
    assert build(part, MARTS, ["tenure.staging.stg_orders"]).is_success
    assert build(part, FORECASTS, None).is_success
    assert pending(shop) == 1, "a part of a phase is not the phase"

    whole = a_run(shop)
    assert build(whole, MARTS, None).is_success
    assert build(whole, FORECASTS, None).is_success
    assert pending(shop) == 0

    with duckdb.connect(str(shop.settings.warehouse_path), read_only=True) as connection:
        rows = connection.execute("select model_id, r, refusal from forecast.model_parameters order by all").fetchall()
        assert connection.execute("select count(*) from forecast.risk_scores").fetchone() == (0,)
    assert {(model, r) for model, r, _ in rows} == {("bg_nbd", None), ("gamma_gamma", None), ("pareto_nbd", None)}
    assert all(refusal.startswith("Too few customers had come back") for _, _, refusal in rows)


def write_alike(shop: Shop) -> None:
    """240 customers who buy every ninth day, of whom a model of purchases finds no spread of rates."""
    rows = [
        f"{customer}-{visit},c{customer},{date(2024, 1, 1) + timedelta(days=9 * visit)},{visit + customer % 7}.50"
        for customer in range(240)
        for visit in range(11)
    ]
    shop.write("orders.csv", "\n".join(["id,customer,at,total", *rows]) + "\n")


@pytest.mark.integration
def test_where_nothing_can_be_fitted_nothing_is_published_until_forecasts_are_given_up(shop: Shop) -> None:
    write_alike(shop)
    shop.map()
    command = ["run", "--dataset", str(shop.settings.mapping_path), "--home", str(shop.settings.home)]
    result = CliRunner().invoke(app, command)
    said = " ".join(result.output.replace("│", " ").split())
    assert result.exit_code == 1, said
    assert "failed while fitting the forecasts" in said
    assert "The model bg_nbd has no maximum of its likelihood on these customers" in said
    assert "give the variable forecast_models, under vars of the mapping, an empty list" in said
    assert not shop.settings.current.exists()

    shop.map(vars={"forecast_models": []})
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    with duckdb.connect(str(shop.settings.current / "marts.duckdb"), read_only=True) as connection:
        models = connection.execute("select distinct purpose, is_chosen from value.forecast_models").fetchall()
    assert models == [("wallet", False)], "wallets are modelled of their own; here too few customers have bought"
