"""The one player of timelines: which phase follows which, what each asks of a stack, and what is recorded of it.

A stack implements `Driver`, and knows nothing of the timeline: virtual time, real time and Locust's own command line
each have one. Time is the running asyncio loop's, which in real time is the monotonic clock.
"""

import asyncio
from typing import Protocol, assert_never

from harness.model.burst_share import BurstShare
from harness.model.events import Event
from harness.model.timeline import Burst, Idle, Slow, Suspend, TimelinePhase, Warm
from harness.model.trial import Trial

SETTLE_S = 0.25
"""After the last answer: what the pool does with its connections is recorded too."""


class Driver(Protocol):
    """One trial's service, database and clients, as far as a timeline needs them. Moments are the loop's, in seconds.

    What a stack can't do raises `StackError`, and what its user can mend `UserError`.
    """

    def under_way(self, phase: str) -> None:
        """For whoever watches: what is played now, in a word."""
        ...

    def event(self, event: Event, at_s: float, *, value_s: float | None = None, **detail: int | str) -> None:
        """Record an event of the trial."""
        ...

    async def connect_listeners(self) -> None:
        """Wait until every instance's queue listener is connected, where the story has one."""
        ...

    async def warm(self, connections: int) -> float:
        """Every instance's pool opens so many connections and uses each once; when the last had."""
        ...

    async def suspend(self) -> None:
        """The compute suspends."""
        ...

    async def slow(self, round_trip_s: float) -> None:
        """From now on a round trip to the database takes this much longer."""
        ...

    async def begin_burst(self, burst: BurstShare, *, first_number: int) -> float:
        """Have the clients start on a burst; the moment it starts at. Its requests are numbered from `first_number`."""
        ...

    async def end_burst(self, burst: BurstShare) -> float:
        """Wait until every request of the burst that has begun has ended; when the last did."""
        ...


class Player:
    """Plays one trial's timeline, once."""

    def __init__(self, trial: Trial, driver: Driver) -> None:
        self._trial = trial
        self._driver = driver
        self._bursts = 0
        self._requests = 0
        """Of the bursts that are over: numbers go on from one burst to the next."""

    async def play(self) -> None:
        await self._driver.connect_listeners()
        for phase in self._trial.story.timeline:
            await self._play(phase)
        await asyncio.sleep(SETTLE_S)

    async def _play(self, phase: TimelinePhase) -> None:
        driver = self._driver
        match phase:
            case Warm(connections):
                driver.under_way("warming")
                each = self._trial.pool.pool_size if connections is None else connections
                warmed_at_s = await driver.warm(each)
                driver.event(Event.WARMED, warmed_at_s, connections=each * self._trial.story.instances)
            case Suspend():
                driver.under_way("suspending")
                if not self._trial.is_control:
                    await driver.suspend()
            case Idle(for_s):
                driver.under_way("idle")
                await asyncio.sleep(for_s)
            case Slow(round_trip_s):
                driver.under_way("slowing")
                await driver.slow(round_trip_s)
                driver.event(Event.SLOW, asyncio.get_running_loop().time(), value_s=round_trip_s)
            case Burst():
                await self._burst(phase)
            case _:
                assert_never(phase)

    async def _burst(self, burst: Burst) -> None:
        share = BurstShare(burst=burst, seed=self._trial.burst_seed(self._bursts), retry=self._trial.story.retry)
        self._bursts += 1
        start_s = await self._driver.begin_burst(share, first_number=self._requests)
        self._driver.event(Event.BURST_STARTED, start_s)
        self._driver.under_way("burst")
        ended_s = await self._driver.end_burst(share)
        self._requests += burst.requests
        self._driver.event(Event.BURST_ENDED, ended_s)
