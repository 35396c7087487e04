"""What all boosted trees share: their settings, and features as they take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestration.lib.forecast.histories import Floats

SETTINGS: Mapping[str, Any] = {
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.8,
    "lambda_l2": 1.0,
    # The same trees from the same rows, whatever the machine is and does meanwhile.
    "seed": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 2,
    "verbosity": -1,
}


def feature_matrix(samples: Mapping[str, NDArray[np.generic]], names: Sequence[str]) -> Floats:
    """Columns by name as customers × features; NaN where unknown."""
    return np.stack([np.ma.filled(np.ma.asarray(samples[name], dtype=float), np.nan) for name in names], axis=1)
