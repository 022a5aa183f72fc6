"""Tells stories within bounds: the scenario's own, the extremes, then random ones and variations of the closest."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from harness.model.arrivals import Pattern
from harness.model.compute import OnSuspend, WhileWaking
from harness.model.distribution import Constant
from harness.model.limits import LARGEST_SEED
from harness.model.plan import PlannedRun
from harness.model.story import Story
from harness.model.timeline import (
    At,
    Burst,
    ConnectionLoss,
    Deploy,
    MomentPhase,
    Outage,
    Slow,
    Suspend,
    TimelinePhase,
    Traffic,
)
from harness.model.wake import WakeProfile
from harness.worst.bounds import Bounds
from harness.worst.case import Case

HOW_LOST = (OnSuspend.RESET, OnSuspend.FREEZE, OnSuspend.VANISH)
AT_MOMENTS = (0.0, 0.25, 0.75)
"""When the extremes' events come, as shares of the time in which requests arrive."""
SHORTEST_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A story by what a search varies of it."""

    variant: str
    requests: int
    over_s: float
    pattern: Pattern
    wake_s: float
    on_suspend: OnSuspend
    while_waking: WhileWaking
    seed: int
    events: tuple[At, ...] = ()


class Teller:
    """Tells a plan's stories, each drawn from the seed alone."""

    def __init__(self, plan: PlannedRun, bounds: Bounds, seed: int) -> None:
        self.plan = plan
        self.bounds = bounds
        self.seed = seed
        self.random = random.Random(f"worst/{seed}")

    @property
    def plain(self) -> WakeProfile:
        """The wake as the scenario has it."""
        return self.plan.wakes[0]

    def own(self) -> Iterator[Case]:
        """The scenario's own stories at their own wakes, as far as those are within bounds, then at the longest."""
        bounds = self.bounds
        for variant, story in self.plan.stories.items():
            for wake in self.plan.wakes:
                drawn_s = min(wake.latencies_s(self.seed, wakes=1)[0], bounds.wake_s)
                for wake_s in dict.fromkeys([drawn_s, bounds.wake_s]):
                    case = Case(story=story, wake=_at(wake, wake_s), seed=self.seed, variant=variant)
                    if case.requests <= bounds.requests and _over_s(story) <= bounds.over_s:
                        yield case

    def extremes(self) -> Iterator[Told]:
        """The most requests at the longest wake: in each pattern and behaviour, and with each event."""
        bounds = self.bounds
        most = Told(
            variant=next(iter(self.plan.stories)), requests=bounds.requests, over_s=bounds.over_s,
            pattern=bounds.patterns[0], wake_s=bounds.wake_s, on_suspend=bounds.on_suspend[0],
            while_waking=bounds.while_waking[0], seed=self.seed,
        )  # fmt: skip
        for on_suspend, while_waking in product(bounds.on_suspend, bounds.while_waking):
            for pattern in bounds.patterns:
                yield replace(most, pattern=pattern, on_suspend=on_suspend, while_waking=while_waking)
        for kind in bounds.events.kinds:
            for share in AT_MOMENTS:
                at_s = round(share * bounds.over_s, 1)
                for event in self._largest(kind):
                    yield replace(most, events=(At(at_s, event),))

    def at_random(self, events: int) -> Told:
        """Any story with so many events."""
        draw, bounds = self.random, self.bounds
        over_s = self._over_s()
        kinds = bounds.events.kinds
        return Told(
            variant=draw.choice(list(self.plan.stories)),
            requests=self._requests(),
            over_s=over_s,
            pattern=draw.choice(bounds.patterns),
            wake_s=self._wake_s(),
            on_suspend=draw.choice(bounds.on_suspend),
            while_waking=draw.choice(bounds.while_waking),
            seed=draw.randrange(min(10_000, LARGEST_SEED)),
            events=tuple(
                At(self._moment_s(over_s), self._event(draw.choice(kinds))) for _ in range(events if kinds else 0)
            ),
        )

    def varied(self, told: Told) -> Told:
        """The same story with one or two things drawn anew."""
        draw = self.random
        other = self.at_random(len(told.events))
        names = ("requests", "over_s", "pattern", "wake_s", "on_suspend", "while_waking", "seed", "events")
        return replace(told, **{name: getattr(other, name) for name in draw.sample(names, draw.choice((1, 2)))})

    def case(self, told: Told) -> Case:
        """The story as it is played: the scenario's until its first load, then this one's."""
        story = self.plan.stories[told.variant]
        loads = story.loads
        mix = loads[0].bursts[0].mix
        before: list[TimelinePhase] = []
        for phase in story.timeline:
            if phase is loads[0]:
                break
            before.append(phase)
        over_s = 0.0 if told.pattern is Pattern.AT_ONCE else told.over_s
        burst = Burst(told.requests, over_s, told.pattern, mix)
        load = Traffic(burst, *told.events) if told.events else burst
        wake = replace(_at(self.plain, told.wake_s), on_suspend=told.on_suspend, while_waking=told.while_waking)
        played = replace(story, timeline=(*before, load))
        return Case(story=played, wake=wake, seed=told.seed, variant=told.variant)

    def _requests(self) -> int:
        # Evenly over the orders of magnitude: a few requests break what many do not, and the other way round.
        return max(1, round(math.pow(self.bounds.requests, self.random.random())))

    def _over_s(self) -> float:
        most = self.bounds.over_s
        return round(most * self.random.random() ** 2, 1) or min(most, SHORTEST_S)

    def _wake_s(self) -> float:
        # Long wakes break most; the square root draws them more often.
        return round(self.bounds.wake_s * math.sqrt(self.random.random()), 1)

    def _moment_s(self, over_s: float) -> float:
        return round(self.random.uniform(0.0, min(over_s + self.bounds.wake_s, 2 * over_s)), 1)

    def _event(self, kind: str) -> MomentPhase:
        draw, events = self.random, self.bounds.events
        match kind:
            case "suspend":
                return Suspend()
            case "deploy":
                return Deploy()
            case "outage":
                for_s = max(SHORTEST_S, round((events.outage_s or 0) * draw.random(), 1))
                return draw.choice((Outage.restart, Outage.failover))(min(for_s, events.outage_s or for_s))
            case "loss":
                share = max(0.01, round((events.loss or 0) * draw.random(), 2))
                return ConnectionLoss(min(share, events.loss or share), draw.choice(HOW_LOST))
            case _:
                return Slow(round((events.slow_s or 0) * draw.random(), 3))

    def _largest(self, kind: str) -> Sequence[MomentPhase]:
        events = self.bounds.events
        match kind:
            case "suspend":
                return (Suspend(),)
            case "deploy":
                return (Deploy(),)
            case "outage":
                return (Outage.restart(events.outage_s or 0), Outage.failover(events.outage_s or 0))
            case "loss":
                return [ConnectionLoss(events.loss or 0, how) for how in HOW_LOST]
            case _:
                return (Slow(events.slow_s or 0),)


def _at(wake: WakeProfile, latency_s: float) -> WakeProfile:
    return replace(wake, latency=Constant(latency_s))


def _over_s(story: Story) -> float:
    return max(load.over_s for load in story.loads)
