"""The queue listener at work: one asyncpg connection that listens, is tried every few seconds, and is made anew."""

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
from sqlalchemy import URL, make_url

from harness.listener import QueueListener
from harness.service.database import LOOPBACK

Said = Callable[..., None]
"""Hears `said(event, at_s, **detail)`: the `listener_` events of harness/columns.py, on the running loop's clock."""


class ListenerAtWork:
    """Runs until cancelled. `connected` is set once it has listened for the first time."""

    def __init__(self, url: str | URL, settings: QueueListener, *, said: Said) -> None:
        address = make_url(url)
        self._settings = settings
        self._said = said
        self._arguments: dict[str, Any] = {
            "host": address.host, "port": address.port, "user": address.username, "password": address.password,
            "database": address.database, "statement_cache_size": 0,
            # asyncpg's own default would be 60 s; None is none.
            "timeout": settings.connect_timeout_s or None,
        }  # fmt: skip
        if address.host in LOOPBACK:
            self._arguments["ssl"] = False
        self.connected = asyncio.Event()
        self.heard: list[str] = []
        """The payloads of the notifications, in their order."""

    async def run(self) -> None:
        """Listen, and begin again when the connection dies."""
        failures = 0
        while True:
            connection = await self._connect(failures)
            if connection is None:
                failures += 1
            else:
                failures = 0
                try:
                    await self._listen(connection)
                finally:
                    # At once: a close would wait for an answer that does not come.
                    connection.terminate()
                self._say("listener_disconnected")
            wait_s = self._settings.backoff_s(failures)
            self._say("listener_reconnecting", value_s=wait_s)
            await asyncio.sleep(wait_s)

    async def _connect(self, failures: int) -> "asyncpg.Connection[asyncpg.Record] | None":
        now_s = asyncio.get_running_loop().time
        began_s = now_s()
        try:
            connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(**self._arguments)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            took_s = now_s() - began_s
            self._say("listener_connect_failed", value_s=took_s, error=type(error).__name__, attempt=failures + 1)
            return None
        self._say("listener_connected", value_s=now_s() - began_s)
        return connection

    async def _listen(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Until a heartbeat fails."""
        settings = self._settings
        try:
            await connection.add_listener(settings.channel, self._notified)
            self.connected.set()
            while True:
                await asyncio.sleep(settings.heartbeat_every_s)
                await connection.execute("SELECT 1", timeout=settings.heartbeat_limit_s)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            self._say("listener_heartbeat_failed", error=type(error).__name__)

    def _notified(self, _connection: object, _process_id: int, _channel: str, payload: object) -> None:
        self.heard.append(str(payload))
        self._say("listener_notified", payload=str(payload))

    def _say(self, event: str, *, value_s: float | None = None, **detail: Any) -> None:  # noqa: ANN401 - JSON
        self._said(event, at_s=asyncio.get_running_loop().time(), value_s=value_s, **detail)
