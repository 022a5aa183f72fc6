"""A trial: one scenario × one pool configuration × one wake latency × one seed; and the trials of a run."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.model.errors import UserError
from harness.model.limits import LARGEST_SEED, MOST_REQUESTS_OF_A_RUN, MOST_TRIALS, check_whole
from harness.model.pool import PoolConfiguration
from harness.model.scenario import Scenario
from harness.model.wake import WakeProfile

WAKES = 100
"""Wake latencies drawn in advance, one a wake."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial of a run. A control meets the same arrivals with the compute awake.

    What it is called is worked out once: a comparison of thousands of trials asks often.
    """

    number: int
    scenario: Scenario
    pool: PoolConfiguration
    wake: WakeProfile | None
    """None: a control."""
    seed: int

    @property
    def is_control(self) -> bool:
        return self.wake is None

    @cached_property
    def wake_latency_s(self) -> float | None:
        """The latency of the first wake, in seconds; None for a control."""
        return None if self.wake is None else self.wake.latencies_s(self.seed, wakes=1)[0]

    def wake_latencies_s(self) -> list[float]:
        """The latencies of this trial's wakes, in order; the last goes on for every wake after. Empty: a control."""
        return [] if self.wake is None else self.wake.latencies_s(self.seed, wakes=WAKES)

    def burst_seed(self, number: int) -> int:
        """What the arrivals of the timeline's burst of this number (from 0) are drawn from: each has its own."""
        return self.seed + 1_000_003 * number

    @cached_property
    def configuration(self) -> str:
        """The pool, and the story's variant where there are several: what trials are compared by."""
        return self.pool.label + (f" ({self.scenario.variant})" if self.scenario.variant else "")

    @cached_property
    def wake_label(self) -> str:
        """What the pool meets: `wake 8 s`, or `awake` for a control."""
        if self.wake is None or self.wake_latency_s is None:
            return "awake"
        return self.scenario.wake_label(self.wake, self.wake_latency_s)

    @property
    def wake_words(self) -> str:
        """The same in a sentence: `wake of 8 s`."""
        return self.wake_label.replace("wake ", "wake of ", 1)

    @property
    def label(self) -> str:
        return f"{self.configuration}, {self.wake_label}"

    def wake_json(self) -> dict[str, Any] | None:
        if self.wake is None:
            return None
        return {
            "profile": self.wake.name,
            "latency_s": self.wake_latency_s,
            "on_suspend": self.wake.on_suspend.value,
            "while_waking": self.wake.while_waking.value,
        }


def trials_of(scenario: Scenario, *, seed: int, repeat: int = 1, control: bool = True) -> list[Trial]:
    """Every trial of a run: for each seed, pool and variant, one a wake, and the control they are compared with."""
    check_whole("seed", seed, where="run", most=LARGEST_SEED)
    check_whole("repeat", repeat, where="run", least=1, most=MOST_TRIALS)
    _check_size(scenario, repeat)
    seeds = range(seed, seed + repeat)
    cells = [
        (pool, story, wake, one_seed)
        for one_seed in seeds
        for pool in dict.fromkeys(scenario.pool_configurations)
        for story in scenario.stories
        for wake in (*scenario.wakes, *([None] if control and scenario.control and scenario.can_sleep else []))
    ]
    return [
        Trial(number=number, scenario=story, pool=pool, wake=wake, seed=one_seed)
        for number, (pool, story, wake, one_seed) in enumerate(cells)
    ]


def _check_size(scenario: Scenario, repeat: int) -> None:
    """Raise `UserError` when a run would have too many trials, or too many requests, before any of them is made."""
    pools, stories = set(scenario.pool_configurations), scenario.stories
    trials = repeat * len(pools) * len(stories) * len(scenario.wakes)
    requests = repeat * len(pools) * len(scenario.wakes) * sum(b.requests for story in stories for b in story.bursts)
    fewer = "fewer pools, wakes or seeds"
    if trials > MOST_TRIALS:
        raise UserError(f"these are {trials} trials", where="run", allowed=f"up to {MOST_TRIALS}: {fewer}")
    if requests > MOST_REQUESTS_OF_A_RUN:
        allowed = f"up to {MOST_REQUESTS_OF_A_RUN}: {fewer}, or a smaller burst"
        raise UserError(f"these are {requests} requests in all trials", where="run", allowed=allowed)
