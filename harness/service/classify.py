"""What an exception means: the outcome of the request it ended, by exception type, SQLAlchemy code and SQLSTATE.

Sources: asyncpg raises the builtin `TimeoutError` for both its connect timeout and its command timeout, so the
phase a request was in decides between them; SQLAlchemy's pool raises `sqlalchemy.exc.TimeoutError` with code
`3o7r`. SQLAlchemy 2.0 passes asyncpg's connect errors through as they are, 2.1 wraps them: both are unwrapped.
What PgBouncer refuses at login it answers with 08P01: a connect_error. Whom it disconnects later has lost the
connection: asyncpg raises `ConnectionDoesNotExistError` for that, whatever PgBouncer said (docs/pgbouncer.md).
"""

import asyncpg
import sqlalchemy.exc

from harness.model.outcomes import Outcome, Phase

POOL_TIMEOUT_CODE = "3o7r"
QUERY_CANCELED = "57014"
# Class 08 is "connection exception"; the others are what a server says as it closes a session.
LOST_SQLSTATES = frozenset({"57P01", "57P02", "57P05", "25P03"})


def classify(exception: BaseException, phase: Phase) -> Outcome:
    """The outcome of a request that `exception` ended while it was in `phase`."""
    if isinstance(exception, sqlalchemy.exc.TimeoutError) and exception.code == POOL_TIMEOUT_CODE:
        return Outcome.POOL_TIMEOUT
    cause = driver_exception(exception)
    if phase is Phase.CONNECT:
        if isinstance(cause, TimeoutError):
            return Outcome.CONNECT_TIMEOUT
        is_connect_error = isinstance(cause, OSError | asyncpg.PostgresError | asyncpg.InterfaceError)
        return Outcome.CONNECT_ERROR if is_connect_error else Outcome.ERROR
    if isinstance(cause, TimeoutError):
        # A ping carries no statement of the caller's: when it times out, the connection is dead (half-open).
        return Outcome.STATEMENT_TIMEOUT if phase is Phase.QUERY else Outcome.CONNECTION_LOST
    if _is_lost(exception, cause):
        return Outcome.CONNECTION_LOST
    if isinstance(cause, asyncpg.PostgresError) and cause.sqlstate == QUERY_CANCELED:
        return Outcome.STATEMENT_TIMEOUT
    return Outcome.ERROR


def driver_exception(exception: BaseException) -> BaseException:
    """The exception as asyncpg (or the event loop) raised it, below SQLAlchemy's wrapping."""
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


def _is_lost(exception: BaseException, cause: BaseException) -> bool:
    if isinstance(exception, sqlalchemy.exc.DBAPIError) and exception.connection_invalidated:
        return True
    if isinstance(cause, asyncpg.PostgresError):
        sqlstate = cause.sqlstate or ""
        return sqlstate.startswith("08") or sqlstate in LOST_SQLSTATES
    # asyncpg raises the last one when the server has ended the session and the connection's end has not arrived yet.
    return isinstance(cause, OSError | asyncpg.InterfaceError | asyncpg.InternalClientError)
