"""The warehouse against a world whose truth is known: every planted defect meets its fate, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations import catalog
from orchestration.lib import inputs, loading
from orchestration.lib.forecast import churn_risk, purchase_fits
from orchestration.lib.mapping import load_mapping
from orchestration.lib.settings import Settings
from orchestration.synthetic.dirt import DEFECTS, planted
from orchestration.synthetic.generating import generate
from orchestration.synthetic.world import TIERS, Layout, World
from tests.support.project import compiled

TABLES = (
    "orders", "order_lines", "refunds", "interactions", "customers", "wallet_observations", "identity_map", "erasures",
)  # fmt: skip


@dataclass
class Loaded:
    """A world in the warehouse, the core marts built; the truth in the schema `truth`."""

    world: World
    connection: duckdb.DuckDBPyConnection
    mapping: Path

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql).fetchall()


def loaded(
    world: World,
    folder: Path,
    marts: tuple[str, ...] = ("core", "quality"),
    *,
    is_fitted: bool = False,
) -> Loaded:
    """Generates, loads and builds the marts of these domains.

    Forecasts are there if they are to be fitted; the rules of tiers and points are the world's own.
    """
    made = generate(world, folder / "world")
    settings = Settings(home=folder / "home", dataset="synthetic", mapping_path=made.mapping)
    mapping = load_mapping(made.mapping)
    loading.load(settings, mapping, inputs.fingerprint(settings, mapping))
    connection = duckdb.connect(str(settings.warehouse_path))
    connection.execute(f"set TimeZone = 'UTC'; attach '{settings.marts_path}' as marts; create schema truth")
    for path in sorted((folder / "world" / "truth").glob("*.parquet")):
        connection.execute(f"create view truth.{path.stem} as from '{path}'")
    project = compiled(json.dumps(mapping.dbt_vars(), default=str), seeds=folder / "world" / "rules")
    domains = tuple(f"marts/{domain}" for domain in marts)
    project.build(connection, only=("staging", "intermediate", *domains))
    if is_fitted:
        families = catalog.project_variables()["forecast_models"]
        purchase_fits.write(connection, purchase_fits.fit(connection, families, 100), clv_months=36)
        churn_risk.learn_risk(connection)
        project.build(connection, only=("intermediate", *domains))
    return Loaded(world, connection, made.mapping)


@pytest.fixture(scope="module", params=["mixed", "csv", "parquet"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    layout: Layout = request.param
    # With this seed the largest of the three holds every kind of defect.
    customers = 3500 if layout == "mixed" else 600
    world = World(customers=customers, months=24, seed=8, layout=layout)
    with (shop := loaded(world, tmp_path_factory.mktemp(layout))).connection:
        yield shop


def test_every_kind_of_defect_is_planted(shop: Loaded) -> None:
    if shop.world.layout != "mixed":
        pytest.skip("a small world")
    expected = {(table, defect.kind) for table in DEFECTS for defect in planted(shop.world, table)}
    for kind in ("too_many_columns", "invalid_utf8", "too_few_columns", "late", "erasure"):
        expected.add(("orders", kind))
    for kind in ("circle", "two_customers", "interval_reversed", "unmerged", "extract_again"):
        expected.add(("identity_map", kind))
    assert expected - set(shop.rows("select distinct table_name, kind from truth.dirt")) == set()


@pytest.mark.parametrize("table", TABLES)
def test_every_row_meets_the_fate_that_was_meant_for_it(shop: Loaded, table: str) -> None:
    different = shop.rows(
        f"""select checked.source_file, checked.source_row, dirt.kind, dirt.fate, checked.row_status
        from staging.stg_{table}_checked as checked
        full join (from truth.dirt where table_name = '{table}') as dirt
            on dirt.file = checked.source_file and dirt.row = checked.source_row
        where coalesce(dirt.fate, 'accepted') is distinct from coalesce(checked.row_status, 'erased')"""
    )
    # Lines that the reader rejects never come to staging; what is wrong with a chain of aliases is found behind it.
    elsewhere = {"too_many_columns", "too_few_columns", "invalid_utf8", "circle", "two_customers"}
    assert [row for row in different if row[2] not in elsewhere] == []


def test_quarantine_holds_the_planted_rows_with_column_and_reason_and_nothing_else(shop: Loaded) -> None:
    differences = shop.rows(
        """select coalesce(dirt.table_name, found.table_name), coalesce(dirt.file, found.source_file),
            coalesce(dirt.row, found.source_row), dirt.kind, dirt.reason, found.rejected_column, found.reason
        from (from truth.dirt where fate = 'quarantined') as dirt
        full join intermediate.int_rows_quarantined as found
            on found.table_name = dirt.table_name and found.source_file = dirt.file and found.source_row = dirt.row
        where dirt.kind is null or found.reason is null or not starts_with(found.reason, dirt.reason)
            or dirt.rejected_column <> found.rejected_column"""
    )
    assert differences == []


def test_the_quarantine_of_every_table_is_well_below_the_limit(shop: Loaded) -> None:
    shares = shop.rows(
        """select table_name, sum(quarantined_count), sum(rows_read), bool_and(rows_read = accepted_count
            + quarantined_count + copy_count + superseded_count + filtered_count + erased_count)
        from marts.quality.load_accounting group by table_name order by table_name"""
    )
    assert {row[0] for row in shares} == set(TABLES)
    assert all(adds_up and refused <= 0.015 * read for _, refused, read, adds_up in shares), shares


def test_orders_customers_and_revenue_are_the_true_ones(shop: Loaded) -> None:
    different = shop.rows(
        """select *
        from (select order_id, case when not is_guest_order then true_customer_id end as customer_id, amount_eur,
                status, cast(ordered_at as date) as business_date
            from truth.orders where is_accepted) as known
        full join marts.core.fct_orders as found on found.order_id = known.order_id
        where found.order_id is null or known.order_id is null or known.customer_id is distinct from found.customer_id
            or known.amount_eur <> found.gross_amount or known.status <> found.status
            or known.business_date <> found.business_date or found.is_identified <> (known.customer_id is not null)"""
    )
    assert different == []
    assert shop.rows("select sum(gross_amount) from marts.core.fct_orders") == shop.rows(
        "select sum(amount_eur) from truth.orders where is_accepted"
    )
    assert shop.rows("select count(*) from truth.orders where is_guest_order")[0][0] > 0


def test_foreign_orders_are_worth_what_exact_arithmetic_says(shop: Loaded) -> None:
    rates = {"DEM": Decimal("0.51129188"), "FRF": Decimal("0.15244902")}
    foreign = shop.rows("select currency, amount, amount_eur from truth.orders where currency <> 'EUR'")
    assert foreign
    for currency, amount, in_euro in foreign:
        assert (amount * rates[currency]).quantize(Decimal("0.01"), "ROUND_HALF_UP") == in_euro


def test_refunds_find_their_orders(shop: Loaded) -> None:
    different = shop.rows(
        """select *
        from (from truth.refunds where is_accepted) as known
        full join marts.core.fct_refunds as found on found.refund_id = known.refund_id
        where found.refund_id is null or known.refund_id is null or found.has_order <> known.is_linked
            or (known.is_linked and (found.order_id <> known.order_id or found.refund_amount <> known.amount_eur))"""
    )
    assert different == []
    assert shop.rows("select sum(refund_amount) from marts.core.fct_orders") == shop.rows(
        "select sum(amount_eur) from truth.refunds where is_linked"
    )


def test_merges_resolve_to_the_true_customer(shop: Loaded) -> None:
    wrong = shop.rows(
        """select merges.alias_id, merges.kind, found.customer_id
        from truth.merges as merges
        -- An alias has its person's number, and so has an alias of an alias.
        join truth.customers as customers on customers.customer_id = 'C' || substr(merges.alias_id, 2)
        left join intermediate.int_identities_resolved as found on found.alias_id = merges.alias_id
        where customers.erased_at is null and found.customer_id is distinct from
            case when merges.is_in_force then customers.customer_id end"""
    )
    assert wrong == []
    assert shop.rows("select count(*) from truth.merges where starts_with(alias_id, 'B')")[0][0] > 0


def test_erased_customers_are_nowhere(shop: Loaded) -> None:
    left = shop.rows(
        """select found.customer_id
        from marts.core.dim_customers as found
        join truth.customers as customers on substr(customers.customer_id, 2) = substr(found.customer_id, 2)
        where customers.erased_at is not null and not starts_with(found.customer_id, 'P')"""
    )
    assert left == []


def test_what_was_recorded_of_a_churn_is_what_was_so(shop: Loaded) -> None:
    recorded = shop.rows(
        """select interactions.interaction_type, json_extract_string(interactions.detail, '$.cause') = customers.cause,
            json_extract_string(interactions.detail, '$.initiator') = customers.initiator,
            interactions.occurred_at >= customers.dropped_out_at, count(*)
        from staging.stg_interactions as interactions
        left join truth.customers as customers on 'C' || substr(interactions.customer_id, 2) = customers.customer_id
        where interactions.interaction_type in ('account_closed', 'account_closed_by_company', 'exit_interview')
        group by all order by all"""
    )
    assert {row[0] for row in recorded} == {"account_closed", "account_closed_by_company", "exit_interview"}
    assert all(row[1:4] == (True, True, True) for row in recorded), recorded


def test_nobody_buys_before_acquisition_or_after_drop_out(shop: Loaded) -> None:
    late = shop.rows(
        """select orders.order_id
        from truth.orders as orders
        join truth.customers as customers on customers.customer_id = orders.true_customer_id
        where orders.ordered_at < customers.acquired_at or orders.ordered_at > customers.dropped_out_at"""
    )
    assert late == []


def test_tier_paths_are_those_of_the_accepted_orders(shop: Loaded) -> None:
    """Month by month in Python, from the marts."""
    members = shop.rows(
        """select customer_id, enrolled_at from truth.customers
        where enrolled_at is not null and erased_at is null order by customer_id"""
    )
    spent: dict[tuple[str, int], Decimal] = {}
    for customer, month, net in shop.rows(
        """select customer_id, year(business_date) * 12 + month(business_date), sum(net_amount)
        from marts.core.fct_orders where is_identified group by all"""
    ):
        spent[customer, month] = net
    paths: dict[str, list[tuple[int, str]]] = {}
    for customer, tier, start in shop.rows(
        "select customer_id, tier, year(valid_from) * 12 + month(valid_from) + cast(day(valid_from) > 1 as int) "
        "from truth.tier_paths order by customer_id, valid_from"
    ):
        paths.setdefault(customer, []).append((start, tier))
    last = shop.world.end.year * 12 + shop.world.end.month
    for customer, enrolled in members[:400]:
        for month in range(enrolled.year * 12 + enrolled.month + 1, last + 1):
            net = sum((spent.get((customer, before), Decimal(0)) for before in range(month - 12, month)), Decimal(0))
            expected = next((tier for tier, bound in reversed(TIERS.items()) if net >= bound), "bronze")
            actual = [tier for start, tier in paths[customer] if start <= month][-1]
            assert actual == expected, (customer, month, net)


def test_wallets_hold_what_was_spent_with_us(shop: Loaded) -> None:
    assert shop.rows(
        """select count(*) filter (own_amount > wallet_amount), count(*) filter (wallet_amount <= 0),
            count(*) > 0, count(*) = count(distinct (customer_id, period_start, category))
        from truth.wallets"""
    ) == [(0, 0, True, True)]
    own = shop.rows(
        """select * from (
            select customer_id, period_start_on, category,
                sum(spend_amount) filter (brand = 'Linden') as own_amount, sum(spend_amount) as wallet_amount
            from staging.stg_wallet_observations where provenance = 'panel' group by all) as found
        join truth.wallets as known on known.customer_id = found.customer_id
            and known.period_start = found.period_start_on and known.category = found.category
        where found.wallet_amount > known.wallet_amount + 0.05 or found.own_amount > known.own_amount"""
    )
    assert own == []


def test_no_model_compares_all_rows_with_all(shop: Loaded) -> None:
    """What DuckDB plans where a join has no equality, or an outer one has a condition on one side alone."""
    project = compiled(json.dumps(load_mapping(shop.mapping).dbt_vars(), default=str))
    built = [node for node in project.nodes if node.folder.startswith(("staging", "intermediate"))]
    plans = {node.name: shop.rows(f"explain {node.sql}")[0][1] for node in built}
    # With the one row of the data's bounds.
    assert [name for name, plan in plans.items() if "BLOCKWISE_NL_JOIN" in plan] == ["int_identities_in_force"]
