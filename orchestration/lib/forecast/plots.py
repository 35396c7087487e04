"""A fitted model of purchases beside the customers that it was fitted on, as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestration.lib.forecast.purchase_fits import RepeatsByTenure, expected_repeats
from orchestration.lib.forecast.scoring import PURCHASE_MODELS, FittedModel


def write_repeats_page(path: Path, actual: RepeatsByTenure, models: Sequence[FittedModel]) -> None:
    """Mean repeats by weeks of tenure: what customers made, and E[X(T)] of the models of purchases that have a fit.

    The chart library, 5 MB, is written beside the page once.
    """
    import plotly.graph_objects as go

    figure = go.Figure(
        [
            go.Scatter(x=actual.weeks, y=actual.repeats, name="customers", mode="markers"),
            *(
                go.Scatter(x=actual.weeks, y=expected_repeats(model.fit, actual.weeks), name=model.family, mode="lines")
                for model in models
                if model.fit is not None and model.family in PURCHASE_MODELS
            ),
        ]
    )
    figure.update_layout(
        title="Purchase days after the first, by time since the first",
        xaxis_title="weeks since the first purchase day",
        yaxis_title="mean purchase days after the first",
        template="plotly_white",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.write_html(path, include_plotlyjs="directory", full_html=True)
