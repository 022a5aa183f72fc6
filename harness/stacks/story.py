"""Playing a trial's timeline in real time: warm, suspend, idle, burst, with what everybody says meanwhile recorded."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import assert_never

from harness.model.burst_share import BurstShare, lead_s
from harness.model.errors import StackError
from harness.model.events import Event
from harness.model.timeline import Burst, Idle, Slow, Suspend, TimelinePhase, Warm
from harness.model.trial import Trial
from harness.processes.messages import (
    AnyProxyEvent,
    BurstFinished,
    ComputeSuspended,
    ComputeWoken,
    ConnectionAccepted,
    ConnectionClosed,
    ConnectionReleased,
    DialFailed,
    FirstAttempt,
    ProxyReported,
    RequestEnded,
    StartBurst,
)
from harness.processes.process import Child
from harness.stacks.base import Progress
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
            if not isinstance(record, ProxyReported):
                raise proxy.out_of_step(record)
            self.take(record.event)

    def take(self, event: AnyProxyEvent) -> None:
        """One event, to the rows of its proxy's trial."""
        taker = self._takers.get(event.proxy)
        if taker is not None:
            taker.take(event)


class _WakeEvents:
    """Turns one proxy's events into rows: of all that were released, the first and the last."""

    def __init__(self, rows: TrialRows) -> None:
        self._rows = rows
        self._accepted: list[float] = []
        self._last_released: ConnectionReleased | None = None

    def take(self, event: AnyProxyEvent) -> None:
        match event:
            case ConnectionAccepted(connection=int()):
                self._accepted.append(event.at_s)
            case ComputeSuspended():
                self._accepted.clear()
                self._rows.event(Event.SUSPENDED, event.at_s)
            case FirstAttempt():
                # Late: from the moment the attempt was accepted, where whoever says so was there; a dropped one can
                # only be seen by polling, and Toxiproxy's log is read.
                late_s = event.at_s - self._accepted[0] if self._accepted else None
                self._rows.event(Event.FIRST_ATTEMPT, event.at_s, value_s=late_s)
            case ComputeWoken():
                self.ended()
                self._rows.event(Event.WOKEN, event.at_s, value_s=event.at_s - event.planned_at_s)
            case ConnectionReleased():
                if self._last_released is None:
                    self._rows.event(Event.FIRST_RELEASED, event.at_s, value_s=event.late_s)
                self._last_released = event
            case ConnectionAccepted() | ConnectionClosed() | DialFailed():
                pass
            case _:
                assert_never(event)

    def ended(self) -> None:
        """No more releases belong to the wake that was."""
        if self._last_released is not None:
            self._rows.event(Event.LAST_RELEASED, self._last_released.at_s, value_s=self._last_released.late_s)
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
        self._finished = asyncio.Queue[BurstFinished]()
        self._bursts = 0
        self._asked_before = 0
        """Requests of the bursts that are over: numbers go on from one burst to the next."""

    async def read_load(self) -> None:
        async for record in self._load.records():
            match record:
                case RequestEnded(row=row):
                    self._rows.request(replace(row, number=self._asked_before + row.number))
                    self._progress.request_ended(self._trial, row.outcome)
                case BurstFinished():
                    self._finished.put_nowait(record)
                case _:
                    raise self._load.out_of_step(record)

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
        share = BurstShare(burst=burst, seed=seed, retry=self._trial.story.retry)
        await self._load.send(StartBurst(at_s=start_s, share=share))
        self._rows.burst_starts(start_s)
        starts = datetime.now(UTC) + timedelta(seconds=start_s - monotonic())
        self._rows.event(Event.BURST_STARTED, start_s, utc=starts.isoformat(timespec="milliseconds"))
        self._progress.phase(self._trial, "burst")
        limit_s = lead_s(burst) + burst.over_s + self._patience_s() + PATIENCE_S
        with suppress(TimeoutError):
            ended = await asyncio.wait_for(self._finished.get(), limit_s)
            self._asked_before += burst.requests
            self._rows.event(Event.BURST_ENDED, ended.at_s)
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
