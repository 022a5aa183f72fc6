"""One trial in virtual time: the service's own engine and request functions, on the unmodified client libraries.

What HTTP, Locust and real sockets add is left out; the pool, the driver and everything they do with their timeouts
is what production runs.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from itertools import chain, repeat
from typing import Any

from harness.model.arrivals import Arrival
from harness.model.driver import Driver
from harness.model.errors import UserError
from harness.model.events import Event
from harness.model.listener import QueueListener
from harness.model.load_share import LoadShare
from harness.model.outcomes import Outcome
from harness.model.retry import Attempts
from harness.model.rows import ListenerEvent, PoolSample
from harness.model.story import OnDisconnect
from harness.model.timeline import ConnectionLoss, Outage, Slow, Warm
from harness.model.times import Times, drawing
from harness.model.trial import Trial
from harness.player import Player
from harness.service.answer import Answer
from harness.service.classify import driver_exception
from harness.service.instance import Instance
from harness.service.listener import listening
from harness.service.observation import PoolWatch
from harness.service.sampling import EVERY_S, Timeline
from harness.simulation.backend import SimulatedPostgres
from harness.simulation.chance import library_chance_of
from harness.simulation.loop import VirtualLoop, run
from harness.simulation.network import Network
from harness.simulation.rows import Row, Simulated

HOST, PORT = "localhost", 5432
PASSWORD = "simulated"  # noqa: S105 - of nothing
URL = f"postgresql://coldstart:{PASSWORD}@{HOST}:{PORT}/catalogue"
LONG_S = 600.0
"""A story with longer bursts, or with connections that have to grow older, is sampled at its events, and this often."""
UNLIMITED = 1_000_000
"""Connections of a database that gives as many as are asked for."""
for _name in ("asyncpg", "psycopg.pool"):
    # Their pools log each failed attempt to connect. Nobody reads that of a trial, whose outcomes say it.
    logging.getLogger(_name).addHandler(logging.NullHandler())
EVENTS_KEPT = frozenset({Event.SUSPENDED, Event.FIRST_ATTEMPT, Event.WOKEN})


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
        return run(lambda loop: VirtualDriver(loop, trial, times or Times(), sampled=sampled).play())


class VirtualDriver:
    """One trial's instances of the service, its clients and its database, in virtual time: a `Driver`."""

    def __init__(self, loop: VirtualLoop, trial: Trial, times: Times, *, sampled: bool) -> None:
        self._loop = loop
        self._trial = trial
        self._rows = Simulated()
        self._origin_s: float | None = None
        self._listening = AsyncExitStack()
        self._requests: list[asyncio.Future[None]] = []
        """Of the burst under way."""
        self._late: list[tuple[float, float]] = []
        """When each held connection went on, and how late."""
        self._server = self._database_server(times)
        ages_s = (age_s for phase in trial.story.timeline if isinstance(phase, Warm) for age_s in phase.ages_s)
        long = sum(burst.over_s for burst in trial.story.bursts) > LONG_S or max(ages_s, default=0.0) > LONG_S
        every_s = LONG_S if long else EVERY_S
        instances = range(trial.story.instances)
        classes = self._connection_classes()
        self._samples = [Timeline(partial(self._row_of_pool, one), every_s=every_s) for one in instances if sampled]
        watches = [samples.watch for samples in self._samples] or [PoolWatch() for _ in instances]
        shapes = trial.story.shapes
        self._instances = [
            Instance(URL, trial.pool, watch, shapes=shapes, connection_classes=classes) for watch in watches
        ]
        self._cancels = trial.story.on_disconnect is OnDisconnect.CANCEL

    async def play(self) -> Simulated:
        sampling = [self._loop.create_task(samples.run()) for samples in self._samples]
        async with self._listening:
            await Player(self._trial, self).play()
        for task in sampling:
            task.cancel()
        self._released()
        self._move_to_the_burst()
        for instance in self._instances:
            await instance.abandon()
        self._network.sever()
        if self._sockets is not None:
            self._sockets.close()
        await asyncio.sleep(0)
        return self._rows

    def _connection_classes(self) -> dict[Driver, type[Any]]:
        """Of each driver that does not come to the simulated network by the loop alone."""
        if Driver.PSYCOPG not in {pool.runs_on for pool in self._trial.pools}:
            self._sockets = None
            return {}
        # Only where it is used: importing psycopg takes a tenth of a second.
        from harness.service.drivers.psycopg_driver import ObservedPsycopgConnection
        from harness.simulation.libpq import LibpqSockets

        self._sockets = LibpqSockets(self._network, HOST, PORT)
        return {Driver.PSYCOPG: self._sockets.connection_class(ObservedPsycopgConnection)}

    # What the player asks for:

    def under_way(self, phase: str) -> None:
        """Nobody watches: it takes no time."""

    def event(self, event: Event, at_s: float, *, value_s: float | None = None, **detail: int | str) -> None:
        text = json.dumps(detail, sort_keys=True) if detail else None
        self._rows.events.append({"at_s": at_s, "event": event, "value_s": value_s, "detail": text})

    async def connect_listeners(self) -> None:
        listener = self._trial.story.listener
        if listener is not None:
            for _ in self._instances:
                await self._connect(listener)

    async def _connect(self, listener: QueueListener) -> None:
        first_word: asyncio.Future[ListenerEvent] = self._loop.create_future()

        def heard(event: ListenerEvent) -> None:
            self.event(event.event, event.at_s, value_s=event.value_s, **event.detail)
            if not first_word.done():
                first_word.set_result(event)

        await self._listening.enter_async_context(listening(listener, URL, heard))
        first = await first_word
        if first.event is not Event.LISTENER_CONNECTED:
            what = f"its first attempt to connect failed: {first.detail['error']} after {first.value_s:g} s"
            raise UserError(what, where="listener", allowed="a connect_timeout_s longer than connecting takes")

    def _database_server(self, times: Times) -> SimulatedPostgres:
        trial = self._trial
        # Where round trips take long, those of the authentication count too.
        slow = any(isinstance(phase, Slow) for phase in trial.story.phases)
        self._network = network = Network(self._loop, draw_way_s=times.way(trial.seed), kernel=times.kernel, slows=slow)
        options: dict[str, Any] = {}
        if trial.wake is not None:
            latencies_s = trial.wake_latencies_s()
            options["behaviour"] = trial.wake.behaviour(suspends_by_itself=trial.story.suspends_by_itself)
            options["draw_wake_latency_s"] = chain(latencies_s, repeat(latencies_s[-1])).__next__
        server = SimulatedPostgres(
            loop=self._loop,
            draw_service_s=drawing(times.service, f"service/{trial.seed}"),
            draw_connect_s=drawing(times.connect, f"connect/{trial.seed}"),
            on_event=self._heard,
            password=PASSWORD if slow else None,
            max_connections=trial.story.max_connections or UNLIMITED,
            limits=trial.story.server,
            reaper=trial.story.reaper,
            connect_cost=trial.story.connect_cost,
            seed=trial.seed,
            **options,
        )
        network.listen(HOST, PORT, server, addresses=trial.wake.addresses if trial.wake is not None else 1)
        return server

    async def warm(self, ages_s: Sequence[float]) -> float:
        for instance in self._instances:
            try:
                await instance.warm(ages_s)
            except* Exception as group:  # noqa: BLE001 - whatever it is, the story can't begin
                name = type(driver_exception(group.exceptions[0])).__name__
                what = f"the pool could not be warmed: {name}"
                raise UserError(
                    what, where="warm", allowed="timeouts longer than connecting takes, or Warm(0)"
                ) from None
        return self._loop.time()

    async def suspend(self) -> None:
        self._server.suspend()
        # The news reaches the clients before anybody asks.
        await asyncio.sleep(0)

    async def slow(self, round_trip_s: float) -> None:
        self._network.slower_s = round_trip_s

    async def outage(self, outage: Outage) -> None:
        self._server.outage(outage)
        # The news reaches the clients before anybody asks.
        await asyncio.sleep(0)

    async def lose_connections(self, loss: ConnectionLoss) -> None:
        self._server.lose(loss)
        # The news reaches the clients before anybody asks.
        await asyncio.sleep(0)

    async def replace_pool(self, instance: int) -> None:
        self._instances[instance].replace_pool()

    async def begin_load(self, share: LoadShare) -> float:
        start_s = self._loop.time()
        if self._origin_s is None:
            self._origin_s = start_s + share.load.starts_s[0]
        self._requests = []
        self._arriving = self._loop.create_task(self._ask_all(share, start_s))
        return start_s

    async def end_load(self, share: LoadShare) -> float:  # noqa: ARG002 - the one under way
        await self._arriving
        for request in self._requests:
            await request
        return self._loop.time()

    async def _ask_all(self, share: LoadShare, start_s: float) -> None:
        for arrival in share.arrivals():
            await self._until(start_s + arrival.at_s)
            self._requests.append(self._ask(arrival, start_s + arrival.at_s, share))

    async def _until(self, at_s: float) -> None:
        if at_s > self._loop.time():
            reached = self._loop.create_future()
            self._loop.call_at(at_s, reached.set_result, None)
            await reached

    def _ask(self, arrival: Arrival, arrival_s: float, share: LoadShare) -> asyncio.Future[None]:
        """Start a request; done when its client has a good answer, or has given up for good."""
        ended = self._loop.create_future()
        attempts = Attempts(share.waits_s(arrival.number))
        instance = self._instances[arrival.number % len(self._instances)]

        def attempt() -> None:
            number = attempts.number
            work = self._loop.create_task(instance.perform(arrival.request, arrival.key, hold_s=arrival.hold_s))
            patience = self._loop.call_later(self._trial.story.client_timeout_s, give_up, number, work)
            work.add_done_callback(partial(answered, number, patience))

        def give_up(number: int, work: asyncio.Task[Answer]) -> None:
            # Unless the story says otherwise, the service goes on with it: see harness/service/app.py.
            if self._cancels:
                work.cancel()
            end(number, None)

        def answered(number: int, patience: asyncio.TimerHandle, work: asyncio.Task[Answer]) -> None:
            patience.cancel()
            if not work.cancelled():
                end(number, work.result())

        def end(number: int, answer: Answer | None) -> None:
            if number != attempts.number or ended.done():
                # An answer to a try that its client had given up.
                return
            outcome = Outcome.CLIENT_TIMEOUT if answer is None else answer.outcome
            if (wait_s := attempts.wait_after_s(outcome)) is not None:
                self._loop.call_later(wait_s, attempt)
                return
            end_s = self._loop.time()
            self._rows.requests.append({
                "number": share.first_number + arrival.number, "burst": share.first_burst + arrival.burst,
                "request": arrival.request.value, "arrival_s": arrival_s,
                "start_s": arrival_s, "end_s": end_s, "latency_s": end_s - arrival_s, "attempts": number,
                **_answered(answer),
            })  # fmt: skip
            ended.set_result(None)

        attempt()
        return ended

    # What is heard:

    def _heard(self, event: str, at_s: float, *, value_s: float | None = None) -> None:
        if event == "released":
            self._late.append((at_s, value_s or 0.0))
            return
        if event == Event.SUSPENDED:
            self._released()
        if event in EVENTS_KEPT:
            self.event(Event(event), at_s, value_s=value_s)

    def _released(self) -> None:
        """Of all that were released, the first and the last."""
        for event, (at_s, late_s) in zip(
            (Event.FIRST_RELEASED, Event.LAST_RELEASED), self._late[:1] + self._late[-1:], strict=False
        ):
            self.event(event, at_s, value_s=late_s)
        self._late.clear()

    def _row_of_pool(self, instance: int, sample: PoolSample) -> None:
        self._rows.pool.append({**sample.to_record(), "instance": instance})

    def _move_to_the_burst(self) -> None:
        origin_s = self._origin_s or 0.0
        for row in chain(self._rows.pool, self._rows.events):
            row["at_s"] -= origin_s
        for row in self._rows.requests:
            for name in ("arrival_s", "start_s", "end_s"):
                row[name] -= origin_s


def _answered(answer: Answer | None) -> Row:
    if answer is None:
        return {"outcome": Outcome.CLIENT_TIMEOUT.value, "error": "TimeoutError"}
    return {
        "outcome": answer.outcome.value,
        "error": answer.error,
        "checkout_s": answer.checkout_s,
        "connect_s": answer.connect_s,
        "ping_s": answer.ping_s,
        "query_s": answer.query_s,
        "idle_s": answer.idle_s,
    }
