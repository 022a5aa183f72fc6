"""The simulated stack reproduces what queueing theory has closed forms for."""

import math

import pytest

from benchmarks.queueing_theory import erlang_c, lost_to_impatience, served_after_wake, wakes_per_s
from benchmarks.theory import BURSTS, BURSTS_WITH_OVERFLOW, PATIENCES, SLEEPERS, AtOnce, Patience, Sleeper, interval


@pytest.mark.parametrize("burst", BURSTS, ids=str)
def test_a_burst_into_a_wake_is_served_exactly_as_the_formula_says(burst: AtOnce) -> None:
    assert burst.measured() == burst.expected()


@pytest.mark.parametrize("burst", BURSTS_WITH_OVERFLOW, ids=str)
def test_with_overflow_the_real_pool_serves_fewer_because_overflow_is_closed_as_it_comes_back(burst: AtOnce) -> None:
    first = burst.pool_size + burst.max_overflow
    waves = math.floor((burst.pool_timeout_s - burst.wake_latency_s) / burst.service_s)
    assert first + burst.pool_size * waves <= burst.measured() < burst.expected()


@pytest.mark.timeout(400)  # tens of thousands of requests: with other work beside it, more than the usual limit
def test_impatience_costs_what_boots_and_tijms_say() -> None:
    # Few requests a seed here; `make theory` has ten times as many. Of 24 cells one or two lie outside 95 %.
    inside = 0
    for cell in PATIENCES:
        low, high = interval(cell.measured(requests=300, seeds=8))
        # Few requests are lost in a quiet cell: an interval of nothing has no width.
        inside += low - 0.005 <= cell.expected() <= high + 0.005
    assert len(PATIENCES) >= 20
    assert inside >= len(PATIENCES) - 2


@pytest.mark.parametrize("sleeper", SLEEPERS[1:4], ids=lambda one: f"{1 / one.arrivals_per_s:.0f} s")
def test_a_quiet_service_wakes_as_often_as_the_formula_says(sleeper: Sleeper) -> None:
    low, high = interval(sleeper.measured(seeds=8))
    assert low - 1 <= sleeper.expected() <= high + 1


def test_the_formulas_know_their_limits() -> None:
    # One server: the probability to wait is the load. A queue of great patience loses nobody.
    assert erlang_c(1, 0.7) == pytest.approx(0.7)
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)
    assert lost_to_impatience(servers=2, arrivals_per_s=10, service_s=0.1, patience_s=100) == pytest.approx(
        0, abs=1e-12
    )
    assert Patience(1, 0.5, 0.0).expected() == pytest.approx(0.5 * 0.5 / (1 - 0.5 * 0.5))
    assert served_after_wake(100, capacity=5, wake_latency_s=8, pool_timeout_s=5, service_s=0.01) == 5
    # About 106 wakes a day at the worst rate, where requests come as often as the compute suspends.
    worst = wakes_per_s(arrivals_per_s=1 / 300, suspend_after_s=300, wake_latency_s=0, service_s=1e-9)
    assert 86_400 * worst == pytest.approx(86_400 / (math.e * 300), rel=1e-3)
