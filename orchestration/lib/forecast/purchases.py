"""What models of purchases share."""

from __future__ import annotations

from dataclasses import dataclass

from orchestration.lib.forecast.histories import Floats


@dataclass(frozen=True)
class Nodes:
    """A quadrature rule that SQL sums over, one array element per node."""

    value: Floats
    """Where: the drop-out probability p of BG/NBD, the place in (0, 1) of Pareto/NBD."""
    weight: Floats
    log_survival: Floats
    """ln(1 − value): (1 − p)^x without loss where p is small."""
