"""A trial: one story × one pool configuration × one wake latency × one seed."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.model.pool import PoolConfiguration
from harness.model.story import Story
from harness.model.wake import WakeProfile

WAKES = 100
"""Wake latencies drawn in advance, one a wake."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial of a run. A control meets the same arrivals with the compute awake.

    What it is called is worked out once: a comparison of thousands of trials asks often.
    """

    number: int
    story: Story
    """The scenario's, with its variant and what a user changed applied."""
    pool: PoolConfiguration
    wake: WakeProfile | None
    """None: a control."""
    seed: int
    variant: str = ""
    """The story's name among the scenario's variants; empty: it has none."""

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
        return self.pool.label + (f" ({self.variant})" if self.variant else "")

    @cached_property
    def wake_label(self) -> str:
        """What the pool meets: `wake 8 s`, or `awake` for a control."""
        if self.wake is None or self.wake_latency_s is None:
            return "awake"
        return self.story.wake_label(self.wake, self.wake_latency_s)

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
