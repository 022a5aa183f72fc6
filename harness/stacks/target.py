"""A trial's service and database in real time, and what a timeline asks of them: all but the bursts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass

from harness.application.starting import try_requests
from harness.model.application import Application
from harness.model.doubt import Component
from harness.model.errors import StackError, UserError
from harness.model.events import Event
from harness.model.rows import ListenerEvent
from harness.model.timeline import ConnectionLoss, Outage
from harness.model.trial import Trial
from harness.postgres import PostgresServer
from harness.processes.beside import beside
from harness.processes.messages import (
    ListenerReported,
    LoopStalled,
    PoolNotWarmed,
    PoolRefused,
    PoolReplaced,
    PoolSampled,
    PoolWarmed,
    ReplacePool,
    WarmPool,
)
from harness.processes.process import Child
from harness.stacks.timebase import TrialRows
from harness.stacks.vitals import Vitals

LISTENER_PATIENCE_S = 60.0
"""How long a listener's first connection may take; the database is awake at that time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseControls:
    """What a timeline asks of a trial's database: its compute's, and its connections'."""

    proxy: str
    """The name by which events of its compute are told apart."""
    suspend: Callable[[], Awaitable[object]]
    slow: Callable[[float], Awaitable[None]]
    """Makes every round trip longer, by seconds."""
    outage: Callable[[Outage], Awaitable[None]]
    lose: Callable[[ConnectionLoss], Awaitable[None]]
    """Ends some of the open connections."""
    vitals: Vitals
    """What tells whether it answers, and is still the one that it was."""
    answerable: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    """While inside, a `StackError` is told as the death of the database's process, where that has died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepingDatabase(DatabaseControls):
    """A database as one trial's service reaches it, and its compute."""

    server: PostgresServer
    """As its clients reach it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A service under test, ready for requests: one process an instance."""

    urls: tuple[str, ...]
    services: tuple[Child, ...]
    """Those that were started for the trial."""
    database: DatabaseControls
    application: Application | None = None
    """What the services are instances of; None: of the service under test."""


class TargetDriver:
    """The part of a `Driver` that handles the service and its database, for one trial. `rows` None: nothing is kept."""

    def __init__(self, trial: Trial, target: Target, rows: TrialRows | None) -> None:
        self._trial = trial
        self._target = target
        self._services = target.services
        self._database = target.database
        self._rows = rows
        self._warmed = asyncio.Queue[PoolWarmed | PoolNotWarmed | PoolRefused]()
        self._replaced = asyncio.Queue[PoolReplaced]()
        self._listening = asyncio.Queue[ListenerEvent]()

    @asynccontextmanager
    async def attending(self, *tasks: Awaitable[None]) -> AsyncIterator[None]:
        """While inside, the services' messages are read; a service that dies or a task that fails ends it."""
        of_services = [coroutine for service in self._services for coroutine in (self._read(service), service.watch())]
        async with beside(*of_services, *tasks):
            yield

    async def _read(self, service: Child) -> None:
        instance = self._services.index(service)
        async for record in service.records():
            match record:
                case PoolSampled(sample=sample):
                    if self._rows is not None:
                        self._rows.pool(sample, instance=instance)
                case LoopStalled(at_s=at_s, for_s=for_s):
                    self.event(Event.STALLED, at_s, value_s=for_s, part=Component.SERVICE)
                case ListenerReported(event=event):
                    self._listener_reported(event)
                case PoolWarmed() | PoolNotWarmed() | PoolRefused():
                    self._warmed.put_nowait(record)
                case PoolReplaced():
                    self._replaced.put_nowait(record)
                case _:
                    raise service.out_of_step(record)

    def event(self, event: Event, at_s: float, *, value_s: float | None = None, **detail: int | str) -> None:
        if self._rows is not None:
            self._rows.event(event, at_s, value_s=value_s, **detail)

    async def connect_listeners(self) -> None:
        async with self._database.answerable():
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

    async def try_application(self) -> None:
        """An application of the user's own answers each kind of request once; then every pool is empty again."""
        if self._target.application is None:
            return
        for instance, (url, service) in enumerate(zip(self._target.urls, self._services, strict=True)):
            await try_requests(self._target.application, url, service.log)
            await self.replace_pool(instance)

    async def warm(self, ages_s: Sequence[float]) -> float:
        for service in self._services:
            await service.send(WarmPool(ages_s=tuple(ages_s)))
        warmed_at_s = asyncio.get_running_loop().time()
        async with self._database.answerable():
            for service in self._services:
                match await self._warmed.get():
                    case PoolWarmed(at_s=warmed_at_s):
                        pass
                    case PoolNotWarmed(error=error):
                        raise StackError(service.name, f"could not warm its pool: {error}", log=service.log)
                    case PoolRefused(what=what, where=where, allowed=allowed):
                        raise UserError(what, where=where, allowed=allowed)
        return warmed_at_s

    async def suspend(self) -> None:
        await self._database.suspend()

    async def slow(self, round_trip_s: float) -> None:
        await self._database.slow(round_trip_s)

    def _listener_reported(self, event: ListenerEvent) -> None:
        if event.event in (Event.LISTENER_CONNECTED, Event.LISTENER_CONNECT_FAILED):
            self._listening.put_nowait(event)
        self.event(event.event, event.at_s, value_s=event.value_s, **event.detail)

    async def outage(self, outage: Outage) -> None:
        await self._database.outage(outage)

    async def lose_connections(self, loss: ConnectionLoss) -> None:
        await self._database.lose(loss)

    async def replace_pool(self, instance: int) -> None:
        await self._services[instance].send(ReplacePool())
        await self._replaced.get()
