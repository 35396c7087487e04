"""Every kind of news by its name, one after another in one shop: after each, every table equals a rebuild."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from orchestration.lib.dbt import DbtPlace
from orchestration.lib.settings import PROJECT_ROOT
from tests.properties.test_increments import HEADERS, Warehouse, contents
from tests.support.project import SCHEMAS, compiled
from tests.support.shop import Shop


@dataclass(frozen=True)
class Step:
    """What comes, and a table that it must change; with '' it may change no mart but the accounts of `quality`.

    Attributes:
        files: lines of each file by name, without its header. A name that was there is replaced.
        mapping: what the mapping says from now on.
        seeds: lines added to seeds.
    """

    name: str
    changes: str
    files: Mapping[str, list[str]] = field(default_factory=dict)
    mapping: Mapping[str, Any] = field(default_factory=dict)
    seeds: Mapping[str, str] = field(default_factory=dict)


HISTORY = {
    "orders_1": [
        "1,a,2024-01-10,1000,",
        "2,b,2024-01-20,2000,",
        "3,c,2024-02-05,3000,",
        "4,a2,2024-02-07,400,",
        "5,a,2024-02-20,500,",
        "6,b,2024-03-01,600,",
        "7,,2024-03-02,700,",
        "8,d,2024-03-03,800,",
        "9,d,2024-03-04,900,",
        "10,c,2024-03-05,100,",
        "16,b2,2024-02-09,300,",
    ],
    "refunds_1": ["1,6,2024-03-02,100"],
    "visits_1": ["1,a,2024-01-15,visit,", "2,a2,2024-02-25,odd,", "3,,2024-03-03,complaint,", "4,z,2024-02-02,visit,"],
    "lines_1": ["1,1,shoes,1000", "2,1,hats,2000", "3,1,shoes,1500", "3,2,hats,1500"],
    "merges_2": ["b2,b,2024-06-01"],
    "people_1": ["a,web,", "b,shop,2024-03-01", "c,web,", "e,,2024-07-20", "z,,2024-02-01"],
}
STEPS = (
    Step("late order", "retention.retention_cohorts", {"orders_2": ["11,b,2024-01-02,150,"]}),
    Step("correction", "core.fct_orders", {"orders_3": ["5,a,2024-02-20,550,2024-02-21"]}),
    Step("refund months later", "retention.revenue_by_cohort", {"refunds_2": ["2,1,2024-05-20,1000"]}),
    Step("merge", "core.dim_customers", {"merges_1": ["a2,a,"]}),
    Step("un-merge", "core.dim_customers", {"merges_1": ["a2,a,2024-02-28"]}),
    Step("file delivered again", "", {"orders_1_again": HISTORY["orders_1"]}),
    Step("file corrected at its source", "core.fct_interactions", {"visits_1": HISTORY["visits_1"][1:]}),
    # It also ends the merge of b2, of which no row came.
    Step("a later month first", "core.dim_dates", {"orders_2024_06": ["12,c,2024-06-10,700,", "13,e,2024-06-11,50,"]}),
    Step(
        "the month before it after",
        "retention.repeat_purchase_curves",
        {"orders_2024_05": ["14,c,2024-05-10,70,", "15,e,2024-05-11,5,"], "visits_2024_05": ["5,c,2024-05-12,visit,"]},
    ),
    Step("empty load", "", {"orders_4": []}),
    Step("erasure", "core.dim_customers", {"erasures_1": ["c"]}),
    Step("changed var", "retention.retention_cohorts", mapping={"vars": {"segment_max_values": 1}}),
    Step("lines of a panel", "wallet.customer_wallets", {"lines_2": ["5,1,shoes,100", "6,1,hats,100", "6,2,hats,500"]}),
    Step("panel of who is not known", "core.dim_customers", {"wallets_1": ["q,shoes,us,100,", "b2,hats,them,250,1"]}),
    Step("other brands of our own", "wallet.customer_wallets", mapping={"vars": {"own_brands": ["them"]}}),
    Step(
        "changed seed",
        "core.fct_interactions",
        seeds={"interaction_types": "odd,visit,inbound,,true,false,false,false"},
    ),
    Step(
        "a programme of the enrolled",
        "tiers.tier_history",
        seeds={
            "tier_programs": "club,The club,enrolled,true",
            "tiers": "club,base,0,0\nclub,silver,1,0\nclub,gold,2,0",
            "tier_rules": "club,1,2024-01-01,silver,spend,5,rolling_months,2,1,5,one_down\n"
            "club,1,2024-01-01,gold,spend,8,calendar_year,,3,0,base",
            "tier_overrides": "club,z,gold,2024-03-01,2024-04-01,a prize",
            "points_rules": "club,1,2024-01-01,activity,2,,,,0.01,0.01,",
            "earn_rules": "club,1,order,,10\nclub,1,tier,gold,2",
        },
    ),
    Step("enrolment", "tiers.member_tiers", {"people_2": ["d,,2024-03-03"]}),
    Step("refund that ends a tier", "tiers.tier_history", {"refunds_3": ["3,8,2024-06-09,800", "4,9,2024-03-10,700"]}),
    Step("points are spent", "tiers.points_balances", {"visits_2": ["7,b,2024-06-05,points_redeemed,30"]}),
    Step("points are given", "tiers.points_ledger", {"visits_3": ["8,b,2024-06-05,points_adjusted,10"]}),
    Step("a refund of the day after the data", "core.fct_refunds", {"refunds_4": ["5,9,2024-06-12,900"]}),
    # The refund counts, points expire, and who was to enrol is there.
    Step("a later watermark", "tiers.points_ledger", {"visits_2024_08": ["6,z,2024-08-06,visit,"]}),
)


class GrownWarehouse(Warehouse):
    """Takes steps, with seeds of its own when one changes them."""

    root = PROJECT_ROOT

    def place(self) -> DbtPlace:
        return replace(super().place(), project_dir=self.root / "dbt_project")

    def take(self, step: Step) -> None:
        for name, lines in step.files.items():
            self.shop.write(f"{name}.csv", "\n".join([HEADERS[name.split("_")[0]], *lines]) + "\n")
        if step.mapping:
            self.map(**step.mapping)
        if step.seeds:
            # A project is parsed once: other seeds are another project.
            root = self.shop.folder / f"project_{step.name.replace(' ', '_')}"
            for folder in ("dbt_project", "seeds"):
                unwanted = shutil.ignore_patterns("target", "logs")
                shutil.copytree(self.root / folder, root / folder, ignore=unwanted)
            self.root = root
        for name, added in step.seeds.items():
            with (self.root / "seeds" / f"{name}.csv").open("a") as seed:
                seed.write(added + "\n")
        self.run()

    def rebuilt(self, folder: Path) -> Warehouse:
        """The same raw rows, and all else made of them by the models as they are without increments."""
        copy = Warehouse.__new__(Warehouse)
        copy.shop = Shop(folder)
        paths = copy.shop.settings
        paths.work_dir.mkdir(parents=True)
        shutil.copyfile(self.shop.settings.warehouse_path, paths.warehouse_path)
        with duckdb.connect(str(paths.warehouse_path)) as connection:
            for schema in SCHEMAS:
                connection.execute(f"drop schema {schema} cascade")
            connection.execute(f"set TimeZone = 'UTC'; attach '{paths.marts_path}' as marts")
            compiled(json.dumps(self.shop.mapping.dbt_vars(), default=str), self.root).build(connection)
        return copy


def test_every_kind_of_news_leaves_what_a_rebuild_gives(tmp_path: Path) -> None:
    warehouse = GrownWarehouse(tmp_path / "shop")
    warehouse.take(Step("history", "", HISTORY))
    before = contents(warehouse)
    for number, step in enumerate(STEPS):
        warehouse.take(step)
        after, anew = contents(warehouse), contents(warehouse.rebuilt(tmp_path / str(number)))
        assert after.keys() == anew.keys()
        assert {name for name in after if after[name] != anew[name]} == set(), step.name
        marts = ("core.", "retention.", "tiers.", "wallet.")
        changed = {name for name in after if name.startswith(marts) and after[name] != before[name]}
        assert step.changes in changed if step.changes else not changed, (step.name, changed)
        before = after
