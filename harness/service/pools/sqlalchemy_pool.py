"""SQLAlchemy's pool, on either driver: the one place that builds an engine, and the events that it is watched by.

Settings are the reference service's; every default that matters is given. SQLAlchemy counts no waiters and gives
limits for sizes, so the pool's timeline comes from what its events say and from `checkedout()` and `checkedin()`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache
from typing import Any

from sqlalchemy import URL, AsyncAdaptedQueuePool, ExceptionContext, TextClause, event, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from harness.model.outcomes import Outcome, Phase
from harness.model.pool import PoolConfiguration
from harness.service.classify import classify
from harness.service.drivers import driver_named
from harness.service.drivers.base import without_tls_options
from harness.service.observation import PoolWatch, Slots
from harness.service.pools.base import PooledConnection
from harness.service.statements import Statement
from harness.service.trace import TRACE

NEVER_RECYCLE = -1
HELD = "coldstart_held"
IDLE_SINCE = "coldstart_idle_since_s"


def create_engine(
    url: str | URL,
    pool: PoolConfiguration,
    *,
    transaction_pooler: bool = False,
    connection_class: type[Any] | None = None,
) -> AsyncEngine:
    """An engine with this pool, on the pool's driver, whichever the URL names; the arguments are `make_pool`'s."""
    driver = driver_named(pool.runs_on)
    address = make_url(url)
    return create_async_engine(
        address.set(drivername=driver.drivername, query=without_tls_options(address.query)),
        poolclass=AsyncAdaptedQueuePool,
        pool_size=pool.pool_size,
        max_overflow=pool.max_overflow,
        pool_timeout=pool.queue_timeout_s,
        pool_recycle=pool.of_library.pool_recycle_s or NEVER_RECYCLE,
        pool_pre_ping=pool.of_library.pool_pre_ping,
        pool_use_lifo=pool.of_library.use_lifo,
        pool_reset_on_return="rollback",
        connect_args=driver.connect_args(
            address, pool, connection_class or driver.connection_class, transaction_pooler=transaction_pooler
        ),
    )


@lru_cache
def _text(sql: str) -> TextClause:
    return text(sql)


class SqlalchemyConnection:
    """A `PooledConnection`. The first statement begins a transaction by itself."""

    __slots__ = ("_connection",)

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def execute(self, statement: Statement, **parameters: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - PostgreSQL's own
        result = await self._connection.execute(_text(statement.sql), parameters)
        return [] if statement.writes else [dict(row) for row in result.mappings()]

    def begin(self) -> AbstractAsyncContextManager[Any]:
        return self._connection.begin()

    async def commit(self) -> None:
        await self._connection.commit()


class SqlalchemyPool:
    """A `ServicePool`."""

    def __init__(
        self,
        url: URL,
        pool: PoolConfiguration,
        *,
        watch: PoolWatch,
        transaction_pooler: bool,
        connection_class: type[Any] | None,
    ) -> None:
        self.engine = create_engine(url, pool, transaction_pooler=transaction_pooler, connection_class=connection_class)
        self._driver = driver_named(pool.runs_on)
        self._watch = watch
        self._held = 0
        queue = self.engine.sync_engine.pool
        assert isinstance(queue, QueuePool)
        self._queue = queue
        event.listen(self.engine.sync_engine, "do_connect", self._do_connect)
        event.listen(self.engine.sync_engine, "handle_error", self._failed)
        event.listen(queue, "connect", self._connected)
        event.listen(queue, "checkout", self._checked_out)
        event.listen(queue, "checkin", self._checked_in)
        for name in ("invalidate", "close", "close_detached"):
            event.listen(queue, name, lambda *_: watch.changed())
        watch.attach(self, pool)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[PooledConnection]:
        connection = await self.engine.connect().start()
        try:
            yield SqlalchemyConnection(connection)
        finally:
            await connection.close()

    def slots(self) -> Slots:
        in_use = self._queue.checkedout()
        return Slots(in_use=in_use, idle=self._queue.checkedin(), checking_out=max(0, in_use - self._held))

    def outcome(self, exception: Exception, phase: Phase) -> Outcome:
        return classify(exception, phase, self._driver)

    async def fill(self) -> None:
        """SQLAlchemy opens no connection by itself."""

    async def close(self) -> None:
        await self.engine.dispose()

    async def abandon(self) -> None:
        """It has no task of its own, so there is nothing to end."""

    def _do_connect(self, dialect: Any, _record: Any, arguments: Any, parameters: Any) -> Any:  # noqa: ANN401 - SQLAlchemy's own
        # Making the connection here, as the default would, times it and knows of its failure too.
        self._watch.connect_began(TRACE.get())
        try:
            return dialect.connect(*arguments, **parameters)
        except BaseException:
            self._watch.connect_ended(TRACE.get(), failed=True)
            raise

    def _failed(self, context: ExceptionContext) -> None:
        # A connection that is known to be closed fails its ping without a word to the server. A ping that times out
        # is no error of the driver's to SQLAlchemy, and does not come here: `PoolWatch.checkout_ended` counts it.
        if context.is_pre_ping:
            self._watch.ping_failed()

    def _connected(self, *_: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
        self._watch.connect_ended(TRACE.get(), failed=False)

    def _checked_out(self, _connection: Any, record: Any, _proxy: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
        record.record_info[HELD] = True
        self._held += 1
        self._watch.checked_out(record.info.get(IDLE_SINCE))

    def _checked_in(self, _connection: Any, record: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
        # A connection whose ping failed is returned too, but was never checked out.
        if record.record_info.pop(HELD, False):
            self._held -= 1
        try:
            now_s = asyncio.get_running_loop().time()
        except RuntimeError:
            # The loop has ended: the garbage collector returns a connection that nobody returned.
            return
        # `info` is the connection's own and goes with it; `record_info` stays when it is replaced.
        record.info[IDLE_SINCE] = now_s
        self._watch.changed()
