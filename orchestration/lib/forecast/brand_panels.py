"""The NBD–Dirichlet of every category and period of a panel, and the norms that follow for its brands."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import duckdb
import numpy as np

from orchestration.lib.forecast import dirichlet
from orchestration.lib.forecast.dirichlet import Dirichlet, NoFitError, Norms
from orchestration.lib.forecast.histories import Integers
from orchestration.lib.forecast.tables import PANEL_TABLES, replaced

_KEY = "period_start_on, period_end_on, category, provenance"
_MEASURES = ("m", "k", "s", "penetration", "purchase_rate", "scr", "sole")


@dataclass(frozen=True)
class Category:
    """What a panel bought of a category in a period, arrays of one element per brand."""

    panel_count: int
    buyer_count: int
    brand_buyers: Integers
    brand_purchases: Integers | None
    """None where they are not known."""

    def fit(self, fewest_buyers: int) -> tuple[Dirichlet, Norms]:
        """The model, and the norms of the brands.

        Raises:
            NoFitError: there is none.
        """
        if self.brand_purchases is None:
            raise NoFitError("How often its brands were bought is not known.")
        if self.buyer_count < fewest_buyers:
            raise NoFitError(f"Fewer than {fewest_buyers} customers bought it (variable brand_panel_min_buyers).")
        purchases = self.brand_purchases.sum()
        shares = self.brand_purchases / purchases
        model = dirichlet.fit(
            penetration=self.buyer_count / self.panel_count,
            purchases=float(purchases / self.panel_count),
            shares=shares,
            brand_penetrations=self.brand_buyers / self.panel_count,
        )
        return model, dirichlet.norms(model, shares)


@dataclass(frozen=True)
class Outcome:
    """What became of the categories."""

    fitted_count: int
    refused: Counter[str]
    """How many were refused, by reason."""


def fit(connection: duckdb.DuckDBPyConnection, fewest_buyers: int) -> Outcome:
    """Replaces `forecast.dirichlet_models` and `forecast.dirichlet_norms`, from `intermediate.int_brand_panels_summed`.

    Args:
        connection: to the warehouse.
        fewest_buyers: a category with fewer is not fitted.
    """
    # What is found is written back by the place in which its brand was read.
    connection.execute(
        f"""create or replace temp table panel_brands as
        select *, row_number() over (order by {_KEY}, brand) - 1 as place from intermediate.int_brand_panels_summed"""
    )
    columns = connection.execute(
        f"""select panel_count, category_buyer_count, buyer_count, coalesce(purchase_count, 0) as purchase_count,
            category_purchase_count is not null as is_counted, count(*) over (partition by {_KEY}) as brand_count
        from panel_brands order by place"""
    ).fetchnumpy()
    brand_count = len(columns["brand_count"])
    values = np.full((len(_MEASURES), brand_count), np.nan)
    refusals = np.full(brand_count, None, dtype=object)
    fitted_count, refused, first = 0, Counter[str](), 0
    while first < brand_count:
        brands = slice(first, first := first + columns["brand_count"][first])
        category = Category(
            panel_count=columns["panel_count"][brands][0],
            buyer_count=columns["category_buyer_count"][brands][0],
            brand_buyers=columns["buyer_count"][brands],
            brand_purchases=columns["purchase_count"][brands] if columns["is_counted"][brands][0] else None,
        )
        try:
            model, norms = category.fit(fewest_buyers)
        except NoFitError as error:
            refusals[brands] = str(error)
            refused[str(error)] += 1
        else:
            values[:3, brands] = np.array([[model.m], [model.k], [model.s]])
            values[3:, brands] = norms.penetration, norms.purchase_rate, norms.scr, norms.sole
            fitted_count += 1
    connection.register(
        "found", {"place": np.arange(brand_count), "refusal": refusals, **dict(zip(_MEASURES, values, strict=True))}
    )
    with replaced(connection, PANEL_TABLES):
        connection.execute(
            f"""insert into forecast.dirichlet_models
            select distinct {_KEY}, m, k, s, refusal from panel_brands inner join found using (place) order by all;
            insert into forecast.dirichlet_norms
            select {_KEY}, brand, penetration, purchase_rate, scr, sole
            from panel_brands inner join found using (place)
            where refusal is null order by place"""
        )
    connection.unregister("found")
    connection.execute("drop table panel_brands")
    return Outcome(fitted_count, refused)
