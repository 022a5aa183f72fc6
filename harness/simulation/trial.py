"""One trial in virtual time: the service's own engine and request functions, on the unmodified client libraries.

What HTTP, Locust and real sockets add is left out; the pool, the driver and everything they do with their timeouts
is what production runs.
"""

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from itertools import chain, repeat
from typing import Any

from harness.model.arrivals import Arrival, RequestMix
from harness.model.errors import UserError
from harness.model.events import Event
from harness.model.outcomes import Outcome
from harness.model.rows import ListenerEvent, PoolSample
from harness.model.timeline import Burst, Idle, Slow, Suspend, TimelinePhase, Warm
from harness.model.times import Times, drawing
from harness.model.trial import Trial
from harness.service.answer import Answer
from harness.service.database import create_engine
from harness.service.listener import listening
from harness.service.observation import PoolWatch
from harness.service.requests import Database
from harness.service.sampling import EVERY_S, Timeline
from harness.simulation.backend import SimulatedPostgres
from harness.simulation.loop import VirtualLoop, run
from harness.simulation.network import Network
from harness.simulation.rows import Row, Simulated

HOST, PORT = "localhost", 5432
PASSWORD = "simulated"  # noqa: S105 - of nothing
URL = f"postgresql+asyncpg://coldstart:{PASSWORD}@{HOST}:{PORT}/catalogue"
LONG_S = 600.0
"""A story with longer bursts is sampled at its events, and this often."""
UNLIMITED = 1_000_000
"""Connections of a database that gives as many as are asked for."""
SETTLE_S = 0.25
"""After the last answer: what the pool does with its connections is recorded too."""
EVENTS_KEPT = frozenset({Event.SUSPENDED, Event.FIRST_ATTEMPT, Event.WOKEN})


def simulate(trial: Trial, times: Times | None = None, *, sampled: bool = True) -> Simulated:
    """Play one trial in virtual time. `sampled` False leaves the pool's timeline out.

    The same trial and times give the same rows, in any process on any day.
    Raises `harness.simulation.loop.StalledError` when the story can't go on, and `UserError` when the scenario's
    listener can't connect even to a compute that is awake.
    """
    return run(lambda loop: _Story(loop, trial, times or Times(), sampled=sampled).play())


