"""The queue listener: LISTEN on a connection outside the pool, with a heartbeat, and reconnecting with a backoff.

connected ──▶ heartbeat fails ──▶ dropped ──▶ attempt ──▶ fails ──▶ backoff ──▶ attempt ──▶ … ──▶ connected

Only a failed heartbeat shows it that its connection is gone, as the reference service's does.
(That one looked for a lost connection every 30 s only, hence the 28 s between drop and first attempt on 2025-12-02;
here the first attempt is made at once.)
It is on asyncpg, as the reference's is, whichever driver the pool has.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg
from sqlalchemy import URL, make_url

from harness.asyncpg_errors import LOST
from harness.model.events import Event
from harness.model.listener import QueueListener
from harness.model.rows import ListenerEvent
from harness.service.drivers.asyncpg_driver import connect_arguments

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

HEARTBEAT = "SELECT 1"

Report = Callable[[ListenerEvent], None]


@asynccontextmanager
async def listening(settings: QueueListener | None, url: str | URL, report: Report) -> AsyncIterator[None]:
    """While inside, a listener runs; it is connected once it reports that. Without settings none runs.

    On leaving it is stopped, whatever it is doing, and its connection is gone.
    """
    if settings is None:
        yield
        return
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(_Listener(settings, url, report).run())
            try:
                yield
            finally:
                running.cancel()
    except BaseExceptionGroup as group_of_one:
        # One error, of what is inside or of the listener: raised by itself, as without a task group.
        if len(group_of_one.exceptions) == 1:
            raise group_of_one.exceptions[0] from None
        raise


class _Listener:
    """One listener, at work from `run` to its cancellation."""

    def __init__(self, settings: QueueListener, url: str | URL, report: Report) -> None:
        self._settings = settings
        # Left out, asyncpg's own limit of 60 s would hold. With None the only limit is the one that `_connect` sets.
        self._arguments = {**connect_arguments(make_url(url)), "timeout": None}
        self._report_to = report
        self._now_s = asyncio.get_running_loop().time

    async def run(self) -> None:
        while True:
            connection = await self._connect_with_backoff()
            try:
                await self._send_heartbeats(connection)
            finally:
                # Not close(), which on a half-open connection would wait for an answer that can't come.
                connection.terminate()
            self._report(Event.LISTENER_DISCONNECTED)
            self._report(Event.LISTENER_RECONNECTING, value_s=0.0)

    async def _connect_with_backoff(self) -> Connection:
        """A connection that listens, after however many attempts."""
        backoffs_s = self._settings.backoffs_s()
        attempt = 0
        while True:
            attempt += 1
            start_s = self._now_s()
            try:
                return await self._connect(attempt)
            except LOST as failure:
                error = type(failure).__name__
                self._report(Event.LISTENER_CONNECT_FAILED, since_s=start_s, attempt=attempt, error=error)
            backoff_s = next(backoffs_s)
            self._report(Event.LISTENER_RECONNECTING, value_s=backoff_s)
            await asyncio.sleep(backoff_s)

    async def _connect(self, attempt: int) -> Connection:
        start_s = self._now_s()
        async with asyncio.timeout(self._settings.connect_timeout_s or None):
            connection: Connection = await asyncpg.connect(**self._arguments)
            try:
                await connection.add_listener(self._settings.channel, self._notified)
                self._report(Event.LISTENER_CONNECTED, since_s=start_s, attempt=attempt)
            except BaseException:
                connection.terminate()
                raise
            return connection

    async def _send_heartbeats(self, connection: Connection) -> None:
        """Sends heartbeats until one fails."""
        while True:
            await asyncio.sleep(self._settings.heartbeat_every_s)
            start_s = self._now_s()
            try:
                # Not asyncpg's own timeout: that would first cancel the statement over one more connection.
                async with asyncio.timeout(self._settings.heartbeat_limit_s):
                    await connection.execute(HEARTBEAT)
            except LOST as failure:
                self._report(Event.LISTENER_HEARTBEAT_FAILED, since_s=start_s, error=type(failure).__name__)
                return

    def _notified(self, _connection: object, _process_id: int, _channel: str, payload: object) -> None:
        self._report(Event.LISTENER_NOTIFIED, payload=str(payload))

    def _report(
        self,
        event: Event,
        *,
        since_s: float | None = None,
        value_s: float | None = None,
        **detail: int | str,
    ) -> None:
        at_s = self._now_s()
        took_s = value_s if since_s is None else at_s - since_s
        self._report_to(ListenerEvent(event=event, at_s=at_s, value_s=took_s, detail=detail))
