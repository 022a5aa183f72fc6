"""A log's stretches: all of its requests, without a hole, few, and where its rate really changed."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.access_log import peak, stretches
from harness.access_log.cut import MOST_STRETCHES


def arrivals(*rates: tuple[float, float], seed: int = 1) -> list[float]:
    """Independent arrivals at these rates, each for so many seconds, from the first at 0 on."""
    draw, moments, begin_s = random.Random(seed), [], 0.0
    for per_s, for_s in rates:
        moments += [begin_s + draw.random() * for_s for _ in range(round(per_s * for_s))]
        begin_s += for_s
    moments.sort()
    return [moment_s - moments[0] for moment_s in moments]


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200))
def test_they_have_every_request_and_follow_one_another(moments_s: Sequence[float]) -> None:
    ordered = sorted(moments_s)
    from_first = [moment_s - ordered[0] for moment_s in ordered]
    found = stretches(from_first)
    assert sum(one.requests for one in found) == len(from_first)
    assert len(found) <= MOST_STRETCHES
    end_s = 0.0
    for one in found:
        assert one.start_s == end_s
        assert one.for_s > 0
        end_s += one.for_s
    assert from_first[-1] <= end_s < from_first[-1] + 2


@pytest.mark.parametrize("seed", range(10))
def test_arrivals_at_one_rate_are_one_stretch(seed: int) -> None:
    assert len(stretches(arrivals((1.2, 1_200), seed=seed))) == 1


@pytest.mark.parametrize("seed", range(5))
def test_a_spike_is_found_where_it_was(seed: int) -> None:
    found = stretches(arrivals((1.0, 600), (20.0, 30), (1.0, 570), seed=seed))
    highest = max(found, key=lambda one: one.per_s)
    assert abs(highest.start_s - 600) <= 10
    assert 20 <= highest.for_s <= 40
    assert highest.per_s == pytest.approx(20, rel=0.3)


def test_an_hour_without_requests_is_a_stretch_of_its_own() -> None:
    found = stretches(arrivals((1.0, 600), (0.0, 3_600), (1.0, 600)))
    assert [one.requests == 0 for one in found] == [False, True, False]


def test_a_day_in_which_every_hour_is_different_has_no_more_than_twelve() -> None:
    found = stretches(arrivals(*((0.1 * 1.8 ** (hour % 12), 3_600) for hour in range(24))))
    assert len(found) == MOST_STRETCHES


def test_the_peak_is_that_of_the_busiest_window() -> None:
    assert peak([0.0, 0.5, 0.9, 1.0, 5.0], 1.0) == 3
    assert peak([0.0, 0.5, 0.9, 1.0, 5.0], 60.0) == 5
    assert peak([0.0], 1.0) == 1
