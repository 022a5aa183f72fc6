"""Keeps the wakes of trials that are played beside each other apart, so that none of them shows another one's queue.

What a wake releases is served at this machine's own pace. A trial's first burst therefore begins a little later where
its wake would meet another trial's; the burst, its arrivals and its wake stay the same.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from harness.model.arrivals import Pattern
from harness.model.doubt import RELEASE_WINDOW_S, release_budget
from harness.model.timeline import Burst
from harness.model.trial import Trial

APART_S = RELEASE_WINDOW_S + 0.1
"""A wake can be a little late."""

StartS: TypeAlias = Callable[[float], float]
"""When a burst is to start that could start at this moment of the monotonic clock, or later."""


def released_at_once(trial: Trial) -> int:
    """About how many requests wait when the compute wakes."""
    if trial.wake_latency_s is None:
        return 0
    return max(_within(burst, trial.wake_latency_s) for burst in trial.story.bursts)


def _within(burst: Burst, seconds: float) -> int:
    """About how many of its requests arrive within so many seconds of the first."""
    match burst.arrivals:
        case Pattern.AT_ONCE:
            return burst.requests
        case Pattern.GIVEN:
            return sum(moment_s <= burst.given_s[0] + seconds for moment_s in burst.given_s)
        case _:
            return round(burst.requests * min(1.0, seconds / burst.over_s))


def at_once(could_start_s: float) -> float:
    """A `StartS` where one trial is played after another."""
    return could_start_s


class WakesApart:
    """The wakes that are planned on this machine."""

    def __init__(self, cores: int) -> None:
        self._budget = release_budget(cores)
        self._planned: dict[int, tuple[float, float]] = {}
        """By trial: from when to when its wake has the machine for itself."""

    @contextmanager
    def of(self, trial: Trial) -> Iterator[StartS]:
        """While inside, the trial's wake has its place, from the moment that it was asked for."""

        def start_s(could_start_s: float) -> float:
            if trial.number in self._planned:
                return could_start_s
            return self._place(trial, could_start_s)

        try:
            yield start_s
        finally:
            self._planned.pop(trial.number, None)

    def _place(self, trial: Trial, could_start_s: float) -> float:
        if (released := released_at_once(trial)) == 0:
            return could_start_s
        latency_s = trial.wake_latency_s or 0.0
        takes_s = max(APART_S, released / self._budget)
        woken_s = could_start_s + latency_s
        for began_s, ended_s in sorted(self._planned.values()):
            if woken_s < ended_s and began_s < woken_s + takes_s:
                woken_s = ended_s
        self._planned[trial.number] = (woken_s, woken_s + takes_s)
        return woken_s - latency_s
