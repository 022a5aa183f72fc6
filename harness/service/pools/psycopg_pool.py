"""psycopg_pool's AsyncConnectionPool, as services use it: `async with pool.connection()`, which commits at its end.

Three workers of the pool make all connections: a request only waits, and what it meets is the queue's timeout. Seen
are its own counters (`get_stats`), each connect, by `connection_class`, and each pre-ping, by `check`. What can't be
seen: `pool_size` counts connections that are being made and those that wait for the next attempt with those that
exist, so they are in use here too; `requests_waiting` counts requests that have given up until their turn comes, so
those who wait are counted by the service.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import Context
from typing import Any

import psycopg
import psycopg_pool
from psycopg.rows import dict_row
from sqlalchemy import URL

from harness.model.outcomes import Outcome, Phase
from harness.model.pool import PoolConfiguration
from harness.service.drivers.psycopg_driver import PsycopgDriver
from harness.service.observation import PoolWatch, Slots
from harness.service.pools.base import CLOSE_LIMIT_S, PooledConnection
from harness.service.statements import Statement, in_pyformat

NAME = "coldstart"
WORKERS = 3
"""psycopg_pool's own default: so many connections are being made at a time."""


class PsycopgConnection:
    """A `PooledConnection`. The first statement begins a transaction by itself."""

    __slots__ = ("_connection",)

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection

    async def execute(self, statement: Statement, **parameters: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - PostgreSQL's own
        cursor = await self._connection.execute(in_pyformat(statement.sql), parameters)
        return [] if statement.writes else await cursor.fetchall()

    def begin(self) -> AbstractAsyncContextManager[Any]:
        return self._connection.transaction()

    async def commit(self) -> None:
        await self._connection.commit()


class PsycopgPool:
    """A `ServicePool`. It opens at its first use, without waiting for its connections."""

    changes_by_requests_only = False

    def __init__(
        self,
        url: URL,
        pool: PoolConfiguration,
        *,
        watch: PoolWatch,
        transaction_pooler: bool,
        connection_class: type[Any] | None,
    ) -> None:
        self._configuration = pool
        self._watch = watch
        self._driver = PsycopgDriver()
        self._arguments = self._driver.own_arguments(url, pool, transaction_pooler=transaction_pooler)
        self._connection_class = _counted(connection_class or self._driver.connection_class, watch)
        self._pinging = 0
        self._pool = self._new()
        self._opening: asyncio.Task[None] | None = None
        watch.attach(self, pool)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[PooledConnection]:
        await self._opened()
        async with self._pool.connection() as connection:
            self._watch.checked_out(connection.idle_since_s)
            try:
                yield PsycopgConnection(connection)
            finally:
                connection.idle_since_s = asyncio.get_running_loop().time()
        self._watch.changed()

    def slots(self) -> Slots:
        if self._opening is None:
            # Its counters say min_size from the beginning.
            return Slots(in_use=0, idle=0, checking_out=0)
        stats = self._pool.get_stats()
        idle = stats["pool_available"]
        return Slots(in_use=max(0, stats["pool_size"] - idle), idle=idle, checking_out=self._pinging)

    def outcome(self, exception: Exception, phase: Phase) -> Outcome:
        if isinstance(exception, psycopg_pool.PoolTimeout):
            return Outcome.POOL_TIMEOUT
        return self._driver.outcome(exception, phase, invalidated=False)

    async def fill(self) -> None:
        if self._opening is not None:
            return
        await self._opened()
        try:
            await self._pool.wait(timeout=self._configuration.queue_timeout_s)
        except psycopg_pool.PoolTimeout:
            # It has closed itself, and can't be opened again.
            self._pool = self._new()
            self._opening = None
            raise

    async def close(self) -> None:
        await self._pool.close(timeout=CLOSE_LIMIT_S)

    async def abandon(self) -> None:
        await self._pool.close(timeout=0.0)

    def _new(self) -> "psycopg_pool.AsyncConnectionPool[Any]":
        settings = self._configuration
        own = settings.of_library
        return psycopg_pool.AsyncConnectionPool(
            "",
            kwargs={**self._arguments, "row_factory": dict_row},
            connection_class=self._connection_class,
            min_size=settings.pool_size,
            max_size=settings.capacity,
            open=False,
            check=self._check if own.pool_pre_ping else None,
            name=NAME,
            timeout=settings.queue_timeout_s,
            max_lifetime=own.pool_recycle_s or math.inf,
            max_idle=own.max_idle_s,
            reconnect_timeout=own.reconnect_timeout_s,
            num_workers=WORKERS,
        )

    async def _opened(self) -> None:
        if self._opening is None:
            # In a context of its own: the workers that it starts are no request's.
            self._opening = asyncio.get_running_loop().create_task(self._pool.open(wait=False), context=Context())
        if not self._opening.done():
            await asyncio.shield(self._opening)

    async def _check(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._pinging += 1
        try:
            await psycopg_pool.AsyncConnectionPool.check_connection(connection)
        except BaseException:
            self._watch.ping_failed()
            raise
        finally:
            self._pinging -= 1


def _counted(base: type[Any], watch: PoolWatch) -> type[Any]:
    class PooledPsycopgConnection(base):  # type: ignore[misc]
        """A connection whose making and end `watch` is told; it knows since when it has been idle."""

        idle_since_s: float | None = None

        @classmethod
        async def connect(cls, conninfo: str = "", **options: Any) -> Any:  # noqa: ANN401 - psycopg's own
            watch.connect_began(None)
            now_s = asyncio.get_running_loop().time
            began_s, failed = now_s(), True
            try:
                connection = await super().connect(conninfo, **options)
                failed = False
            finally:
                watch.connect_ended(None, failed=failed, took_s=now_s() - began_s)
            return connection

        async def close(self) -> None:
            await super().close()
            watch.changed()

    return PooledPsycopgConnection
