"""One trial in virtual time: its instances of a service, its clients and its database.

What HTTP, Locust and real sockets add is left out; the pool, the driver and everything they do with their timeouts
is what production runs. The instances are the service under test's, or a user's own application's: `trial.py` and
harness/guest say which.
"""

import asyncio
import json
from collections.abc import Sequence
from functools import partial
from itertools import chain, repeat
from typing import Any, Protocol

from harness.model.arrivals import AnyRequest, Arrival
from harness.model.errors import UserError
from harness.model.events import Event
from harness.model.load_share import LoadShare
from harness.model.outcomes import Outcome
from harness.model.retry import Attempts
from harness.model.rows import PoolSample
from harness.model.story import OnDisconnect
from harness.model.timeline import ConnectionLoss, Outage, Slow, Warm
from harness.model.times import Times, drawing
from harness.model.trial import Trial
from harness.player import Player
from harness.service.answer import Answer
from harness.service.observation import PoolWatch
from harness.service.sampling import EVERY_S, Timeline, sample_together
from harness.simulation.backend import SimulatedPostgres
from harness.simulation.loop import VirtualLoop
from harness.simulation.network import Network
from harness.simulation.rows import Row, Simulated

HOST, PORT = "localhost", 5432
PASSWORD = "simulated"  # noqa: S105 - of nothing
USER, DATABASE = "coldstart", "catalogue"
URL = f"postgresql://{USER}:{PASSWORD}@{HOST}:{PORT}/{DATABASE}"
LONG_S = 600.0
"""A story with longer bursts, or with connections that have to grow older, is sampled at its events, and this often."""
UNLIMITED = 1_000_000
"""Connections of a database that gives as many as are asked for."""
EVENTS_KEPT = frozenset({Event.SUSPENDED, Event.FIRST_ATTEMPT, Event.WOKEN})


class VirtualInstance(Protocol):
    """One instance of a service in virtual time."""

    async def perform(self, request: AnyRequest, key: int, *, hold_s: float = 0.0) -> Answer:
        """Carry out one request; whatever goes wrong is its outcome. A cancellation goes through."""
        ...

    async def warm(self, ages_s: Sequence[float]) -> None:
        """Its pool opens a connection for each age and uses it once."""
        ...

    def replace_pool(self) -> None:
        """From now on requests have a new, empty pool."""
        ...

    async def abandon(self) -> None:
        """End at once, whatever is under way."""
        ...


