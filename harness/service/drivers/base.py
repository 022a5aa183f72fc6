"""What the service must know of a driver, and what all drivers have in common."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from harness.model.outcomes import Outcome, Phase
from harness.model.pool import PoolConfiguration
from harness.service.trace import TRACE

if TYPE_CHECKING:
    from sqlalchemy import URL  # slow to import, and a run asks for versions only

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
TLS_OPTIONS = ("sslmode", "ssl")
"""How a URL asks for TLS or for none, in libpq's words and in asyncpg's; either is understood with either driver."""
QUERY_CANCELED = "57014"
# Class 08 is "connection exception"; the others are what a server says as it closes a session.
LOST_SQLSTATES = frozenset({"57P01", "57P02", "57P05", "25P03"})


class DatabaseDriver(Protocol):
    """Everything that differs from driver to driver."""

    drivername: str
    """In a URL of SQLAlchemy: `postgresql+asyncpg`."""
    connection_class: type[Any]
    """The class of its connections, which times the pre-ping (`observed_ping`)."""

    def connect_args(
        self, url: "URL", pool: PoolConfiguration, connection_class: type[Any], *, transaction_pooler: bool
    ) -> dict[str, Any]:
        """SQLAlchemy's `connect_args` for these settings. `transaction_pooler`: one is in the path."""
        ...

    def own_arguments(self, url: "URL", pool: PoolConfiguration, *, transaction_pooler: bool) -> dict[str, Any]:
        """The library's own arguments of a connection to `url` with these settings, for its own pool."""
        ...

    def outcome(self, cause: BaseException, phase: Phase, *, invalidated: bool) -> Outcome:
        """The outcome of a request that this exception of the driver's ended.

        `invalidated`: SQLAlchemy found that the connection is closed.
        """
        ...


def is_pinging() -> bool:
    """Whether whatever a connection is asked now is a request's ping: it is between the queue and its checkout."""
    trace = TRACE.get()
    return trace is not None and trace.phase is Phase.CHECKOUT


class observed_ping:  # noqa: N801 - a context manager, used like a function
    """Counts the time inside as the ping's when a request is between the queue and its checkout."""

    def __enter__(self) -> None:
        trace = TRACE.get()
        self._trace = trace if trace is not None and trace.phase is Phase.CHECKOUT else None
        if self._trace is not None:
            self._trace.ping_began()

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if self._trace is not None:
            self._trace.ping_ended(timed_out=error is not None and issubclass(error, TimeoutError))


def tls_of(url: "URL") -> str | None:
    """What to do about TLS, as libpq's `sslmode`; None: what the driver does by itself.

    Without a word in the URL there is none on loopback: a driver's default asks every server for TLS first, which is
    one round trip more.
    """
    asked = [text for name in TLS_OPTIONS if isinstance(text := url.query.get(name), str)]
    if asked:
        return asked[0]
    return "disable" if url.host in LOOPBACK else None


def without_tls_options(query: Mapping[str, Any]) -> dict[str, Any]:
    """The URL's options but those that `tls_of` reads."""
    return {name: value for name, value in query.items() if name not in TLS_OPTIONS}


def is_lost(sqlstate: str | None) -> bool:
    """Whether a server that says this ends, or has lost, the session."""
    return sqlstate is not None and (sqlstate.startswith("08") or sqlstate in LOST_SQLSTATES)
