"""The churn marts against a world in which it is known who left, when and why, and when the others would come again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from orchestration.lib.forecast import pareto_nbd
from orchestration.lib.forecast.histories import Histories
from orchestration.lib.forecast.quality import calibration
from orchestration.synthetic.world import World
from tests.integration.test_synthetic import Loaded, loaded


# Thresholds were chosen on the first.
@pytest.fixture(scope="module", params=[11, 7])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    made = World(customers=8000, months=36, seed=request.param, layout="parquet")
    with (built := loaded(made, tmp_path_factory.mktemp("world"), marts=("core", "churn"))).connection:
        yield built


def test_cause_and_initiator_are_the_true_ones_where_they_were_told(world: Loaded) -> None:
    rows = world.rows("""
        select count(*), count(*) filter (where events.cause = people.cause and events.initiator = people.initiator)
        from marts.churn.churn_events as events
        inner join truth.customers as people using (customer_id)
        where events.initiator <> 'unknown'
    """)
    told, right = rows[0]
    assert told > 1000
    assert right == told


def test_who_closed_has_churned_on_that_day(world: Loaded) -> None:
    """Of customers whose closure was delivered and accepted."""
    rows = world.rows("""
        select count(*), count(*) filter (where events.churned_on = interactions.business_date)
        from truth.customers as people
        inner join marts.core.fct_interactions as interactions
            on people.customer_id = interactions.customer_id and interactions.is_closure
        inner join marts.churn.customer_states as states on people.customer_id = states.customer_id
        left join marts.churn.churn_events as events
            on people.customer_id = events.customer_id and events.churn_kind = 'closure'
        -- A lapse that came before the closure keeps its date.
        where interactions.business_date < states.lapsed_from_on
    """)
    closed, right = rows[0]
    assert closed > 500
    assert right == closed


def test_most_who_left_in_anger_had_an_open_complaint(world: Loaded) -> None:
    rows = world.rows("""
        select people.has_left_after_complaint, avg(events.has_open_complaint::int)
        from marts.churn.churn_events as events
        inner join truth.customers as people using (customer_id)
        where events.reactivated_on is null and people.dropped_out_at is not null
        group by all
        order by all
    """)
    (_, others), (_, angry) = rows
    assert others < 0.05
    assert angry > 0.8


def test_thresholds_cover_nine_of_ten_true_next_gaps_of_the_living(world: Loaded) -> None:
    """The gap after each purchase day of the last half-year, in the data or beyond, of customers who had not left.

    Gaps of less than the threshold are not kept, so that what is kept is what may have missed.
    """
    [(covered, count)] = world.rows("""
        select
            1 - avg(coalesce(silences.true_end - silences.began_on > silences.threshold_days, is_endless, false)::int),
            count(*)
        from intermediate.int_purchase_days as days
        inner join truth.customers as people on days.customer_id = people.customer_id and people.dropped_out_at is null
        left join (
            select judged.*, coalesce(judged.ended_on, living.next_order_at::date) as true_end,
                -- No order within a year beyond the data: longer than any threshold.
                judged.ended_on is null and living.next_order_at is null as is_endless
            from intermediate.int_silences_judged as judged
            inner join truth.customers as living on judged.customer_id = living.customer_id
        ) as silences on days.customer_id = silences.customer_id and days.purchased_on = silences.began_on
        where days.purchased_on > (select data_end_on - 182 from intermediate.int_data_window)
    """)
    assert count > 10_000
    assert covered == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("seed", [11, 7])
def test_p_alive_is_the_share_of_those_who_had_not_left(seed: int, tmp_path: Path) -> None:
    """By deciles of P(alive), within 3 points. The world ends in September, when people buy as often as on average: at
    Christmas, when a silence means more, a model without seasons is up to 6 points off.
    """
    made = World(customers=12_000, months=33, seed=seed, layout="parquet")
    with loaded(made, tmp_path, marts=()).connection as connection:
        known = """
            select histories.*, 1 as customer_count,
                coalesce(cast(people.dropped_out_at as date) > histories.as_of_on, true) as is_alive
            from intermediate.int_forecast_histories as histories
            inner join truth.customers as people using (customer_id)
            where histories.is_current
        """
        fit = pareto_nbd.fit(Histories.read(connection, f"({known})"))
        rows = connection.execute(
            f"select repeat_count, span_days, tenure_days, is_alive::double from ({known})"
        ).fetchnumpy()
    *history, alive = (np.asarray(column) for column in rows.values())
    everyone = np.ones(len(alive))
    found = pareto_nbd.probability_alive(fit, Histories(*history, everyone))
    bins = calibration(found, alive, everyone)
    assert len(bins) == 10
    assert [(bin.forecast, bin.actual) for bin in bins if abs(bin.forecast - bin.actual) > 0.03] == []
