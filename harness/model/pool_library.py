"""The libraries whose pool a configuration can be, and what each makes of the settings.

Sources: SQLAlchemy 2.1 (`sqlalchemy/pool/impl.py`); asyncpg 0.32 (`asyncpg/pool.py`); psycopg_pool 3.3.3
(`psycopg_pool/pool_async.py`, `base.py`). docs/pools.md has the measurements.
"""

from dataclasses import dataclass
from enum import StrEnum

from harness.model.driver import Driver
from harness.model.errors import UserError


class PoolLibrary(StrEnum):
    """The library that keeps a pool's connections and lets requests wait for one."""

    SQLALCHEMY = "sqlalchemy"
    """SQLAlchemy's AsyncAdaptedQueuePool, on either driver."""
    ASYNCPG = "asyncpg"
    """asyncpg's own pool: `asyncpg.create_pool`."""
    PSYCOPG_POOL = "psycopg_pool"
    """psycopg_pool's AsyncConnectionPool."""

    @property
    def defaults(self) -> "LibraryDefaults":
        """What the settings are that a configuration leaves to the library."""
        return DEFAULTS[self]

    @property
    def fills_itself(self) -> bool:
        """Whether it opens pool_size connections by itself, and not only as requests need them."""
        return self is not PoolLibrary.SQLALCHEMY


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryDefaults:
    """The settings of a configuration that doesn't set them. Durations in seconds; 0: never, or not existing."""

    driver: Driver
    pool_pre_ping: bool
    pool_recycle_s: float
    use_lifo: bool
    max_idle_s: float
    reconnect_timeout_s: float


DEFAULTS = {
    # pool_recycle and pool_pre_ping are the reference service's.
    PoolLibrary.SQLALCHEMY: LibraryDefaults(
        driver=Driver.ASYNCPG,
        pool_pre_ping=True,
        pool_recycle_s=7200.0,
        use_lifo=True,
        max_idle_s=0.0,
        reconnect_timeout_s=0.0,
    ),
    PoolLibrary.ASYNCPG: LibraryDefaults(
        driver=Driver.ASYNCPG,
        pool_pre_ping=False,
        pool_recycle_s=0.0,
        use_lifo=True,
        max_idle_s=300.0,
        reconnect_timeout_s=0.0,
    ),
    PoolLibrary.PSYCOPG_POOL: LibraryDefaults(
        driver=Driver.PSYCOPG,
        pool_pre_ping=True,
        pool_recycle_s=7200.0,
        use_lifo=False,
        max_idle_s=600.0,
        reconnect_timeout_s=300.0,
    ),
}

ONLY: dict[tuple[PoolLibrary, str], str] = {
    (PoolLibrary.SQLALCHEMY, "max_idle"): "SQLAlchemy's pool closes no connection for being idle",
    (PoolLibrary.SQLALCHEMY, "reconnect_timeout"): "SQLAlchemy's pool does not reconnect by itself",
    (PoolLibrary.ASYNCPG, "driver"): "asyncpg's pool is of asyncpg's connections",
    (PoolLibrary.ASYNCPG, "pool_pre_ping"): "asyncpg's pool has no pre-ping",
    (PoolLibrary.ASYNCPG, "pool_recycle"): "asyncpg's pool does not replace connections by their age",
    (PoolLibrary.ASYNCPG, "use_lifo"): "asyncpg's pool gives out the connection used last",
    (PoolLibrary.ASYNCPG, "reconnect_timeout"): "asyncpg's pool has no limit for reconnecting",
    (PoolLibrary.PSYCOPG_POOL, "driver"): "psycopg_pool is of psycopg's connections",
    (PoolLibrary.PSYCOPG_POOL, "use_lifo"): "psycopg_pool gives out the connection that was idle longest",
}
"""The settings that can be one value only with a library, and why."""


def check_library(library: PoolLibrary, resolved: LibraryDefaults, *, where: str) -> None:
    """Raise `UserError` for a setting that the library would ignore."""
    for (of, setting), why in ONLY.items():
        name = setting if hasattr(resolved, setting) else f"{setting}_s"
        only, given = getattr(library.defaults, name), getattr(resolved, name)
        if of is library and given != only:
            raise UserError(
                f"{setting} must be {_plain(only)} with pool_library={library}, got {_plain(given)}: {why}", where=where
            )
    if library is PoolLibrary.PSYCOPG_POOL and resolved.max_idle_s == 0:
        raise UserError(
            f"max_idle must be positive with pool_library={library}: it looks for idle connections that often",
            where=where,
        )


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()
