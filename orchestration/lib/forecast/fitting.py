"""Maximum likelihood with convergence that is checked, not hoped for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from orchestration.lib.errors import UserError
from orchestration.lib.forecast.histories import Floats

Likelihood = Callable[[Floats], tuple[float, Floats]]
"""Parameters → log-likelihood of all customers, and its gradient with respect to the parameters."""

LARGEST = 1e4
"""A parameter beyond this (or below its inverse) is on its way to infinity: customers do not differ in what it says."""
_STEP = 1e-4
_ITERATIONS = 30
_GRADIENT = 1e-9
"""Largest derivative of the mean log-likelihood by the logarithm of a parameter at a maximum."""
_CURVATURE = 1e-7
"""Smallest curvature at a maximum, of the same function: below it the parameters are not determined by the data."""


class FitRefused(UserError):
    """The likelihood has no maximum that could be trusted; says of which model, why, and what to do."""


@dataclass(frozen=True)
class Fit:
    """Parameters of one model at the maximum of its likelihood."""

    family: str
    parameters: Mapping[str, float]
    log_likelihood: float
    standard_errors: Mapping[str, float]
    """From the inverse of the observed information."""
    customer_count: int

    def __getitem__(self, name: str) -> float:
        return self.parameters[name]


def maximise(
    family: str,
    names: Sequence[str],
    likelihood: Likelihood,
    customer_count: float,
    starts: Sequence[Sequence[float]],
    approach: Likelihood | None = None,
) -> Fit:
    """The maximum over positive parameters, from the best of several starts.

    Args:
        family: the model's name, for messages.
        names: of the parameters, in their order in `likelihood`.
        likelihood: the function to be maximised; its gradient must be exact.
        customer_count: what the likelihood sums over.
        starts: where to begin.
        approach: a cheaper likelihood that has its maximum near by, for the way from the starts.

    Raises:
        FitRefused: no customers; no convergence; a parameter on its way to 0 or infinity; a flat likelihood.
    """
    if customer_count < 1:
        raise refused(family, "there is no customer with the history that it needs")

    def mean_loss(function: Likelihood, logarithms: Floats) -> tuple[float, Floats]:
        parameters = np.exp(logarithms)
        value, gradient = function(parameters)
        if not np.isfinite(value):
            return np.inf, np.zeros_like(logarithms)
        return -value / customer_count, -gradient * parameters / customer_count

    def descend(function: Likelihood, start: Floats) -> tuple[float, Floats]:
        bound = np.log(LARGEST) + 0.5
        found = minimize(
            lambda logarithms: mean_loss(function, logarithms), start, jac=True, method="L-BFGS-B",
            bounds=[(-bound, bound)] * len(names), options={"maxiter": 1000, "gtol": 1e-7, "ftol": 1e-13},
        )  # fmt: skip
        return float(found.fun), np.asarray(found.x)

    def climb(function: Likelihood) -> Floats:
        return min((descend(function, np.log(start)) for start in starts), key=lambda found: found[0])[1]

    def curvature(function: Likelihood, at: Floats) -> Floats | None:
        """The Hessian, where it is that of a minimum inside the bounds."""
        hessian = _hessian(lambda logarithms: mean_loss(function, logarithms)[1], at)
        is_minimum = _extreme(at) is None and np.linalg.eigvalsh(hessian).min() > _CURVATURE
        return hessian if is_minimum else None

    near = approach or likelihood
    best = climb(near)
    hessian = curvature(near, best)
    if hessian is None:
        near, best = likelihood, climb(likelihood)
    for iteration in range(_ITERATIONS):
        # Where the Hessian of the start does not lead there in a few steps, that of where they led.
        if hessian is None or iteration % 5 == 4:
            best = descend(likelihood, best)[1]
            hessian = curvature(likelihood, best)
            if (extreme := _extreme(best)) is not None:
                where = "infinity" if best[extreme] > 0 else "0"
                raise refused(family, f"{names[extreme]} runs to {where}: {_shown(names, best)}")
            if hessian is None:
                raise refused(family, f"its likelihood is flat around {_shown(names, best)}")
        gradient = mean_loss(likelihood, best)[1]
        if np.abs(gradient).max() < _GRADIENT:
            break
        step = np.linalg.solve(hessian, gradient)
        best = best - step / max(1.0, float(np.abs(step).max()))
    # A coarse likelihood that led here has the curvature of the fine one to a percent.
    hessian = curvature(near, best)
    loss, gradient = mean_loss(likelihood, best)
    if hessian is None or np.abs(gradient).max() >= _GRADIENT:
        raise refused(family, f"it did not converge; it came to {_shown(names, best)}")
    parameters = np.exp(best)
    # Of the logarithms; a parameter's own error follows by its derivative.
    errors = np.sqrt(np.diag(np.linalg.inv(hessian)) / customer_count) * parameters
    return Fit(
        family=family,
        parameters=dict(zip(names, parameters.tolist(), strict=True)),
        log_likelihood=-float(loss) * customer_count,
        standard_errors=dict(zip(names, errors.tolist(), strict=True)),
        customer_count=round(customer_count),
    )


def dot(left: NDArray[Any], right: NDArray[Any]) -> float:
    """Σ left · right, without BLAS: its threads cost five times the sum itself on a busy machine."""
    return float(np.einsum("i,i->", left, right))


def running(terms: Floats) -> Floats:
    """Sums over 0 … x − 1 for x = 0 … the number of terms."""
    return np.concatenate(([0.0], np.cumsum(terms)))


def _hessian(gradient: Callable[[Floats], Floats], at: Floats) -> Floats:
    """By central differences of the exact gradient, made symmetric."""
    rows = [(gradient(at + step) - gradient(at - step)) / (2 * _STEP) for step in _STEP * np.eye(len(at))]
    hessian = np.stack(rows)
    return np.asarray((hessian + hessian.T) / 2)


def _extreme(logarithms: Floats) -> int | None:
    """The place of the parameter furthest beyond `LARGEST`, if any."""
    furthest = int(np.abs(logarithms).argmax())
    return furthest if abs(logarithms[furthest]) >= np.log(LARGEST) else None


def refused(family: str, why: str) -> FitRefused:
    """The error that says so, with what can be done."""
    return FitRefused(
        f"The model {family} has no maximum of its likelihood on these customers: {why}.",
        "It needs customers who differ in how often they buy and in when they stop, over a time several times as long "
        "as their gaps. Give it a longer history, or look for ids that are not customers.",
    )


def _shown(names: Sequence[str], logarithms: Floats) -> str:
    return ", ".join(f"{name} = {value:.4g}" for name, value in zip(names, np.exp(logarithms), strict=True))
