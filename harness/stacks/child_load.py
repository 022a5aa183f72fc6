"""Real time with Locust as a child of the harness: what a timeline asks of the clients."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from harness.converter import to_json
from harness.model.doubt import Component
from harness.model.errors import StackError
from harness.model.events import Event
from harness.model.load_share import LoadShare, lead_s
from harness.model.trial import Trial
from harness.processes.messages import BurstFinished, LoopStalled, RequestEnded, StartBurst
from harness.processes.process import Child
from harness.stacks.base import Progress
from harness.stacks.target import Target, TargetDriver
from harness.stacks.timebase import TrialRows
from harness.stacks.wakes_apart import StartS, at_once

PATIENCE_S = 30.0
"""How long, beyond the burst and the clients' patience, the last request may take."""


class ChildLoadDriver(TargetDriver):
    """One trial in real time: its target, and the Locust that drives its bursts."""

    def __init__(
        self,
        trial: Trial,
        target: Target,
        load: Child,
        rows: TrialRows,
        progress: Progress,
        *,
        start_s: StartS = at_once,
    ) -> None:
        super().__init__(trial, target, rows)
        self._start_s = start_s
        self._begins_in_s = 0.0
        self._urls = target.urls
        self._load = load
        # The base class allows None for its rows; here there always are some.
        self._own_rows = rows
        self._progress = progress
        self._finished = asyncio.Queue[BurstFinished]()

    async def read_load(self) -> None:
        """Records what Locust reports, until it ends."""
        async for record in self._load.records():
            match record:
                case RequestEnded(row=row):
                    self._own_rows.request(row)
                    self._progress.request_ended(self._trial, row.outcome)
                case LoopStalled(at_s=at_s, for_s=for_s):
                    self.event(Event.STALLED, at_s, value_s=for_s, part=Component.LOAD)
                case BurstFinished():
                    self._finished.put_nowait(record)
                case _:
                    raise self._load.out_of_step(record)

    def under_way(self, phase: str) -> None:
        self._progress.phase(self._trial, phase)

    def event(self, event: Event, at_s: float, *, value_s: float | None = None, **detail: int | str) -> None:
        if event is Event.BURST_STARTED:
            starts = datetime.now(UTC) + timedelta(seconds=at_s - asyncio.get_running_loop().time())
            detail["utc"] = starts.isoformat(timespec="milliseconds")
        super().event(event, at_s, value_s=value_s, **detail)

    async def begin_load(self, share: LoadShare) -> float:
        now_s = asyncio.get_running_loop().time()
        start_s = self._start_s(now_s + lead_s(share.load))
        self._begins_in_s = start_s - now_s
        await self._load.send(StartBurst(at_s=start_s, share=to_json(share), urls=self._urls))
        self._own_rows.burst_starts(start_s + share.load.starts_s[0])
        return start_s

    async def end_load(self, share: LoadShare) -> float:
        limit_s = self._begins_in_s + share.load.over_s + self._patience_s() + PATIENCE_S
        with suppress(TimeoutError):
            return (await asyncio.wait_for(self._finished.get(), limit_s)).at_s
        raise StackError("locust", f"had not finished its burst after {limit_s:g} s", log=self._load.log)

    def _patience_s(self) -> float:
        """The longest that a client goes on, retries included."""
        story = self._trial.story
        if story.retry is None:
            return story.client_timeout_s
        retries_s = story.retry.retries * (story.client_timeout_s + story.retry.max_wait_s)
        return story.client_timeout_s + retries_s
