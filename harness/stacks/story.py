"""Playing a trial's timeline in real time: warm, suspend, idle, burst, with what everybody says meanwhile recorded."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from harness.model.errors import StackError
from harness.model.order import lead_s
from harness.model.timeline import Burst, Idle, Slow, Suspend, TimelinePhase, Warm
from harness.model.trial import Trial
from harness.processes.process import Child
from harness.stacks.base import Progress
from harness.stacks.driving import order
from harness.stacks.stage import Stage, Target
from harness.stacks.timebase import TrialRows

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


async def play(trial: Trial, *, target: Target, load: Child, rows: TrialRows, progress: Progress) -> None:
    """Play the timeline once. Raises `StackError` when the service or Locust dies meanwhile."""
    stage = Stage(trial, target, rows)
    story = _Story(trial, stage, load, rows, progress)
    async with asyncio.TaskGroup() as group:
        instances = range(len(target.services))
        background = [
            *(group.create_task(stage.read(instance)) for instance in instances),
            *(group.create_task(stage.watch(instance)) for instance in instances),
            group.create_task(story.read_load()),
            group.create_task(load.watch()),
        ]
        await stage.listeners()
        for phase in trial.story.timeline:
            await story.phase(phase)
        await asyncio.sleep(SETTLE_S)
        for task in background:
            task.cancel()


class _Story:
    """One trial under way."""

    def __init__(self, trial: Trial, stage: Stage, load: Child, rows: TrialRows, progress: Progress) -> None:
        self._trial = trial
        self._stage = stage
        self._load = load
        self._rows = rows
        self._progress = progress
        self._finished = asyncio.Queue[dict[str, Any]]()
        self._bursts = 0
        self._asked_before = 0
        """Requests of the bursts that are over: numbers go on from one burst to the next."""

    async def read_load(self) -> None:
        async for record in self._load.records():
            if record["record"] == "request":
                self._rows.request({**record, "number": self._asked_before + record["number"]})
                self._progress.request_ended(self._trial, record["outcome"])
            else:
                self._finished.put_nowait(record)

    async def phase(self, phase: TimelinePhase) -> None:
        if isinstance(phase, Burst):
            await self._burst(phase)
        else:
            self._progress.phase(self._trial, _UNDER_WAY[type(phase)])
            await self._stage.phase(phase)

    async def _burst(self, burst: Burst) -> None:
        start_s = monotonic() + lead_s(burst)
        seed = self._trial.burst_seed(self._bursts)
        self._bursts += 1
        await self._load.send(order(burst, at_s=start_s, seed=seed, retry=self._trial.story.retry))
        self._rows.burst_starts(start_s)
        starts = datetime.now(UTC) + timedelta(seconds=start_s - monotonic())
        self._rows.event("burst_started", start_s, utc=starts.isoformat(timespec="milliseconds"))
        self._progress.phase(self._trial, "burst")
        limit_s = lead_s(burst) + burst.over_s + self._patience_s() + PATIENCE_S
        with suppress(TimeoutError):
            ended = await asyncio.wait_for(self._finished.get(), limit_s)
            self._asked_before += burst.requests
            self._rows.event("burst_ended", ended["at_s"])
            return
        raise StackError("locust", f"had not finished its burst after {limit_s:g} s", log=self._load.log)

    def _patience_s(self) -> float:
        """The longest that a client goes on, retries included."""
        scenario = self._trial.story
        if scenario.retry is None:
            return scenario.client_timeout_s
        longest = scenario.retry.retries * (scenario.client_timeout_s + scenario.retry.max_wait_s)
        return scenario.client_timeout_s + longest


_UNDER_WAY = {Warm: "warming", Suspend: "suspending", Slow: "slowing", Idle: "idle"}
"""What a phase is called while it is played."""
