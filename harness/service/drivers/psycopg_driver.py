"""psycopg 3: its arguments, its observed connection, and what its exceptions mean.

It has no timeout of its own for a statement. An exception carries an SQLSTATE only where the server answered a
statement: what a server says to a connection attempt (53300, 57P03, 28P01) has none.
"""

from typing import Any, TypeVar

import psycopg
import psycopg.errors
from psycopg.abc import PQGen
from psycopg.rows import TupleRow
from sqlalchemy import URL

from harness.model.outcomes import Outcome, Phase
from harness.model.pool import PoolConfiguration
from harness.service.drivers.base import QUERY_CANCELED, is_lost, observed_ping, tls_of, without_tls_options

Result = TypeVar("Result")


class ObservedPsycopgConnection(psycopg.AsyncConnection[TupleRow]):
    """A psycopg connection that times the pre-ping, the one use that a request makes of it before its checkout."""

    async def wait(self, gen: PQGen[Result], *args: Any, **options: Any) -> Result:  # noqa: ANN401 - psycopg's own
        with observed_ping():
            return await super().wait(gen, *args, **options)


class PsycopgDriver:
    """A `DatabaseDriver`."""

    drivername = "postgresql+psycopg"
    connection_class = ObservedPsycopgConnection

    def connect_args(
        self, url: URL, pool: PoolConfiguration, connection_class: type[Any], *, transaction_pooler: bool
    ) -> dict[str, Any]:
        return {
            "async_creator_fn": connection_class.connect,
            **_settings(url, pool, transaction_pooler=transaction_pooler),
        }

    def own_arguments(self, url: URL, pool: PoolConfiguration, *, transaction_pooler: bool) -> dict[str, Any]:
        return {
            **url.translate_connect_args(username="user", database="dbname"),
            **without_tls_options(url.query),
            **_settings(url, pool, transaction_pooler=transaction_pooler),
        }

    def outcome(self, cause: BaseException, phase: Phase, *, invalidated: bool) -> Outcome:
        if phase is Phase.CONNECT:
            if isinstance(cause, psycopg.errors.ConnectionTimeout):
                return Outcome.CONNECT_TIMEOUT
            return Outcome.CONNECT_ERROR if isinstance(cause, psycopg.Error | OSError) else Outcome.ERROR
        if isinstance(cause, psycopg.errors.QueryCanceled) or _sqlstate(cause) == QUERY_CANCELED:
            return Outcome.STATEMENT_TIMEOUT
        without_words = isinstance(cause, psycopg.OperationalError) and cause.sqlstate is None
        lost = invalidated or is_lost(_sqlstate(cause)) or without_words or isinstance(cause, OSError)
        return Outcome.CONNECTION_LOST if lost else Outcome.ERROR


def _settings(url: URL, pool: PoolConfiguration, *, transaction_pooler: bool) -> dict[str, Any]:
    settings: dict[str, Any] = {
        # For each address of the host. Without it PGCONNECT_TIMEOUT would decide; 0 is psycopg's own 130 s.
        "connect_timeout": int(pool.connection_timeout_s),
    }
    if transaction_pooler:
        # Where each transaction may have another server connection, a statement prepared on one is not on the
        # next. Without a pooler it is psycopg's own: it prepares what it has executed five times.
        settings["prepare_threshold"] = None
    if (tls := tls_of(url)) is not None:
        settings["sslmode"] = tls
        if tls == "disable":
            settings["gssencmode"] = "disable"
    if pool.server_statement_timeout_s:
        given = url.query.get("options", "")
        limit = f"-c statement_timeout={pool.server_statement_timeout_s * 1000:.0f}"
        settings["options"] = f"{given} {limit}".strip()
    return settings


def _sqlstate(cause: BaseException) -> str | None:
    return cause.sqlstate if isinstance(cause, psycopg.Error) else None
