"""What models of purchases share."""

from __future__ import annotations

from dataclasses import dataclass

from orchestration.lib.forecast.histories import Floats, Integers


@dataclass(frozen=True)
class Nodes:
    """A quadrature rule that SQL sums over, one array element per node."""

    repeats: Integers
    """x of the histories that the node is for."""
    from_tenure_days: Integers
    """Least T of the histories that the node is for."""
    value: Floats
    """Where: the drop-out probability p of BG/NBD, the place in (0, 1) of Pareto/NBD."""
    weight: Floats
    """The weights of one pair of x and T sum to 1."""
