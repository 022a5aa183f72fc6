"""The one player of timelines: which phase follows which, what each asks of a stack, and what is recorded of it.

A stack implements `Driver`, and knows nothing of the timeline: virtual time, real time and Locust's own command line
each have one. Time is the running asyncio loop's, which in real time is the monotonic clock.
"""

import asyncio
from collections.abc import Sequence
from itertools import count
from typing import Protocol, assert_never

from harness.model.events import Event
from harness.model.load_share import LoadShare
from harness.model.timeline import (
    Burst,
    ConnectionLoss,
    Deploy,
    Idle,
    Load,
    MomentPhase,
    Outage,
    Slow,
    Suspend,
    TimelinePhase,
    Traffic,
    Warm,
)
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

    async def warm(self, ages_s: Sequence[float]) -> float:
        """Every instance's pool opens a connection for each age and uses it once (`Warm`); when the last had."""
        ...

    async def suspend(self) -> None:
        """The compute suspends."""
        ...

    async def slow(self, round_trip_s: float) -> None:
        """From now on a round trip to the database takes this much longer."""
        ...

    async def outage(self, outage: Outage) -> None:
        """The database goes away, and comes back by itself after the outage's time."""
        ...

    async def lose_connections(self, loss: ConnectionLoss) -> None:
        """Some of the open connections die."""
        ...

    async def replace_pool(self, instance: int) -> None:
        """An instance gets a new, empty pool; the old one closes when its last request has ended."""
        ...

    async def begin_load(self, share: LoadShare) -> float:
        """Have the clients start on a load; the moment it starts at."""
        ...

    async def end_load(self, share: LoadShare) -> float:
        """Wait until every request of the load that has begun has ended; when the last did."""
        ...


class Player:
    """Plays one trial's timeline, once."""

    def __init__(self, trial: Trial, driver: Driver) -> None:
        self._trial = trial
        self._driver = driver
        self._bursts = 0
        self._requests = 0
        """Of the loads that are over: numbers go on from one load to the next."""

    async def play(self) -> None:
        await self._driver.connect_listeners()
        for phase in self._trial.story.timeline:
            await self._play(phase)
        await asyncio.sleep(SETTLE_S)

    async def _play(self, phase: TimelinePhase) -> None:
        driver = self._driver
        match phase:
            case Warm(ages_s=ages_s):
                driver.under_way("warming")
                each = self._trial.pool.pool_size if phase.opens is None else phase.opens
                warmed_at_s = await driver.warm(ages_s or (0.0,) * each)
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
            case Outage() | ConnectionLoss():
                if not self._trial.is_control:
                    await self._harm(phase)
            case Deploy():
                driver.under_way("deploying")
                await self._deploy(phase)
            case Burst() | Traffic():
                await self._drive(phase)
            case _:
                assert_never(phase)

    async def _harm(self, harm: Outage | ConnectionLoss) -> None:
        at_s = asyncio.get_running_loop().time()
        if isinstance(harm, Outage):
            self._driver.under_way("outage")
            self._driver.event(Event.OUTAGE, at_s, value_s=harm.for_s)
            await self._driver.outage(harm)
        else:
            self._driver.under_way("losing connections")
            self._driver.event(Event.CONNECTIONS_LOST, at_s, percent=round(100 * harm.share), how=harm.how.value)
            await self._driver.lose_connections(harm)

    async def _deploy(self, deploy: Deploy) -> None:
        for instance in range(self._trial.story.instances):
            if instance:
                await asyncio.sleep(deploy.every_s)
            await self._driver.replace_pool(instance)
            self._driver.event(Event.POOL_REPLACED, asyncio.get_running_loop().time(), instance=instance)

    async def _drive(self, load: Load) -> None:
        """A load from its start to its last answer, and what comes meanwhile."""
        share = LoadShare(
            load=load,
            seed=self._trial.burst_seed(self._bursts),
            first_number=self._requests,
            first_burst=self._bursts,
            retry=self._trial.story.retry,
        )
        self._bursts += len(load.bursts)
        self._requests += load.requests
        start_s = await self._driver.begin_load(share)
        self._burst_started(start_s + load.starts_s[0], share.first_burst)
        meanwhile = asyncio.create_task(self._meanwhile(load, start_s, share.first_burst))
        try:
            ended_s = await self._driver.end_load(share)
            await meanwhile
        finally:
            meanwhile.cancel()
        self._driver.event(Event.BURST_ENDED, ended_s)

    async def _meanwhile(self, load: Load, start_s: float, first_burst: int) -> None:
        """The bursts as they start, and the phases as their moments come. A deploy goes on beside the others."""
        coming: list[tuple[float, int | MomentPhase]] = []
        coming += list(zip(load.starts_s, count(first_burst), strict=False))[1:]
        if isinstance(load, Traffic):
            coming += [(at.at_s, at.phase) for at in load.moments]
        # Stable: what begins at the same moment as a burst comes after it.
        coming.sort(key=lambda come: come[0])
        async with asyncio.TaskGroup() as deploys:
            for at_s, what in coming:
                if (wait_s := start_s + at_s - asyncio.get_running_loop().time()) > 0:
                    await asyncio.sleep(wait_s)
                if isinstance(what, int):
                    self._burst_started(start_s + at_s, what)
                elif isinstance(what, Deploy):
                    deploys.create_task(self._deploy(what))
                else:
                    await self._play(what)

    def _burst_started(self, at_s: float, number: int) -> None:
        detail = {"burst": number} if len(self._trial.story.bursts) > 1 else {}
        self._driver.event(Event.BURST_STARTED, at_s, **detail)
        self._driver.under_way("burst")
