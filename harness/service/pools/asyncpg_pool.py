"""asyncpg's own pool, as services use it: `async with pool.acquire(timeout=…)`, and a transaction only to write.

What can be seen of it: its sizes (`get_size`, `get_idle_size`), and each connect, by its `connect=`. It connects in
the task of the request that got an empty slot, and its `timeout` covers the wait for the slot and the connecting
together: where it ran out is known from `connect=` alone. With `min_size` connections gone it makes them again in a
task of its own (asyncpg 0.32), which is seen as a connect of nobody. What can't be seen: its queue, so a slot is
counted as in use while its connection is made, held or given back.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any

import asyncpg
from sqlalchemy import URL

from harness.asyncpg_errors import LOST
from harness.model.outcomes import Outcome, Phase
from harness.model.pool import PoolConfiguration
from harness.service.drivers.asyncpg_driver import AsyncpgDriver
from harness.service.observation import PoolWatch, Slots
from harness.service.pools.base import CLOSE_LIMIT_S, PooledConnection
from harness.service.statements import Statement, numbered
from harness.service.trace import TRACE, RequestTrace

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
    _Pool = asyncpg.Pool[asyncpg.Record]
    from asyncpg.pool import PoolConnectionProxy
    from asyncpg.transaction import Transaction

    _Proxy = PoolConnectionProxy[asyncpg.Record]
else:
    # Generic for the type checker only.
    _Connection = asyncpg.Connection


class IdleSince(_Connection):
    """A connection that knows since when it has been idle; None: it is new."""

    idle_since_s: float | None = None


class Acquire:
    """A checkout under way, which makes at most one connection."""

    __slots__ = ("_taken", "trace")

    def __init__(self, trace: RequestTrace | None) -> None:
        self.trace = trace
        self._taken = False

    def takes(self) -> bool:
        """Whether the connection that is being made is its own: a task that the pool starts from it has its context."""
        taken, self._taken = self._taken, True
        return not taken


ACQUIRE: ContextVar[Acquire | None] = ContextVar("acquire", default=None)
"""The checkout under way in this task."""


class AsyncpgConnection:
    """A `PooledConnection`."""

    __slots__ = ("_connection", "_transaction")

    def __init__(self, connection: "_Proxy") -> None:
        self._connection = connection
        self._transaction: Transaction | None = None

    async def execute(self, statement: Statement, **parameters: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - PostgreSQL's own
        sql, names = numbered(statement.sql)
        values = [parameters[name] for name in names]
        if not statement.writes:
            return [dict(row) for row in await self._connection.fetch(sql, *values)]
        if not self._connection.is_in_transaction():
            transaction = self._connection.transaction()
            await transaction.start()
            self._transaction = transaction
        await self._connection.execute(sql, *values)
        return []

    def begin(self) -> AbstractAsyncContextManager[Any]:
        return self._connection.transaction()

    async def commit(self) -> None:
        if self._transaction is not None:
            transaction, self._transaction = self._transaction, None
            await transaction.commit()

    async def end(self) -> None:
        """Roll back what nobody has committed."""
        if self._transaction is not None and not self._connection.is_closed():
            transaction, self._transaction = self._transaction, None
            await transaction.rollback()


class AsyncpgPool:
    """A `ServicePool`. It opens at its first use: all who come before it has opened wait for that."""

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
        self._driver = AsyncpgDriver()
        self._arguments = self._driver.own_arguments(url, pool, transaction_pooler=transaction_pooler)
        bases = (IdleSince, connection_class or asyncpg.Connection)
        self._connection_class = type("PooledAsyncpgConnection", bases, {})
        self._opening: asyncio.Task[_Pool] | None = None
        self._held = 0
        self._connecting = 0
        """Connections that are being made: each has a slot."""
        self._connecting_requests = 0
        """Of these, the ones for a request."""
        watch.attach(self, pool)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[PooledConnection]:
        timeout_s = self._configuration.queue_timeout_s
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        pool = self._pool
        if pool is None:
            async with asyncio.timeout(timeout_s):
                pool = await self._opened()
            timeout_s = deadline_s - asyncio.get_running_loop().time()
        token = ACQUIRE.set(Acquire(TRACE.get()))
        try:
            proxy: _Proxy = await pool.acquire(timeout=timeout_s)
        finally:
            ACQUIRE.reset(token)
        self._held += 1
        self._watch.checked_out(proxy.idle_since_s)  # type: ignore[attr-defined]
        connection = AsyncpgConnection(proxy)
        try:
            try:
                yield connection
            finally:
                await connection.end()
        finally:
            try:
                # The proxy lets nothing be set; None: the connection has been closed.
                if (own := proxy._con) is not None:  # type: ignore[attr-defined]  # noqa: SLF001
                    own.idle_since_s = asyncio.get_running_loop().time()
                await pool.release(proxy)
            finally:
                self._held -= 1
                self._watch.changed()

    def slots(self) -> Slots:
        pool = self._pool
        idle = 0 if pool is None else pool.get_idle_size()
        return Slots(in_use=self._held + self._connecting, idle=idle, checking_out=self._connecting_requests)

    def outcome(self, exception: Exception, phase: Phase) -> Outcome:
        if phase is Phase.CHECKOUT and isinstance(exception, TimeoutError):
            # It tries no connection before it gives it out: what timed out is the wait for a slot.
            return Outcome.POOL_TIMEOUT
        return self._driver.outcome(exception, phase, invalidated=False)

    async def fill(self) -> None:
        await self._opened()

    async def close(self) -> None:
        pool = self._pool
        if pool is None:
            await self.abandon()
            return
        # Without a limit it would wait for a connection that no longer answers.
        with suppress(TimeoutError):
            await asyncio.wait_for(pool.close(), CLOSE_LIMIT_S)

    async def abandon(self) -> None:
        if (pool := self._pool) is not None:
            pool.terminate()
        elif self._opening is not None:
            self._opening.cancel()

    @property
    def _pool(self) -> "_Pool | None":
        """The pool, once it has opened."""
        opening = self._opening
        if opening is None or not opening.done() or opening.cancelled() or opening.exception() is not None:
            return None
        return opening.result()

    async def _opened(self) -> "_Pool":
        if self._opening is None:
            # In a context of its own: what the pool starts here is no request's.
            self._opening = asyncio.get_running_loop().create_task(self._open(), context=Context())
        opening = self._opening
        try:
            return await asyncio.shield(opening)
        except LOST:
            # An error of the opening is one of connecting; a TimeoutError (an OSError) may be the request's own.
            if opening.done() and (trace := TRACE.get()) is not None:
                trace.phase = Phase.CONNECT
            raise

    async def _open(self) -> "_Pool":
        settings = self._configuration
        pool = asyncpg.create_pool(
            min_size=settings.pool_size,
            max_size=settings.capacity,
            max_inactive_connection_lifetime=settings.of_library.max_idle_s,
            connect=self._connect,
            connection_class=self._connection_class,
            **self._arguments,
        )
        try:
            await pool
        except BaseException:
            # asyncpg has closed it: whoever comes next opens another.
            self._opening = None
            raise
        return pool

    async def _connect(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - asyncpg's own
        acquire = ACQUIRE.get()
        is_requests = acquire is not None and acquire.takes()
        trace = acquire.trace if is_requests and acquire is not None else None
        self._connecting += 1
        self._connecting_requests += is_requests
        self._watch.connect_began(trace)
        now_s = asyncio.get_running_loop().time
        began_s, failed = now_s(), True
        try:
            connection = await asyncpg.connect(*arguments, **options)
            failed = False
        finally:
            self._connecting -= 1
            self._connecting_requests -= is_requests
            self._watch.connect_ended(trace, failed=failed, took_s=None if is_requests else now_s() - began_s)
        connection.add_termination_listener(lambda _: self._watch.changed())
        return connection
