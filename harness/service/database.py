"""The one place that builds an engine, by the reference service's settings; every default that matters is given."""

from typing import Any

from sqlalchemy import URL, AsyncAdaptedQueuePool, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from harness.model.pool import PoolConfiguration
from harness.service.drivers import driver_named
from harness.service.drivers.base import without_tls_options
from harness.service.observation import PoolWatch

NEVER_RECYCLE = -1


def create_engine(
    url: str | URL,
    pool: PoolConfiguration,
    *,
    watch: PoolWatch,
    transaction_pooler: bool = False,
    connection_class: type[Any] | None = None,
) -> AsyncEngine:
    """An engine with this pool, watched by `watch`, on the pool's driver, whichever the URL names.

    `transaction_pooler`: a pooler in transaction mode is in the path. `connection_class`: of the driver's
    connections, a subclass of its own observed one (`DatabaseDriver.connection_class`).
    """
    driver = driver_named(pool.driver)
    address = make_url(url)
    engine = create_async_engine(
        address.set(drivername=driver.drivername, query=without_tls_options(address.query)),
        poolclass=AsyncAdaptedQueuePool,
        pool_size=pool.pool_size,
        max_overflow=pool.max_overflow,
        pool_timeout=pool.queue_timeout_s,
        pool_recycle=pool.pool_recycle_s or NEVER_RECYCLE,
        pool_pre_ping=pool.pool_pre_ping,
        pool_use_lifo=pool.use_lifo,
        pool_reset_on_return="rollback",
        connect_args=driver.connect_args(
            address, pool, connection_class or driver.connection_class, transaction_pooler=transaction_pooler
        ),
    )
    watch.attach(engine)
    return engine
