"""Random small histories with closures, interviews and complaints: every churn mart equals the slow reference."""

from __future__ import annotations

import csv
import json
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.lib.settings import PROJECT_ROOT
from tests.properties import churn_reference
from tests.properties.churn_reference import Event
from tests.properties.test_marts import CUSTOMERS, FIRST_DAY, HISTORIES, History, assert_same, rows
from tests.support.project import compiled

# Small enough for histories of a few purchases to come to every branch.
VARIABLES: dict[str, Any] = {
    "churn_own_gaps": 3,
    "churn_segment_min_gaps": 3,
    "churn_gap_multiple": 2.3,
    "churn_prior_gaps": 2,
    "churn_floor_days": 7,
    "churn_cap_days": 120,
    "churn_complaint_days": 60,
}
CAUSES = [None, "moved", "better_elsewhere", "bundling", "sunspots"]
KINDS = [
    "account_closed", "account_closed_by_company", "exit_interview", "complaint", "complaint", "complaint_resolved",
]  # fmt: skip
EVENTS = st.lists(
    st.tuples(
        st.sampled_from([*CUSTOMERS, "alias_of_a"]),
        st.integers(0, 520),
        st.sampled_from(KINDS),
        st.sampled_from(CAUSES),
        st.sampled_from([None, "customer", "company", "external", "the weather"]),
        st.integers(0, 9),
    ),
    max_size=12,
)


def causes() -> dict[str, str]:
    with (PROJECT_ROOT / "seeds" / "churn_causes.csv").open() as file:
        return {row["cause"]: row["initiator"] for row in csv.DictReader(file)}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(history=HISTORIES, drawn=EVENTS)
def test_every_churn_mart_equals_the_reference(history: History, drawn: list[tuple[Any, ...]]) -> None:
    events, interactions = [], []
    for number, (customer, day, kind, cause, initiator, settles) in enumerate(drawn):
        on = min(FIRST_DAY + timedelta(days=day), history.data_end)
        names = settles if kind == "complaint_resolved" and settles < len(drawn) else None
        whose = "a" if customer == "alias_of_a" else customer
        events.append(Event(whose, on, kind, number, cause, initiator, names))
        detail = {"cause": cause, "initiator": initiator}
        interactions.append(
            {
                "interaction_id": f"event_{number}",
                "customer_id": customer,
                "occurred_at": datetime(on.year, on.month, on.day, 12) + timedelta(seconds=number),
                "interaction_type": kind,
                "related_id": None if names is None else f"event_{names}",
                # What is no JSON says nothing; it must not break anything.
                "detail": json.dumps(detail) if cause or initiator else "left {",
            }
        )
    purchases, data_end, labels = history.purchases, history.data_end, history.labels
    with history.warehouse(compiled(json.dumps(VARIABLES)), interactions) as connection:
        built = {
            table: rows(connection, f"churn.{table}")
            for table in ("customer_states", "churn_events", "reactivations", "customer_state_months", "churn_monthly")
        }
    found = churn_reference.silences(purchases, events, data_end, labels, churn_reference.rules(VARIABLES, causes()))
    assert_same(built["customer_states"], churn_reference.customer_states(found, data_end), ["customer_id"])
    assert_same(built["churn_events"], churn_reference.churn_events(found), ["customer_id", "churned_on"])
    assert_same(
        built["reactivations"], churn_reference.reactivations(found, purchases), ["customer_id", "reactivated_on"]
    )
    assert_same(
        built["customer_state_months"],
        churn_reference.customer_state_months(found, data_end),
        ["customer_id", "from_month"],
    )
    if found:
        assert_same(
            built["churn_monthly"],
            churn_reference.churn_monthly(found, purchases, data_end, labels),
            ["month", "segment_name", "segment_value", "initiator", "cause"],
        )
    else:
        assert built["churn_monthly"] == []
