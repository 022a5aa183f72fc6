"""A case: a story with one wake and one seed, and how small and calm it is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.model.arrivals import Pattern
from harness.model.pool import PoolConfiguration
from harness.model.story import Story
from harness.model.timeline import Burst, ConnectionLoss, Deploy, Outage, Slow
from harness.model.trial import Trial
from harness.model.wake import WakeProfile
from harness.worst.parts import Place, Timeline, bursts, events, moment_s, phases

CALMNESS: Mapping[str, int] = {Pattern.EVEN: 0, Pattern.POISSON: 1, Pattern.GIVEN: 2, Pattern.AT_ONCE: 3}
"""The calmest pattern first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What one trial of the search plays, whatever the pool."""

    story: Story
    wake: WakeProfile
    """Every wake takes the same time."""
    seed: int
    variant: str = ""

    @property
    def timeline(self) -> Timeline:
        return self.story.timeline

    @property
    def wake_s(self) -> float:
        return self.wake.latency.quantile(1.0)

    @property
    def bursts(self) -> list[tuple[Place, Burst]]:
        return bursts(self.timeline)

    @property
    def requests(self) -> int:
        return sum(burst.requests for _, burst in self.bursts)

    @property
    def events(self) -> list[Place]:
        """What can be left out of it."""
        return events(self.timeline)

    def with_timeline(self, timeline: Timeline) -> "Case":
        """Raises `UserError` for a timeline without a burst."""
        return replace(self, story=replace(self.story, timeline=timeline))

    def trial(self, pool: PoolConfiguration) -> Trial:
        return Trial(
            number=0, story=replace(self.story, wake=self.wake), variant=self.variant, pool=pool, wake=self.wake,
            seed=self.seed,
        )  # fmt: skip

    def size(self, plain: WakeProfile, seed: int) -> tuple[Any, ...]:
        """A sort key, the smallest story first: events, requests, wake, then how calm and how plain it is.

        `plain` is the wake as the scenario has it, and `seed` the one that a reader expects.
        """
        amounts = [
            *(_amount(phase) for _, phase in phases(self.timeline)),
            *(moment_s(self.timeline, place) or 0.0 for place in self.events),
        ]
        return (
            len(self.events),
            self.requests,
            round(self.wake_s, 6),
            (self.wake.on_suspend is not plain.on_suspend) + (self.wake.while_waking is not plain.while_waking),
            sum(_unrest(burst) for _, burst in self.bursts),
            -sum(burst.over_s for _, burst in self.bursts if burst.requests > 1),
            self.seed != seed,
            round(sum(amounts), 6),
        )


def _unrest(burst: Burst) -> int:
    # One request has no pattern: at the beginning is where one expects it.
    if burst.requests == 1:
        return int(burst.arrivals != Pattern.AT_ONCE)
    return CALMNESS[burst.arrivals]


def _amount(phase: object) -> float:
    match phase:
        case Outage(for_s=amount) | Slow(amount) | ConnectionLoss(share=amount) | Deploy(amount):
            return amount
        case _:
            return 0.0
