"""One trial of the service under test in virtual time: its own engine and request functions, unmodified libraries."""

import logging
from contextlib import AsyncExitStack
from typing import Any

from harness.model.driver import Driver
from harness.model.errors import UserError
from harness.model.events import Event
from harness.model.listener import QueueListener
from harness.model.rows import ListenerEvent
from harness.model.times import Times
from harness.model.trial import Trial
from harness.service.classify import driver_exception
from harness.service.instance import Instance
from harness.service.listener import listening
from harness.service.observation import PoolWatch
from harness.simulation.chance import library_chance_of
from harness.simulation.loop import VirtualLoop, run
from harness.simulation.rows import Simulated
from harness.simulation.virtual_driver import HOST, PORT, URL, VirtualDriver

for _name in ("asyncpg", "psycopg.pool"):
    # Their pools log each failed attempt to connect. Nobody reads that of a trial, whose outcomes say it.
    logging.getLogger(_name).addHandler(logging.NullHandler())


def simulate(trial: Trial, times: Times | None = None, *, sampled: bool = True) -> Simulated:
    """Play one trial in virtual time. `sampled` False leaves the pool's timeline out.

    The same trial and times give the same rows, in any process on any day.
    Raises `harness.simulation.loop.StalledError` when the story can't go on, and `UserError` when the scenario's
    listener can't connect even to a compute that is awake, or for a story with a pooler.
    """
    if trial.story.pooler is not None:
        # A postmortem plays a run's trials again; the simulated stack has refused its own before.
        raise UserError("a pooler (PgBouncer) can't be played in virtual time", where=f"scenario {trial.story.name}")
    with library_chance_of(trial.seed):
        return run(lambda loop: ServiceDriver(loop, trial, times or Times(), sampled=sampled).play())


class ServiceDriver(VirtualDriver):
    """The service under test."""

    def __init__(self, loop: VirtualLoop, trial: Trial, times: Times, *, sampled: bool) -> None:
        self._listening = AsyncExitStack()
        self._sockets: Any = None
        super().__init__(loop, trial, times, sampled=sampled)

    def prepare(self) -> None:
        self._classes = self._connection_classes()

    def make_instance(self, watch: PoolWatch) -> Instance:
        return Instance(URL, self.trial.pool, watch, shapes=self.trial.story.shapes, connection_classes=self._classes)

    async def begin(self) -> None:
        await self._listening.__aenter__()

    async def end(self) -> None:
        await self._listening.aclose()

    def close(self) -> None:
        if self._sockets is not None:
            self._sockets.close()

    def error_name(self, exception: BaseException) -> str:
        return type(driver_exception(exception)).__name__

    def _connection_classes(self) -> dict[Driver, type[Any]]:
        """Of each driver that does not come to the simulated network by the loop alone."""
        if Driver.PSYCOPG not in {pool.runs_on for pool in self.trial.pools}:
            return {}
        # Only where it is used: importing psycopg takes a tenth of a second.
        from harness.service.drivers.psycopg_driver import ObservedPsycopgConnection
        from harness.simulation.libpq import LibpqSockets

        self._sockets = LibpqSockets(self.network, HOST, PORT)
        return {Driver.PSYCOPG: self._sockets.connection_class(ObservedPsycopgConnection)}

    async def connect_listeners(self) -> None:
        listener = self.trial.story.listener
        if listener is not None:
            for _ in self.instances:
                await self._connect(listener)

    async def _connect(self, listener: QueueListener) -> None:
        first_word = self.loop.create_future()

        def heard(event: ListenerEvent) -> None:
            self.event(event.event, event.at_s, value_s=event.value_s, **event.detail)
            if not first_word.done():
                first_word.set_result(event)

        await self._listening.enter_async_context(listening(listener, URL, heard))
        first: ListenerEvent = await first_word
        if first.event is not Event.LISTENER_CONNECTED:
            what = f"its first attempt to connect failed: {first.detail['error']} after {first.value_s:g} s"
            raise UserError(what, where="listener", allowed="a connect_timeout_s longer than connecting takes")