class VirtualDriver:
    """One trial's instances of a service, its clients and its database, in virtual time: a `Driver`.

    A subclass says what its instances are (`make_instance`), and what is done before and after.
    """

    def __init__(self, loop: VirtualLoop, trial: Trial, times: Times, *, sampled: bool) -> None:
        self.loop = loop
        self.trial = trial
        self.rows = Simulated()
        self._origin_s: float | None = None
        self._requests: list[asyncio.Future[None]] = []
        """Of the burst under way."""
        self._late: list[tuple[float, float]] = []
        """When each held connection went on, and how late."""
        self.server = self._database_server(times)
        ages_s = (age_s for phase in trial.story.timeline if isinstance(phase, Warm) for age_s in phase.ages_s)
        long = sum(burst.over_s for burst in trial.story.bursts) > LONG_S or max(ages_s, default=0.0) > LONG_S
        self._sample_every_s = LONG_S if long else EVERY_S
        instances = range(trial.story.instances)
        self._rows_of_pool: dict[int, Row] = {}
        """The last one of each instance."""
        self._samples = [
            Timeline(partial(self._row_of_pool, one), take_again=partial(self._row_of_pool_again, one))
            for one in instances
            if sampled
        ]
        watches = [samples.watch for samples in self._samples] or [PoolWatch() for _ in instances]
        self.prepare()
        self.instances = [self.make_instance(watch) for watch in watches]
        self._cancels = trial.story.on_disconnect is OnDisconnect.CANCEL

    # What a subclass says:

    def server_options(self, times: Times) -> dict[str, Any]:  # noqa: ARG002 - of a subclass
        """More arguments of the simulated server, or others in their place."""
        return {}

    def prepare(self) -> None:
        """Called before the instances are made: the network is there."""

    def make_instance(self, watch: PoolWatch) -> VirtualInstance:
        """An instance whose pool `watch` watches."""
        raise NotImplementedError

    async def begin(self) -> None:
        """Called as the story begins."""

    async def end(self) -> None:
        """Called when the story is over: what belongs to it alone ends."""

    def close(self) -> None:
        """Called at the very end: what is outside of the loop is closed."""

    async def connect_listeners(self) -> None:
        """Wait until every instance's queue listener is connected, where the story has one."""

    async def play(self) -> Simulated:
        """The trial's rows."""
        await self.begin()
        # One task for all: as many wait for the same moments otherwise, and do nothing else.
        sampling = self.loop.create_task(sample_together(self._samples, every_s=self._sample_every_s))
        try:
            await Player(self.trial, self).play()
        finally:
            await self.end()
        sampling.cancel()
        self._released()
        self._move_to_the_burst()
        for instance in self.instances:
            await instance.abandon()
        self.network.sever()
        self.close()
        await asyncio.sleep(0)
        return self.rows

    # What the player asks for:

    def under_way(self, phase: str) -> None:
        """Nobody watches: it takes no time."""

    def event(self, event: Event, at_s: float, *, value_s: float | None = None, **detail: int | str) -> None:
        text = json.dumps(detail, sort_keys=True) if detail else None
        self.rows.events.append({"at_s": at_s, "event": event, "value_s": value_s, "detail": text})

    def _database_server(self, times: Times) -> SimulatedPostgres:
        trial = self.trial
        # Where round trips take long, those of the authentication count too.
        slow = any(isinstance(phase, Slow) for phase in trial.story.phases)
        self.network = network = Network(self.loop, draw_way_s=times.way(trial.seed), kernel=times.kernel, slows=slow)
        options: dict[str, Any] = {
            "draw_service_s": drawing(times.service, f"service/{trial.seed}"),
            "draw_connect_s": drawing(times.connect, f"connect/{trial.seed}"),
            **self.server_options(times),
        }
        if trial.wake is not None:
            latencies_s = trial.wake_latencies_s()
            options["behaviour"] = trial.wake.behaviour(suspends_by_itself=trial.story.suspends_by_itself)
            options["draw_wake_latency_s"] = chain(latencies_s, repeat(latencies_s[-1])).__next__
        server = SimulatedPostgres(
            loop=self.loop,
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
        for instance in self.instances:
            try:
                await instance.warm(ages_s)
            except* UserError as group:
                raise group.exceptions[0] from None
            except* Exception as group:  # noqa: BLE001 - whatever it is, the story can't begin
                what = f"the pool could not be warmed: {self.error_name(group.exceptions[0])}"
                raise UserError(
                    what, where="warm", allowed="timeouts longer than connecting takes, or Warm(0)"
                ) from None
        return self.loop.time()

    def error_name(self, exception: BaseException) -> str:
        """The name by which a failure is told."""
        return type(exception).__name__

    async def suspend(self) -> None:
        self.server.suspend()
        # The news reaches the clients before anybody asks.
        await asyncio.sleep(0)

    async def slow(self, round_trip_s: float) -> None:
        self.network.slower_s = round_trip_s

    async def outage(self, outage: Outage) -> None:
        self.server.outage(outage)
        # The news reaches the clients before anybody asks.
        await asyncio.sleep(0)

    async def lose_connections(self, loss: ConnectionLoss) -> None:
        self.server.lose(loss)
        # The news reaches the clients before anybody asks.
        await asyncio.sleep(0)

    async def replace_pool(self, instance: int) -> None:
        self.instances[instance].replace_pool()

    async def begin_load(self, share: LoadShare) -> float:
        start_s = self.loop.time()
        if self._origin_s is None:
            self._origin_s = start_s + share.load.starts_s[0]
        self._requests = []
        self._arriving = self.loop.create_task(self._ask_all(share, start_s))
        return start_s

    async def end_load(self, share: LoadShare) -> float:  # noqa: ARG002 - the one under way
        await self._arriving
        for request in self._requests:
            await request
        return self.loop.time()

    async def _ask_all(self, share: LoadShare, start_s: float) -> None:
        for arrival in share.arrivals():
            await self._until(start_s + arrival.at_s)
            self._requests.append(self._ask(arrival, start_s + arrival.at_s, share))

    async def _until(self, at_s: float) -> None:
        if at_s > self.loop.time():
            reached = self.loop.create_future()
            self.loop.call_at(at_s, reached.set_result, None)
            await reached

    def _ask(self, arrival: Arrival, arrival_s: float, share: LoadShare) -> asyncio.Future[None]:
        """Start a request; done when its client has a good answer, or has given up for good."""
        ended = self.loop.create_future()
        attempts = Attempts(share.waits_s(arrival.number))
        instance = self.instances[arrival.number % len(self.instances)]

        def attempt() -> None:
            number = attempts.number
            work = self.loop.create_task(instance.perform(arrival.request, arrival.key, hold_s=arrival.hold_s))
            patience = self.loop.call_later(self.trial.story.client_timeout_s, give_up, number, work)
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
                self.loop.call_later(wait_s, attempt)
                return
            end_s = self.loop.time()
            self.rows.requests.append({
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
        row = {**sample.to_record(), "instance": instance}
        self._rows_of_pool[instance] = row
        self.rows.pool.append(row)

    def _row_of_pool_again(self, instance: int, at_s: float) -> None:
        self.rows.pool.append({**self._rows_of_pool[instance], "at_s": at_s})

    def _move_to_the_burst(self) -> None:
        origin_s = self._origin_s or 0.0
        for row in chain(self.rows.pool, self.rows.events):
            row["at_s"] -= origin_s
        for row in self.rows.requests:
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
