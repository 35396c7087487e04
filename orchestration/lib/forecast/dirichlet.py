"""The NBD–Dirichlet: how often customers buy a category, and which of its brands, as if brands differed in size alone.

How often is negative binomial over customers, and which brands Dirichlet-multinomial, so that three parameters and a
brand's share say how many buy it, how often, and what else. Goodhardt, Ehrenberg and Chatfield, "The Dirichlet: a
comprehensive model of buying behaviour", Journal of the Royal Statistical Society A 147 (1984).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestration.lib.forecast.histories import Floats, Integers

_TAIL = 1e-9
"""Probability of the numbers of purchases that sums leave out."""
_NEAR = 1e-6
"""What lies so near to a bound lies on it."""
_LARGEST = 30
"""Customers with a larger S choose as good as alike. So has it R's package NBDdirichlet."""


class NoFitError(ValueError):
    """The category is none that the model describes; says why."""


@dataclass(frozen=True)
class Dirichlet:
    """The parameters for one category and a length of time."""

    m: float
    """Purchases of the category per customer, whether they buy it or not."""
    k: float
    """Shape of how customers differ in it: the less, the more they do."""
    s: float
    """Sum of the parameters of brand choice: 0 where everybody has one brand, infinite where all choose alike."""


@dataclass(frozen=True)
class Norms:
    """What is expected of each brand, one array element each."""

    penetration: Floats
    """Buyers of the brand ÷ customers."""
    purchase_rate: Floats
    """Purchases of the brand per buyer of it."""
    scr: Floats
    """Share of category requirements: purchases of the brand ÷ purchases of the category by its buyers."""
    sole: Floats
    """Buyers who buy no other brand of the category ÷ buyers of the brand."""


@dataclass(frozen=True)
class _Category:
    """How often customers buy the category: so many times with that probability."""

    times: Integers
    probability: Floats

    @classmethod
    def of(cls, m: float, k: float) -> _Category:
        from scipy.stats import nbinom

        chance = k / (k + m)
        times = np.arange(int(nbinom.isf(_TAIL, k, chance)) + 1)
        return cls(times, nbinom.pmf(times, k, chance))

    def all_of(self, part: Floats, s: Floats | float) -> Floats:
        """Probability that all of so many purchases are of brands with this part of `s`: brands × times."""
        shape = np.broadcast_to(s, part.shape)[:, None]
        earlier = self.times[:-1]
        each = (part[:, None] + earlier) / (shape + earlier)
        return np.concatenate((np.ones((len(part), 1)), np.cumprod(each, axis=1)), axis=1)

    def penetration(self, shares: Floats, s: Floats | float) -> Floats:
        """Share of the customers who buy each brand."""
        return _sums(1 - self.all_of(s * (1 - shares), s), self.probability)


def fit(penetration: float, purchases: float, shares: Floats, brand_penetrations: Floats) -> Dirichlet:
    """M and K from who buys the category and how often, S from who buys its brands.

    M is the mean, K makes those who buy nothing as many as they are, and S is the mean, by share, of those that give
    each brand the buyers it has. As in R's package NBDdirichlet, outliers are left out; here also brands that have
    more or fewer buyers than any S would give them.

    Args:
        penetration: b, buyers of the category ÷ customers.
        purchases: M, purchases of the category per customer.
        shares: of the purchases of the category, one array element per brand.
        brand_penetrations: buyers ÷ customers, of each.

    Raises:
        NoFitError: there are no such parameters.
    """
    if len(shares) < 2:
        raise NoFitError("Only one brand was bought.")
    k = _shape(penetration, purchases)
    return Dirichlet(purchases, k, _diversity(purchases, k, shares, brand_penetrations))


def norms(model: Dirichlet, shares: Floats) -> Norms:
    """What the model expects of brands with these shares of the purchases."""
    category = _Category.of(model.m, model.k)
    purchases = category.times * category.probability
    has_bought = 1 - category.all_of(model.s * (1 - shares), model.s)
    penetration = _sums(has_bought, category.probability)
    of_brand = shares * purchases.sum()
    sole = _sums(category.all_of(model.s * shares, model.s), category.probability) - category.probability[0]
    return Norms(penetration, of_brand / penetration, of_brand / _sums(has_bought, purchases), sole / penetration)


def _shape(penetration: float, purchases: float) -> float:
    """K, for which (1 + M ÷ K)^−K of the customers buy nothing."""
    from scipy.optimize import brentq

    if penetration >= 1:
        raise NoFitError("Every customer bought it, so that nothing is known of those who do not.")
    nothing = -np.log1p(-penetration)
    if purchases <= nothing * (1 + _NEAR):
        raise NoFitError("Its purchases are spread more evenly over the customers than by chance.")
    # x − x² ÷ 2 ≤ ln(1 + x) ≤ √x.
    bounds = nothing**2 / purchases, purchases**2 / (2 * (purchases - nothing))
    return float(brentq(lambda k: k * np.log1p(purchases / k) - nothing, *bounds))


def _diversity(purchases: float, k: float, shares: Floats, observed: Floats) -> float:
    """S, by what each brand says of it."""
    from scipy.optimize.elementwise import find_root

    category = _Category.of(purchases, k)

    def excess(loyalty: Floats, share: Floats, target: Floats) -> Floats:
        return category.penetration(share, 1 / loyalty - 1) - target

    # From where all choose alike, with most buyers of each brand, to where everybody has one brand, with fewest.
    alike, loyal = np.full(len(shares), _NEAR), np.full(len(shares), 1 - _NEAR)
    is_between = (excess(alike, shares, observed) > 0) & (excess(loyal, shares, observed) < 0)
    if not is_between.any():
        raise NoFitError("None of its brands has as many buyers as customers who differ in their choice would give it.")
    shares, observed = shares[is_between], observed[is_between]
    loyalty = find_root(excess, (alike[is_between], loyal[is_between]), args=(shares, observed)).x
    by_brand = np.minimum(1 / loyalty - 1, _LARGEST)
    is_typical = _typical(by_brand)
    return float(np.average(by_brand[is_typical], weights=shares[is_typical]))


def _typical(values: Floats) -> NDArray[np.bool_]:
    """Which are no outliers of a box plot below, and not beyond the notch around its median above."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    least, most = low - 1.5 * (high - low), middle + 1.58 * (high - low) / np.sqrt(len(values))
    return np.asarray((least <= values) & (values <= most))


def _sums(rows: Floats, weights: Floats) -> Floats:
    """Of each row, without BLAS, as `fitting.dot`."""
    return np.asarray(np.einsum("ij,j->i", rows, weights))
