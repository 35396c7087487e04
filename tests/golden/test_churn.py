"""The churn marts of real data against NumPy's percentiles, and figures that were counted once by hand."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from itertools import pairwise

import duckdb
import numpy as np
import pytest


@pytest.fixture(scope="module")
def gaps(cdnow: duckdb.DuckDBPyConnection) -> dict[str, list[int]]:
    """Of every customer of CDNOW."""
    days: dict[str, list[date]] = defaultdict(list)
    for customer, day in cdnow.execute(
        """select distinct customer_id, business_date from core.fct_orders where is_valid_sale and is_identified
        order by all"""
    ).fetchall():
        days[customer].append(day)
    return {customer: [(b - a).days for a, b in pairwise(known)] for customer, known in days.items()}


def test_thresholds_are_the_percentiles_of_numpy(cdnow: duckdb.DuckDBPyConnection, gaps: dict[str, list[int]]) -> None:
    found = cdnow.execute("select customer_id, threshold_basis, gap_count, threshold_days from churn.customer_states")
    # CDNOW has no labels: everybody is of one segment.
    first = np.percentile([own[0] for own in gaps.values() if own], 90)
    everything = [gap for own in gaps.values() for gap in own]
    for customer, basis, count, threshold in found.fetchall():
        own = gaps[customer]
        assert count == len(own)
        if len(own) >= 3:
            expected, name = np.percentile(own, 90), "own_gaps"
        elif own:
            expected, name = 4 * (sum(own) + np.mean(everything)) / (len(own) + 1), "pooled_gaps"
        else:
            expected, name = first, "first_repeat"
        assert basis == name
        assert threshold == min(365, max(14, np.ceil(round(expected, 6)))), customer


def test_one_time_buyers_of_cdnow_are_all_at_risk(cdnow: duckdb.DuckDBPyConnection) -> None:
    """They came in the first quarter of 1997: 456 to 545 days of silence, between once and twice the usual 307."""
    rows = cdnow.execute(
        """select state, threshold_days, count(*) from churn.customer_states where gap_count = 0 group by all"""
    ).fetchall()
    assert rows == [("at_risk", 307, 12_054)]


def test_who_bought_in_the_first_quarter_is_in_some_state_at_the_end(cdnow: duckdb.DuckDBPyConnection) -> None:
    rows = cdnow.execute(
        """select base_count + churned_count, active_count + at_risk_count + lapsed_count + closed_count, new_count
        from churn.churn_monthly
        where segment_name = 'all' and initiator = 'all' and month in ('1997-01-01', '1998-06-01') order by month"""
    ).fetchall()
    assert rows[0] == (0, 7846, 7846)
    assert rows[1][1:] == (23_570, 0)
