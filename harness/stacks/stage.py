"""A trial's service and database, and everything of a story but its bursts: warm, suspend, slow, idle."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic

from harness.model.errors import StackError
from harness.model.events import Event
from harness.model.rows import ListenerEvent
from harness.model.timeline import Idle, Slow, Suspend, TimelinePhase, Warm
from harness.model.trial import Trial
from harness.processes.messages import (
    ListenerReported,
    PoolNotWarmed,
    PoolSampled,
    PoolWarmed,
    WarmPool,
)
from harness.processes.process import Child
from harness.stacks.timebase import TrialRows

LISTENER_PATIENCE_S = 60.0
"""For a listener's first connection, to a database that is awake."""


@dataclass(frozen=True, slots=True)
class SleepingDatabase:
    """A database as one trial's service reaches it, and its compute."""

    dsn: str
    """For SQLAlchemy."""
    proxy: str
    """The name by which events of its compute are told apart."""
    suspend: Callable[[], Awaitable[None]]
    slow: Callable[[float], Awaitable[None]]
    """Makes every round trip longer, by seconds."""


@dataclass(frozen=True, slots=True)
class Target:
    """A service under test, ready for requests: one process an instance."""

    urls: tuple[str, ...]
    services: tuple[Child, ...]
    database: SleepingDatabase


class Stage:
    """One trial's target, while its story is played. Without `rows` nothing is kept."""

    def __init__(self, trial: Trial, target: Target, rows: TrialRows | None) -> None:
        self._trial = trial
        self._services = target.services
        self._database = target.database
        self._rows = rows
        self._warmed = asyncio.Queue[PoolWarmed | PoolNotWarmed]()
        self._listening = asyncio.Queue[ListenerEvent]()

    async def read(self, instance: int) -> None:
        """What an instance says, until it ends."""
        async for record in self._services[instance].records():
            match record:
                case PoolSampled(sample=sample):
                    if self._rows is not None:
                        self._rows.pool(sample, instance=instance)
                case ListenerReported(event=event):
                    self._listener_reported(event)
                case PoolWarmed() | PoolNotWarmed():
                    self._warmed.put_nowait(record)
                case _:
                    raise self._services[instance].out_of_step(record)

    async def watch(self, instance: int) -> None:
        """Runs as long as an instance does; raises `StackError` when it dies."""
        await self._services[instance].watch()

    async def listeners(self) -> None:
        """Wait for every instance's queue listener, where the story has one. Raises `StackError`."""
        for service in self._services if self._trial.story.listener is not None else ():
            try:
                first = await asyncio.wait_for(self._listening.get(), LISTENER_PATIENCE_S)
            except TimeoutError:
                why = f"had not connected after {LISTENER_PATIENCE_S:g} s"
            else:
                if first.event is Event.LISTENER_CONNECTED:
                    continue
                why = f"could not connect: {first.detail['error']} after {first.value_s:.3g} s"
            raise StackError("service", f"its queue listener {why}", log=service.log)

    async def phase(self, phase: TimelinePhase) -> None:
        """Play a phase that is not a burst."""
        match phase:
            case Warm(connections):
                await self._warm(self._trial.pool.pool_size if connections is None else connections)
            case Suspend() if not self._trial.is_control:
                await self._database.suspend()
            case Slow(round_trip_s):
                await self._database.slow(round_trip_s)
                self._event(Event.SLOW, monotonic(), value_s=round_trip_s)
            case Idle(for_s):
                await asyncio.sleep(for_s)

    async def _warm(self, connections: int) -> None:
        for service in self._services:
            await service.send(WarmPool(connections=connections))
        at_s = monotonic()
        for service in self._services:
            match await self._warmed.get():
                case PoolWarmed(at_s=at_s):
                    pass
                case PoolNotWarmed(error=error):
                    raise StackError("service", f"could not warm its pool: {error}", log=service.log)
        self._event(Event.WARMED, at_s, connections=connections * len(self._services))

    def _listener_reported(self, event: ListenerEvent) -> None:
        if event.event in (Event.LISTENER_CONNECTED, Event.LISTENER_CONNECT_FAILED):
            self._listening.put_nowait(event)
        self._event(event.event, event.at_s, value_s=event.value_s, **event.detail)

    def _event(self, event: Event, at_s: float, *, value_s: float | None = None, **detail: int | str) -> None:
        if self._rows is not None:
            self._rows.event(event, at_s, value_s=value_s, **detail)
