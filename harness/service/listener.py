"""The queue listener: LISTEN on a connection outside the pool, with a heartbeat, and reconnecting with a backoff.

connected ──▶ heartbeat fails ──▶ dropped ──▶ attempt ──▶ fails ──▶ backoff ──▶ attempt ──▶ … ──▶ connected

It notices that its connection is gone when a heartbeat fails, and by nothing else, as the reference service's does.
(That one looked for a lost connection every 30 s only, hence the 28 s between drop and first attempt on 2025-12-02;
here the first attempt is made at once.)
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg
from sqlalchemy import URL

from harness.model.events import Event
from harness.model.listener import QueueListener
from harness.model.rows import ListenerEvent
from harness.service.database import connect_arguments

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

HEARTBEAT = "SELECT 1"
FAILURES = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What a network, a server and a closed connection raise, timeouts included; anything else is a bug.

The last one is asyncpg's where the server has ended the session and the end of the connection is still on its way.
"""


Said = Callable[[ListenerEvent], None]


@asynccontextmanager
async def listening(settings: QueueListener | None, url: str | URL, said: Said) -> AsyncIterator[None]:
    """While inside, a listener runs; it is connected once it says so. None: none does.

    On leaving it is stopped, whatever it is doing, and its connection is gone.
    """
    if settings is None:
        yield
        return
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(_Listener(settings, url, said).run())
            try:
                yield
            finally:
                running.cancel()
    except BaseExceptionGroup as group_of_one:
        # Either went wrong, what is inside or the listener: as without a task group, the error is the error.
        if len(group_of_one.exceptions) == 1:
            raise group_of_one.exceptions[0] from None
        raise


class _Listener:
    """One listener, at work from `run` to its cancellation."""

    def __init__(self, settings: QueueListener, url: str | URL, said: Said) -> None:
        self._settings = settings
        # asyncpg's own limit is 60 s where none is given, and None is none: `_connect` sets the only one.
        self._arguments = {**connect_arguments(url), "timeout": None}
        self._said = said
        self._now_s = asyncio.get_running_loop().time

    async def run(self) -> None:
        while True:
            connection = await self._connected()
            try:
                await self._beat(connection)
            finally:
                # Not close(), which on a half-open connection would wait for an answer that can't come.
                connection.terminate()
            self._say(Event.LISTENER_DISCONNECTED)
            self._say(Event.LISTENER_RECONNECTING, value_s=0.0)

    async def _connected(self) -> Connection:
        """A connection that listens, after however many attempts."""
        backoffs_s = self._settings.backoffs_s()
        attempt = 0
        while True:
            attempt += 1
            began_s = self._now_s()
            try:
                return await self._connect(attempt)
            except FAILURES as failure:
                error = type(failure).__name__
                self._say(Event.LISTENER_CONNECT_FAILED, since_s=began_s, attempt=attempt, error=error)
            backoff_s = next(backoffs_s)
            self._say(Event.LISTENER_RECONNECTING, value_s=backoff_s)
            await asyncio.sleep(backoff_s)

    async def _connect(self, attempt: int) -> Connection:
        began_s = self._now_s()
        async with asyncio.timeout(self._settings.connect_timeout_s or None):
            connection: Connection = await asyncpg.connect(**self._arguments)
            try:
                await connection.add_listener(self._settings.channel, self._notified)
                self._say(Event.LISTENER_CONNECTED, since_s=began_s, attempt=attempt)
            except BaseException:
                connection.terminate()
                raise
            return connection

    async def _beat(self, connection: Connection) -> None:
        """Heartbeats, until one fails."""
        while True:
            await asyncio.sleep(self._settings.heartbeat_every_s)
            began_s = self._now_s()
            try:
                # Not asyncpg's own timeout: that would first cancel the statement over one more connection.
                async with asyncio.timeout(self._settings.heartbeat_limit_s):
                    await connection.execute(HEARTBEAT)
            except FAILURES as failure:
                self._say(Event.LISTENER_HEARTBEAT_FAILED, since_s=began_s, error=type(failure).__name__)
                return

    def _notified(self, _connection: object, _process_id: int, _channel: str, payload: object) -> None:
        self._say(Event.LISTENER_NOTIFIED, payload=str(payload))

    def _say(
        self,
        event: Event,
        *,
        since_s: float | None = None,
        value_s: float | None = None,
        **detail: int | str,
    ) -> None:
        at_s = self._now_s()
        took_s = value_s if since_s is None else at_s - since_s
        self._said(ListenerEvent(event=event, at_s=at_s, value_s=took_s, detail=detail))
