"""The NBD–Dirichlet: as published for toothpaste, recovered from what is simulated, and refused in words."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pytest

from orchestration.lib.forecast import brand_panels, dirichlet
from orchestration.lib.forecast.dirichlet import Dirichlet, NoFitError, Norms
from orchestration.lib.forecast.histories import Floats, Integers

# Toothpaste in Britain, first quarter of 1973 (Goodhardt, Ehrenberg and Chatfield 1984): the example of R's package
# NBDdirichlet, which comes to S = 1.29527957.
PENETRATION, PURCHASES = 0.56, 0.56 * 2.6
SHARES = np.array([0.25, 0.19, 0.10, 0.10, 0.09, 0.08, 0.03, 0.02])
BRAND_PENETRATIONS = np.array([0.20, 0.17, 0.09, 0.08, 0.08, 0.07, 0.03, 0.02])


def toothpaste() -> tuple[Dirichlet, Norms]:
    model = dirichlet.fit(PENETRATION, PURCHASES, SHARES, BRAND_PENETRATIONS)
    return model, dirichlet.norms(model, SHARES)


def test_parameters_of_toothpaste_are_the_published_ones() -> None:
    model, _ = toothpaste()
    assert (round(model.m, 2), round(model.k, 2)) == (1.46, 0.78)
    assert model.s == pytest.approx(1.298, abs=0.005)
    assert model.s == pytest.approx(1.29527957, abs=1e-4)


def test_norms_of_toothpaste_are_the_published_ones() -> None:
    """Penetrations, purchases of the brand and of the category per buyer, as the package prints them."""
    _, norms = toothpaste()
    of_category = norms.purchase_rate / norms.scr
    assert norms.penetration.round(2).tolist() == [0.20, 0.16, 0.09, 0.09, 0.08, 0.07, 0.03, 0.02]
    assert norms.purchase_rate.round(2).tolist() == [1.82, 1.76, 1.68, 1.68, 1.67, 1.66, 1.62, 1.61]
    assert of_category == pytest.approx([3.16, 3.22, 3.30, 3.30, 3.31, 3.32, 3.37, 3.38], abs=0.01)


def test_where_everybody_has_one_brand_it_is_all_that_they_buy() -> None:
    norms = dirichlet.norms(Dirichlet(PURCHASES, 0.78, 1e-6), SHARES)
    assert norms.sole == pytest.approx(1, abs=1e-4)
    assert norms.scr == pytest.approx(1, abs=1e-4)
    assert (norms.scr <= 1).all()
    assert norms.penetration == pytest.approx(SHARES * (1 - (1 + PURCHASES / 0.78) ** -0.78), rel=1e-4)


def test_where_all_choose_alike_a_brand_is_bought_at_random() -> None:
    """Purchases of a brand are then negative binomial with the same shape and a share of the mean."""
    norms = dirichlet.norms(Dirichlet(PURCHASES, 0.78, 1e7), SHARES)
    assert norms.penetration == pytest.approx(1 - (1 + PURCHASES * SHARES / 0.78) ** -0.78, rel=1e-5)


def simulated(customers: int, model: Dirichlet, shares: Floats, seed: int = 1) -> Integers:
    """Purchases of every brand by every customer, customers × brands."""
    random = np.random.default_rng(seed)
    purchases = random.poisson(random.gamma(model.k, model.m / model.k, customers))
    weights = random.gamma(model.s * shares, size=(customers, len(shares))) + 1e-300
    return random.multinomial(purchases, weights / weights.sum(axis=1, keepdims=True))


def category_of(bought: Integers) -> brand_panels.Category:
    return brand_panels.Category(
        panel_count=len(bought),
        buyer_count=int((bought.sum(axis=1) > 0).sum()),
        brand_buyers=(bought > 0).sum(axis=0),
        brand_purchases=bought.sum(axis=0),
    )


@pytest.mark.parametrize("s", [0.4, 1.3, 8.0])
def test_what_is_simulated_is_recovered(s: float) -> None:
    """Of 200,000 customers: parameters to 8 %, what brands of a thousand buyers do to 3 %."""
    truth = Dirichlet(1.5, 0.8, s)
    bought = simulated(200_000, truth, np.append(SHARES, 1 - SHARES.sum()))
    model, norms = category_of(bought).fit(100)
    assert (model.m, model.k) == pytest.approx((truth.m, truth.k), rel=0.02)
    assert model.s == pytest.approx(truth.s, rel=0.08)

    has_bought = bought > 0
    buyers, of_category = has_bought.sum(axis=0), bought.sum(axis=1)
    sole = (has_bought & (has_bought.sum(axis=1) == 1)[:, None]).sum(axis=0)
    requirements = bought.sum(axis=0) / (has_bought * of_category[:, None]).sum(axis=0)
    assert norms.penetration == pytest.approx(buyers / len(bought), rel=0.03)
    assert norms.purchase_rate == pytest.approx(bought.sum(axis=0) / buyers, rel=0.03)
    assert norms.scr == pytest.approx(requirements, rel=0.03)
    assert norms.sole == pytest.approx(sole / buyers, rel=0.03, abs=0.005)


def counts(*numbers: int) -> Integers:
    return np.array(numbers)


@pytest.mark.parametrize(
    ("category", "why"),
    [
        (brand_panels.Category(500, 200, counts(150, 90), None), "How often its brands were bought is not known."),
        (brand_panels.Category(500, 99, counts(60, 60), counts(99, 99)), "Fewer than 100 customers"),
        (brand_panels.Category(500, 200, counts(200), counts(300)), "Only one brand"),
        (brand_panels.Category(200, 200, counts(150, 90), counts(300, 90)), "Every customer bought it"),
        (brand_panels.Category(500, 400, counts(250, 150), counts(250, 150)), "more evenly over the customers"),
        (brand_panels.Category(500, 200, counts(200, 200), counts(300, 300)), "None of its brands"),
        (brand_panels.Category(500, 200, counts(100, 100), counts(300, 300)), "None of its brands"),
    ],
    ids=["no days", "too few", "one brand", "everybody", "evenly", "all buy both", "nobody buys both"],
)
def test_a_category_without_a_fit_says_why(category: brand_panels.Category, why: str) -> None:
    with pytest.raises(NoFitError, match=why):
        category.fit(fewest_buyers=100)


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """A panel whose tea can be fitted and whose hats cannot, and a survey."""
    with duckdb.connect() as connection:
        connection.execute(
            """create schema intermediate;
            create table intermediate.int_brand_panels_summed (
                period_start_on date, period_end_on date, category varchar, provenance varchar, brand varchar,
                panel_count bigint, category_buyer_count bigint, category_purchase_count bigint,
                buyer_count bigint, purchase_count bigint
            );
            insert into intermediate.int_brand_panels_summed
            select '2024-01-01', '2024-03-31', * from (values
                ('tea', 'panel', 'Ulme', 1000, 560, 1456, 320, 800),
                ('tea', 'panel', 'Linden', 1000, 560, 1456, 350, 656),
                ('hats', 'panel', 'Ulme', 1000, 20, 30, 20, 30),
                ('tea', 'survey', 'Linden', 400, 300, null, 300, null)
            )"""
        )
        yield connection


def test_norms_are_written_beside_their_brand_and_refusals_beside_their_category(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    for _ in range(2):
        outcome = brand_panels.fit(warehouse, fewest_buyers=100)
    assert (outcome.fitted_count, sorted(outcome.refused.values())) == (1, [1, 1])
    model, norms = brand_panels.Category(1000, 560, counts(350, 320), counts(656, 800)).fit(100)
    assert warehouse.execute(
        "select category, provenance, m, k, s, refusal is null from forecast.dirichlet_models order by all"
    ).fetchall() == [
        ("hats", "panel", None, None, None, False),
        ("tea", "panel", model.m, model.k, model.s, True),
        ("tea", "survey", None, None, None, False),
    ]
    assert warehouse.execute(
        "select brand, expected_penetration_rate, expected_purchase_rate, expected_scr_rate, expected_sole_rate "
        "from forecast.dirichlet_norms order by all"
    ).fetchall() == [
        (brand, norms.penetration[place], norms.purchase_rate[place], norms.scr[place], norms.sole[place])
        for place, brand in enumerate(["Linden", "Ulme"])
    ]


def test_without_a_panel_there_is_nothing_to_fit(warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute("delete from intermediate.int_brand_panels_summed")
    outcome = brand_panels.fit(warehouse, fewest_buyers=100)
    assert (outcome.fitted_count, outcome.refused.total()) == (0, 0)
    assert warehouse.execute("select count(*) from forecast.dirichlet_models").fetchall() == [(0,)]
