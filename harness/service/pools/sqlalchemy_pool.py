"""SQLAlchemy's pool, on either driver: the one place that builds an engine, and the events that it is watched by.

Settings are the reference service's; every default that matters is given.
"""

from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from typing import Any

from sqlalchemy import URL, AsyncAdaptedQueuePool, TextClause, event, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from harness.model.outcomes import Outcome, Phase
from harness.model.pool import PoolConfiguration
from harness.service.classify import classify
from harness.service.drivers import driver_named
from harness.service.drivers.base import without_tls_options
from harness.service.observation import PoolWatch, Slots
from harness.service.pools.base import PooledConnection
from harness.service.pools.engine_watch import EngineWatch
from harness.service.statements import Statement

NEVER_RECYCLE = -1


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


class SqlalchemyCheckout(AbstractAsyncContextManager[PooledConnection]):
    """A connection of an engine, until the end of the block.

    A class, as a generator costs more than all that it does.
    """

    __slots__ = ("_connection", "_engine")

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def __aenter__(self) -> PooledConnection:
        self._connection = await self._engine.connect().start()
        return SqlalchemyConnection(self._connection)

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()


class SqlalchemyPool:
    """A `ServicePool`."""

    changes_by_requests_only = True

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
        self._engine_watch = EngineWatch(self.engine.sync_engine, watch)
        event.listen(self.engine.sync_engine, "do_connect", self._do_connect)
        watch.attach(self, pool)

    def connection(self) -> AbstractAsyncContextManager[PooledConnection]:
        return SqlalchemyCheckout(self.engine)

    def slots(self) -> Slots:
        return self._engine_watch.slots()

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
        with self._engine_watch.connecting():
            return dialect.connect(*arguments, **parameters)
