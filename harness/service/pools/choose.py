"""Which pool an instance has: the one that its settings name, its library imported when it is wanted."""

from typing import Any

from sqlalchemy import URL, make_url

from harness.model.pool import PoolConfiguration
from harness.model.pool_library import PoolLibrary
from harness.service.observation import PoolWatch
from harness.service.pools.base import ServicePool


def make_pool(
    url: str | URL,
    pool: PoolConfiguration,
    *,
    watch: PoolWatch,
    transaction_pooler: bool = False,
    connection_class: type[Any] | None = None,
) -> ServicePool:
    """A pool with these settings, watched by `watch`, on its own driver, whichever the URL names.

    `transaction_pooler`: a pooler in transaction mode is in the path. `connection_class`: of the driver's
    connections, a subclass of its own observed one (`DatabaseDriver.connection_class`).
    """
    address = make_url(url)
    options: Any = {
        "watch": watch,
        "transaction_pooler": transaction_pooler,
        "connection_class": connection_class,
    }
    match pool.pool_library:
        case PoolLibrary.SQLALCHEMY:
            from harness.service.pools.sqlalchemy_pool import SqlalchemyPool

            return SqlalchemyPool(address, pool, **options)
        case PoolLibrary.ASYNCPG:
            from harness.service.pools.asyncpg_pool import AsyncpgPool

            return AsyncpgPool(address, pool, **options)
        case PoolLibrary.PSYCOPG_POOL:
            from harness.service.pools.psycopg_pool import PsycopgPool

            return PsycopgPool(address, pool, **options)
