"""Playing a trial's timeline in real time: warm, suspend, idle, burst, with what everybody says meanwhile recorded."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

from harness.errors import StackError
from harness.order import lead_s
from harness.process import Child
from harness.scenario import Burst, Idle, Slow, Suspend, TimelinePhase, Warm
from harness.stacks.base import Progress
from harness.stacks.driving import order
from harness.stacks.timebase import TrialRows
from harness.trial import Trial

SETTLE_S = 0.25
"""After the last answer: what the pool does with its connections is recorded too."""
PATIENCE_S = 30.0
"""How long, beyond the burst and the clients' patience, the last request may take."""


class ProxyEvents:
    """The proxy's event stream, sorted by proxy into the rows of the trials."""

    def __init__(self) -> None:
        self._takers: dict[str, _WakeEvents] = {}

    @contextmanager
    def of(self, proxy: str, rows: TrialRows) -> Iterator[None]:
        """While inside, this proxy's events go to these rows."""
        taker = self._takers[proxy] = _WakeEvents(rows)
        try:
            yield
        finally:
            taker.ended()
            del self._takers[proxy]

    async def read(self, proxy: Child) -> None:
        """Sorts what the proxy's process says, until it ends."""
        async for record in proxy.records():
            self.take(record)

    def take(self, record: dict[str, Any]) -> None:
        """One event, to the rows of its proxy's trial."""
        taker = self._takers.get(record.get("proxy", ""))
        if taker is not None:
            taker.take(record)


class _WakeEvents:
    """Turns one proxy's events into rows: of all that were released, the first and the last."""

    def __init__(self, rows: TrialRows) -> None:
        self._rows = rows
        self._accepted: list[float] = []
        self._last_released: dict[str, Any] | None = None

    def take(self, record: dict[str, Any]) -> None:
        match record["event"]:
            case "accepted" if "connection" in record:
                self._accepted.append(record["at_s"])
            case "suspended":
                self._accepted.clear()
                self._rows.event("suspended", record["at_s"])
            case "first_attempt":
                # Late: from the moment the attempt was accepted, where whoever says so was there; a dropped one can
                # only be seen by polling, and Toxiproxy's log is read.
                late_s = record["at_s"] - self._accepted[0] if self._accepted else None
                self._rows.event("first_attempt", record["at_s"], value_s=late_s)
            case "woken":
                self.ended()
                self._rows.event("woken", record["at_s"], value_s=record["at_s"] - record["planned_at_s"])
            case "released":
                if self._last_released is None:
                    self._rows.event("first_released", record["at_s"], value_s=record["late_s"])
                self._last_released = record

    def ended(self) -> None:
        """No more releases belong to the wake that was."""
        if self._last_released is not None:
            self._rows.event("last_released", self._last_released["at_s"], value_s=self._last_released["late_s"])
            self._last_released = None


async def play(
    trial: Trial,
    *,
    service: Child,
    load: Child,
    suspend: Callable[[], Awaitable[None]],
    slow: Callable[[float], Awaitable[None]],
    rows: TrialRows,
    progress: Progress,
) -> None:
    """Play the timeline once. Raises `StackError` when the service or Locust dies meanwhile."""
    story = _Story(trial, service, load, suspend, slow, rows, progress)
    async with asyncio.TaskGroup() as group:
        background = [
            group.create_task(story.read_service()),
            group.create_task(story.read_load()),
            group.create_task(service.watch()),
            group.create_task(load.watch()),
        ]
        await story.listener()
        for phase in trial.scenario.timeline:
            await story.phase(phase)
        await asyncio.sleep(SETTLE_S)
        for task in background:
            task.cancel()


class _Story:
    """One trial under way."""

    def __init__(
        self,
        trial: Trial,
        service: Child,
        load: Child,
        suspend: Callable[[], Awaitable[None]],
        slow: Callable[[float], Awaitable[None]],
        rows: TrialRows,
        progress: Progress,
    ) -> None:
        self._trial = trial
        self._service = service
        self._load = load
        self._suspend = suspend
        self._slow = slow
        self._rows = rows
        self._progress = progress
        self._warmed = asyncio.Queue[dict[str, Any]]()
        self._finished = asyncio.Queue[dict[str, Any]]()
        self._listening = asyncio.Queue[dict[str, Any]]()
        self._bursts = 0

    async def read_service(self) -> None:
        async for record in self._service.records():
            if record["record"] == "pool":
                self._rows.pool(record)
            elif record["record"] == "listener":
                self._listener_said(record)
            else:
                self._warmed.put_nowait(record)

    def _listener_said(self, record: dict[str, Any]) -> None:
        said = {name: value for name, value in record.items() if name != "record"}
        self._rows.event(said.pop("event"), said.pop("at_s"), value_s=said.pop("value_s"), **said)
        if record["event"] in ("listener_connected", "listener_connect_failed"):
            self._listening.put_nowait(record)

    async def listener(self) -> None:
        """Wait for the queue listener, where the story has one."""
        if self._trial.scenario.listener is None:
            return
        record = await self._listening.get()
        if record["event"] != "listener_connected":
            raise StackError(
                "service", f"its queue listener could not connect: {record['error']}", log=self._service.log
            )

    async def read_load(self) -> None:
        async for record in self._load.records():
            if record["record"] == "request":
                self._rows.request(record)
                self._progress.request_ended(self._trial, record["outcome"])
            else:
                self._finished.put_nowait(record)

    async def phase(self, phase: TimelinePhase) -> None:
        match phase:
            case Warm(connections):
                await self._warm(self._trial.pool.pool_size if connections is None else connections)
            case Suspend():
                if not self._trial.is_control:
                    self._progress.phase(self._trial, "suspending")
                    await self._suspend()
            case Slow(round_trip_s):
                await self._slow(round_trip_s)
                self._rows.event("slow", monotonic(), value_s=round_trip_s)
            case Idle(for_s):
                self._progress.phase(self._trial, f"idle for {for_s:g} s")
                await asyncio.sleep(for_s)
            case Burst():
                await self._burst(phase)

    async def _warm(self, connections: int) -> None:
        self._progress.phase(self._trial, "warming")
        await self._service.send({"command": "warm", "connections": connections})
        record = await self._warmed.get()
        if record["record"] != "warmed":
            raise StackError("service", f"could not warm its pool: {record.get('error')}", log=self._service.log)
        self._rows.event("warmed", record["at_s"], connections=record["connections"])

    async def _burst(self, burst: Burst) -> None:
        start_s = monotonic() + lead_s(burst)
        seed = self._trial.burst_seed(self._bursts)
        self._bursts += 1
        await self._load.send(order(burst, at_s=start_s, seed=seed, retry=self._trial.scenario.retry))
        self._rows.burst_starts(start_s)
        self._rows.event("burst_started", start_s)
        self._progress.phase(self._trial, "burst")
        limit_s = lead_s(burst) + burst.over_s + self._trial.scenario.client_timeout_s + PATIENCE_S
        with suppress(TimeoutError):
            ended = await asyncio.wait_for(self._finished.get(), limit_s)
            self._rows.event("burst_ended", ended["at_s"])
            return
        raise StackError("locust", f"had not finished its burst after {limit_s:g} s", log=self._load.log)