class _Story:
    """One trial under way."""

    def __init__(self, loop: VirtualLoop, trial: Trial, times: Times, *, sampled: bool) -> None:
        self._loop = loop
        self._trial = trial
        self._rows = Simulated()
        self._origin_s: float | None = None
        self._bursts = 0
        self._asked_before = 0
        """Requests of the bursts that are over: numbers go on from one burst to the next."""
        self._late: list[tuple[float, float]] = []
        """When each held connection went on, and how late."""
        self._server = self._database_server(times)
        every_s = EVERY_S if sum(burst.over_s for burst in trial.story.bursts) <= LONG_S else LONG_S
        instances = range(trial.story.instances)
        self._samples = [Timeline(partial(self._row_of_pool, one), every_s=every_s) for one in instances if sampled]
        watches = [samples.watch for samples in self._samples] or [PoolWatch() for _ in instances]
        self._instances = [Database(create_engine(URL, trial.pool, watch=watch), watch) for watch in watches]

    async def play(self) -> Simulated:
        sampling = [self._loop.create_task(samples.run()) for samples in self._samples]
        async with AsyncExitStack() as stack:
            for _ in self._instances:
                await self._listen(stack)
            for phase in self._trial.story.timeline:
                await self._play(phase)
            await asyncio.sleep(SETTLE_S)
        for task in sampling:
            task.cancel()
        self._released()
        self._move_to_the_burst()
        for instance in self._instances:
            await instance.close_leaked()
        self._network.sever()
        await asyncio.sleep(0)
        return self._rows

    async def _listen(self, stack: AsyncExitStack) -> None:
        """An instance's queue listener, connected, where the story has one."""
        listener = self._trial.story.listener
        if listener is None:
            return
        first_word: asyncio.Future[ListenerEvent] = self._loop.create_future()

        def heard(event: ListenerEvent) -> None:
            detail = json.dumps(dict(event.detail), sort_keys=True) if event.detail else None
            self._event(event.event, at_s=event.at_s, value_s=event.value_s, detail=detail)
            if not first_word.done():
                first_word.set_result(event)

        await stack.enter_async_context(listening(listener, URL, heard))
        first = await first_word
        if first.event is not Event.LISTENER_CONNECTED:
            what = f"its first attempt to connect failed: {first.detail['error']} after {first.value_s:g} s"
            raise UserError(what, where="listener", allowed="a connect_timeout_s longer than connecting takes")

    def _database_server(self, times: Times) -> SimulatedPostgres:
        trial = self._trial
        # Where round trips take long, those of the authentication count too.
        slow = any(isinstance(phase, Slow) for phase in trial.story.timeline)
        self._network = network = Network(self._loop, draw_way_s=times.way(trial.seed), slows=slow)
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
            seed=trial.seed,
            **options,
        )
        network.listen(HOST, PORT, server, addresses=trial.wake.addresses if trial.wake is not None else 1)
        return server

    async def _play(self, phase: TimelinePhase) -> None:
        match phase:
            case Warm(connections):
                wanted = self._trial.pool.pool_size if connections is None else connections
                for instance in self._instances:
                    await instance.warm(wanted)
                self._event(Event.WARMED, detail=f'{{"connections": {wanted * len(self._instances)}}}')
            case Suspend():
                if not self._trial.is_control:
                    self._server.suspend()
                    # The news reaches the clients before anybody asks.
                    await asyncio.sleep(0)
            case Idle(for_s):
                await asyncio.sleep(for_s)
            case Slow(round_trip_s):
                self._network.slower_s = round_trip_s
                self._event(Event.SLOW, value_s=round_trip_s)
            case Burst():
                await self._burst(phase)

    async def _burst(self, burst: Burst) -> None:
        start_s = self._loop.time()
        if self._origin_s is None:
            self._origin_s = start_s
        self._event(Event.BURST_STARTED)
        arrivals = burst.schedule(self._trial.burst_seed(self._bursts))
        retry = self._trial.story.retry
        waits_s = partial(retry.waits_s, self._trial.burst_seed(self._bursts)) if retry is not None else no_waits
        self._bursts += 1
        requests = []
        for arrival in arrivals:
            await self._until(start_s + arrival.at_s)
            requests.append(self._ask(arrival, start_s + arrival.at_s, burst.mix, waits_s(arrival.number)))
        for request in requests:
            await request
        self._asked_before += len(arrivals)
        self._event(Event.BURST_ENDED)

    async def _until(self, at_s: float) -> None:
        if at_s > self._loop.time():
            reached = self._loop.create_future()
            self._loop.call_at(at_s, reached.set_result, None)
            await reached

    def _ask(
        self, arrival: Arrival, arrival_s: float, mix: RequestMix, waits_s: Sequence[float]
    ) -> asyncio.Future[None]:
        """Start a request; done when its client has a good answer, or has given up for good."""
        ended = self._loop.create_future()
        over: set[int] = set()
        """The tries that were answered, or whose client gave up."""

        def attempt(number: int) -> None:
            instance = self._instances[arrival.number % len(self._instances)]
            work = self._loop.create_task(instance.perform(arrival.request, arrival.key, hold_s=mix.hold_s))
            # The service goes on with a request whose client has given up: see harness/service/app.py.
            patience = self._loop.call_later(self._trial.story.client_timeout_s, end, number, None)
            work.add_done_callback(partial(answered, number, patience))

        def answered(number: int, patience: asyncio.TimerHandle, work: asyncio.Task[Answer]) -> None:
            patience.cancel()
            if not work.cancelled():
                end(number, work.result())

        def end(number: int, answer: Answer | None) -> None:
            if number in over:
                return
            over.add(number)
            if number <= len(waits_s) and (answer is None or answer.outcome is not Outcome.OK):
                self._loop.call_later(waits_s[number - 1], attempt, number + 1)
                return
            end_s = self._loop.time()
            self._rows.requests.append({
                "number": self._asked_before + arrival.number, "request": arrival.request.value, "arrival_s": arrival_s,
                "start_s": arrival_s, "end_s": end_s, "latency_s": end_s - arrival_s, "attempts": number,
                **_answered(answer),
            })  # fmt: skip
            ended.set_result(None)

        attempt(1)
        return ended

    # What is heard:

    def _heard(self, event: str, at_s: float, *, value_s: float | None = None) -> None:
        if event == "released":
            self._late.append((at_s, value_s or 0.0))
            return
        if event == Event.SUSPENDED:
            self._released()
        if event in EVENTS_KEPT:
            self._event(Event(event), at_s=at_s, value_s=value_s)

    def _released(self) -> None:
        """Of all that were released, the first and the last."""
        for event, (at_s, late_s) in zip(
            (Event.FIRST_RELEASED, Event.LAST_RELEASED), self._late[:1] + self._late[-1:], strict=False
        ):
            self._event(event, at_s=at_s, value_s=late_s)
        self._late.clear()

    def _event(
        self, event: Event, *, at_s: float | None = None, value_s: float | None = None, detail: str | None = None
    ) -> None:
        at_s = self._loop.time() if at_s is None else at_s
        self._rows.events.append({"at_s": at_s, "event": event, "value_s": value_s, "detail": detail})

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


def no_waits(_number: int) -> Sequence[float]:
    """Of clients that ask once."""
    return ()
