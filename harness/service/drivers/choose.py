"""Which driver an engine runs on: the one that its pool's settings name, imported when it is wanted."""

from harness.model.driver import Driver
from harness.service.drivers.base import DatabaseDriver


def driver_named(driver: Driver) -> DatabaseDriver:
    """The driver, with its library imported."""
    match driver:
        case Driver.ASYNCPG:
            from harness.service.drivers.asyncpg_driver import AsyncpgDriver

            return AsyncpgDriver()
        case Driver.PSYCOPG:
            from harness.service.drivers.psycopg_driver import PsycopgDriver

            return PsycopgDriver()


def libpq_version() -> str:
    """The version of the libpq that psycopg runs on, and where it comes from: `18.0 (binary)`."""
    from psycopg import pq

    return f"{pq.version_pretty(pq.version())} ({pq.__impl__})"
