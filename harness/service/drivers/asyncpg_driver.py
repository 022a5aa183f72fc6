"""asyncpg: its arguments, its observed connection, and what its exceptions mean.

It raises the builtin `TimeoutError` for both its connect timeout and its command timeout, so the phase a request was
in decides between them.
"""

import itertools
import uuid
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
from sqlalchemy import URL

from harness.asyncpg_errors import LOST
from harness.model.outcomes import Outcome, Phase
from harness.model.pool import PoolConfiguration
from harness.service.drivers.base import QUERY_CANCELED, is_lost, is_pinging, observed_ping, tls_of, without_tls_options

Result = TypeVar("Result")

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    # Generic for the type checker only.
    _Connection = asyncpg.Connection


_PROCESS = str(uuid.uuid4())[:24]
_NUMBER = itertools.count()


def statement_name() -> str:
    """A name no other statement has, of this process or, behind a pooler, of another; as long as with a UUID.

    The reference draws a UUID for each, which in virtual time is one fiftieth of a request. This is one UUID a process,
    whose last twelve digits count.
    """
    return f"__asyncpg_{_PROCESS}{next(_NUMBER):012x}__"


class ObservedAsyncpgConnection(_Connection):
    """An asyncpg connection that times the pre-ping, the one use that a request makes of it before its checkout.

    Whatever else is asked is asyncpg's own coroutine, with none around it.
    """

    __slots__ = ()

    def execute(self, query: str, *args: Any, timeout: float | None = None) -> Coroutine[Any, Any, str]:  # noqa: ANN401 - asyncpg's own
        asked = super().execute(query, *args, timeout=timeout)
        return _timed(asked) if is_pinging() else asked

    def fetchrow(self, query: str, *args: Any, **options: Any) -> Coroutine[Any, Any, Any]:  # noqa: ANN401 - asyncpg's own
        asked = super().fetchrow(query, *args, **options)
        return _timed(asked) if is_pinging() else asked


async def _timed(asked: Coroutine[Any, Any, Result]) -> Result:
    with observed_ping():
        return await asked


class AsyncpgDriver:
    """A `DatabaseDriver`."""

    drivername = "postgresql+asyncpg"
    connection_class = ObservedAsyncpgConnection

    def connect_args(
        self,
        url: URL,
        pool: PoolConfiguration,
        connection_class: type[Any],
        *,
        transaction_pooler: bool,  # noqa: ARG002 - as it is, nothing can conflict
    ) -> dict[str, Any]:
        return {
            # The reference's own: unique names and no caches, so that no prepared statement can conflict.
            "prepared_statement_name_func": statement_name,
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "connection_class": connection_class,
            **_limits(pool),
            **_tls(url),
        }

    def own_arguments(self, url: URL, pool: PoolConfiguration, *, transaction_pooler: bool) -> dict[str, Any]:
        # asyncpg's own default is a cache of 100 statements, whose names another server connection would not know.
        cache = {"statement_cache_size": 0} if transaction_pooler else {}
        return {**connect_arguments(url), **_limits(pool), **cache}

    def outcome(self, cause: BaseException, phase: Phase, *, invalidated: bool) -> Outcome:
        if phase is Phase.CONNECT:
            if isinstance(cause, TimeoutError):
                return Outcome.CONNECT_TIMEOUT
            return Outcome.CONNECT_ERROR if isinstance(cause, LOST) else Outcome.ERROR
        if isinstance(cause, TimeoutError):
            # A ping carries no statement of the caller's: when it times out, the connection is dead (half-open).
            return Outcome.STATEMENT_TIMEOUT if phase is Phase.QUERY else Outcome.CONNECTION_LOST
        if invalidated:
            return Outcome.CONNECTION_LOST
        if isinstance(cause, asyncpg.PostgresError):
            if is_lost(cause.sqlstate):
                return Outcome.CONNECTION_LOST
            return Outcome.STATEMENT_TIMEOUT if cause.sqlstate == QUERY_CANCELED else Outcome.ERROR
        return Outcome.CONNECTION_LOST if isinstance(cause, LOST) else Outcome.ERROR


def _limits(pool: PoolConfiguration) -> dict[str, Any]:
    limits: dict[str, Any] = {
        # asyncpg reads None as no timeout; its own default for connecting would be 60 s.
        "command_timeout": pool.client_statement_timeout_s or None,
        "timeout": pool.connection_timeout_s or None,
    }
    if pool.server_statement_timeout_s:
        limits["server_settings"] = {"statement_timeout": f"{pool.server_statement_timeout_s * 1000:.0f}"}
    return limits


def connect_arguments(url: URL) -> dict[str, Any]:
    """Where a URL leads, as `asyncpg.connect` takes it: for a connection outside the pool."""
    return {**url.translate_connect_args(username="user"), **without_tls_options(url.query), **_tls(url)}


def _tls(url: URL) -> dict[str, Any]:
    tls = tls_of(url)
    # asyncpg knows libpq's words; False is what it makes of "disable".
    return {} if tls is None else {"ssl": False if tls == "disable" else tls}
