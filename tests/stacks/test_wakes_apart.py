"""Trials beside each other begin so that what their wakes release is served one after another."""

import os
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest

from harness.model.doubt import release_budget
from harness.model.plan import Overrides, PlannedRun
from harness.model.scenario import Scenario
from harness.model.timeline import Burst, Suspend, Warm
from harness.model.trial import Trial
from harness.model.wake import profile
from harness.stacks.base import RunOptions
from harness.stacks.compose import ComposeStack
from harness.stacks.embedded import EmbeddedStack
from harness.stacks.quickness import MOST, SLOWEST_S, quickness
from harness.stacks.wakes_apart import APART_S, WakesApart, released_at_once

CORES = 2


def trials(requests: int, *, repeat: int = 4, over_s: float = 10.0) -> list[Trial]:
    story = Scenario(
        name="any",
        wake=(profile("neon", latency_s=8.0), profile("neon", latency_s=12.0)),
        pools=("5+0",),
        timeline=(Warm(), Suspend(), Burst(requests=requests, over_s=over_s)),
    )
    return list(PlannedRun(scenario=story, overrides=Overrides(repeat=repeat, control=False), real_time=True).trials)


def wakes(of: list[Trial], *, every_s: float) -> list[float]:
    """When the trials wake that could begin `every_s` apart."""
    apart, found = WakesApart(CORES), []
    for number, trial in enumerate(of):
        # Left open: all are under way.
        start_s = apart.of(trial).__enter__()
        found.append(start_s(number * every_s) + (trial.wake_latency_s or 0.0))
    return sorted(found)


def test_wakes_that_would_meet_are_half_a_second_apart() -> None:
    at_s = wakes(trials(100), every_s=0.0)
    assert len(at_s) == 8
    assert all(later - earlier >= APART_S - 1e-9 for earlier, later in pairwise(at_s))


def test_what_releases_more_has_the_machine_for_longer() -> None:
    many = trials(1000)
    takes_s = released_at_once(many[0]) / release_budget(CORES)
    assert takes_s == 2.5
    at_s = wakes(many, every_s=0.0)
    assert all(later - earlier >= takes_s - 1e-9 for earlier, later in pairwise(at_s))


def test_wakes_that_do_not_meet_begin_when_they_can() -> None:
    of = [trial for trial in trials(100) if trial.wake_latency_s == 8.0]
    assert wakes(of, every_s=1.0) == [8.0, 9.0, 10.0, 11.0]


def test_a_second_burst_and_a_control_are_not_moved() -> None:
    first, second = trials(100, repeat=1)
    apart = WakesApart(CORES)
    with apart.of(first) as start_s, apart.of(second) as other_s:
        assert start_s(0.0) == 0.0
        assert start_s(3.0) == 3.0
        assert other_s(0.0) == 0.0, "it wakes 4 s later"
    control = PlannedRun(scenario=first_story(), overrides=Overrides(), real_time=True).trials[-1]
    assert control.is_control
    with apart.of(control) as start_s:
        assert start_s(5.0) == 5.0


def test_a_place_is_free_again_when_its_trial_has_ended() -> None:
    one, _, other, *_ = trials(100)
    apart = WakesApart(CORES)
    with apart.of(one) as start_s:
        start_s(0.0)
    with apart.of(other) as start_s:
        assert start_s(0.0) == 0.0


def first_story() -> Scenario:
    return Scenario(
        name="any",
        wake=profile("neon", latency_s=8.0),
        pools=("5+0",),
        timeline=(Warm(), Suspend(), Burst(requests=10, over_s=2)),
    )


def test_the_run_says_what_it_decided_and_that_one_trial_is_too_large() -> None:
    stack = EmbeddedStack()
    budget = release_budget(os.cpu_count() or 1)
    large = trials(budget * 3, repeat=2)
    for options in (RunOptions(), RunOptions(parallel=1), RunOptions(parallel=2)):
        decided = stack.parallelism(large, options)
        assert f"this machine serves {budget} at once, so that trial is no measurement of its pool" in decided.why
    assert stack.parallelism(large, RunOptions()).trials == 1
    small = stack.parallelism(trials(20), RunOptions())
    assert "no measurement" not in small.why
    assert small.trials > 1
    assert small.why.endswith("bursts begin so that wakes do not meet")
    assert stack.parallelism(trials(20), RunOptions(parallel=1)).why == "as asked"


@pytest.mark.parametrize(
    ("burst", "released"),
    [
        (Burst(100, 10.0), 80),
        (Burst(100, 4.0), 100),
        (Burst(100, 20.0, "at_once"), 100),
        (Burst.at(1.0, 2.0, 9.0, 9.1, 30.0), 3),
    ],
)
def test_what_a_wake_of_8_s_releases_follows_from_how_requests_arrive(burst: Burst, released: int) -> None:
    story = replace(first_story(), timeline=(Warm(), Suspend(), burst))
    trial = PlannedRun(scenario=story, overrides=Overrides(control=False), real_time=True).trials[0]
    assert released_at_once(trial) == released


def test_a_quicker_machine_plays_more_trials_at_a_time_and_one_with_little_memory_fewer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plenty = SimpleNamespace(available=64 * 2**30)
    monkeypatch.setattr("harness.stacks.realtime.os.cpu_count", lambda: 2)
    monkeypatch.setattr("harness.stacks.realtime.psutil.virtual_memory", lambda: plenty)

    def decided(quick: float, requests: int = 20, repeat: int = 20) -> int:
        monkeypatch.setattr("harness.stacks.realtime.quickness", lambda: quick)
        return EmbeddedStack().parallelism(trials(requests, repeat=repeat), RunOptions()).trials

    assert [decided(quick) for quick in (1.0, 1.5, MOST)] == [6, 9, 16]
    # What wakes release is served one after the other: twice as quick, twice as many. One that is too large is alone.
    assert [decided(quick, requests=300) for quick in (1.0, 2.0)] == [4, 8]
    assert [decided(quick, requests=2000) for quick in (1.0, 2.0)] == [1, 1]
    assert decided(MOST, repeat=2) == len(trials(20, repeat=2))
    # In containers that was measured to be too much.
    alike = trials(20, repeat=20)
    assert ComposeStack().parallelism(alike, RunOptions()).trials == 6
    plenty.available = 1000 * 2**20
    assert decided(MOST) == 3
    plenty.available = 1
    assert decided(MOST) == 1


def test_how_quick_this_machine_is_lies_within_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    quickness.cache_clear()
    assert 1.0 <= quickness() <= MOST
    for took_s, quick in ((1.0, 1.0), (SLOWEST_S, 1.0), (SLOWEST_S / 2, 2.0), (1e-6, MOST)):
        quickness.cache_clear()
        monkeypatch.setattr("harness.stacks.quickness._took_s", lambda took_s=took_s: took_s)
        assert quickness() == pytest.approx(quick)
    quickness.cache_clear()
