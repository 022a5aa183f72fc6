"""A trial: one story × one pool configuration × one wake latency × one seed."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.model.arrivals import Arrival
from harness.model.pool import PoolConfiguration
from harness.model.story import Story
from harness.model.timeline import seed_of_burst
from harness.model.wake import WakeProfile

WAKES = 100
"""How many wake latencies are drawn in advance, one for each wake."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial of a run. A control meets the same arrivals with the compute awake.

    Its names are computed once, because a comparison of thousands of trials needs them often.
    """

    number: int
    story: Story
    """The scenario's story, with its variant and the user's changes applied."""
    pool: PoolConfiguration
    wake: WakeProfile | None
    """None: a control."""
    seed: int
    variant: str = ""
    """The name of the scenario's variant; empty: it has no variants."""

    @property
    def is_control(self) -> bool:
        return self.wake is None

    @property
    def pools(self) -> tuple[PoolConfiguration, ...]:
        """The pool, and those that background jobs have of their own."""
        return (self.pool, *(shape.pool for shape in self.story.shapes if shape.pool is not None))

    @cached_property
    def wake_latency_s(self) -> float | None:
        """The latency of the first wake, in seconds; None for a control."""
        return None if self.wake is None else self.wake.latencies_s(self.seed, wakes=1)[0]

    def wake_latencies_s(self) -> list[float]:
        """The latencies of this trial's wakes, in order; later wakes repeat the last one. Empty for a control."""
        return [] if self.wake is None else self.wake.latencies_s(self.seed, wakes=WAKES)

    def burst_seed(self, number: int) -> int:
        """The seed for the arrivals of the timeline's burst of this number, from 0; each burst has its own."""
        return seed_of_burst(self.seed, number)

    def arrivals(self) -> list[tuple[Arrival, ...]]:
        """The arrivals of each burst of the timeline: the same for every pool configuration with this seed."""
        return [burst.schedule(self.burst_seed(number)) for number, burst in enumerate(self.story.bursts)]

    @cached_property
    def configuration(self) -> str:
        """What the pool is called and, where there are several, the variant: trials are compared by it."""
        return self.pool.called + (f" ({self.variant})" if self.variant else "")

    @cached_property
    def wake_label(self) -> str:
        """The wake that the pool meets: `wake 8 s`, or `awake` for a control."""
        if self.wake is None or self.wake_latency_s is None:
            return "awake"
        return self.story.wake_label(self.wake, self.wake_latency_s)

    @property
    def wake_words(self) -> str:
        """The wake's label in a sentence: `wake of 8 s`."""
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
