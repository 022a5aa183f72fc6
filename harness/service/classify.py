"""What an exception means: the outcome of the request it ended, by exception type, SQLAlchemy code and SQLSTATE.

Sources: SQLAlchemy's pool raises `sqlalchemy.exc.TimeoutError` with code `3o7r`; everything else is the driver's, and
its file in harness/service/drivers says what it means. SQLAlchemy 2.0 passes asyncpg's connect errors through as they
are, 2.1 wraps them, and both wrap psycopg's: all are unwrapped.
What PgBouncer refuses at login it answers with 08P01: a connect_error. Whom it disconnects later has lost the
connection: asyncpg raises `ConnectionDoesNotExistError` for that, whatever PgBouncer said (docs/pgbouncer.md).
"""

from typing import Protocol

import sqlalchemy.exc

from harness.model.outcomes import Outcome, Phase

POOL_TIMEOUT_CODE = "3o7r"


class ClassifyingDriver(Protocol):
    """A driver, as far as its exceptions are concerned: see `DatabaseDriver`."""

    def outcome(self, cause: BaseException, phase: Phase, *, invalidated: bool) -> Outcome: ...


def classify(exception: BaseException, phase: Phase, driver: ClassifyingDriver) -> Outcome:
    """The outcome of a request that `exception` ended while it was in `phase`, with a connection of `driver`."""
    if isinstance(exception, sqlalchemy.exc.TimeoutError) and exception.code == POOL_TIMEOUT_CODE:
        return Outcome.POOL_TIMEOUT
    invalidated = isinstance(exception, sqlalchemy.exc.DBAPIError) and exception.connection_invalidated
    return driver.outcome(driver_exception(exception), phase, invalidated=invalidated)


def driver_exception(exception: BaseException) -> BaseException:
    """The exception as the driver (or the event loop) raised it, below SQLAlchemy's wrapping."""
    seen = {id(exception)}
    while isinstance(exception, sqlalchemy.exc.DBAPIError) or _is_adapted(exception):
        below = getattr(exception, "orig", None) or exception.__cause__
        if below is None or id(below) in seen:
            break
        seen.add(id(below))
        exception = below
    return exception


def _is_adapted(exception: BaseException) -> bool:
    # SQLAlchemy's asyncpg dialect raises DBAPI-shaped twins of asyncpg's errors, with the original as the cause.
    return type(exception).__module__.startswith("sqlalchemy.dialects.postgresql")
