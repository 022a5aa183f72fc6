"""The limits and the costs of a PostgreSQL server that a story can set, and what stands in front of it."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from harness.model.distribution import Duration, duration
from harness.model.errors import UserError
from harness.model.limits import MAX_CONNECTIONS, check_number, check_whole

STARTUP_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Limits of the server, by PostgreSQL's own names; None: no limit."""

    idle_in_transaction_session_timeout_s: float | None = None
    """A session that is idle in a transaction for longer is ended with 25P03."""
    idle_session_timeout_s: float | None = None
    """A session that is idle outside of a transaction for longer is ended with 57P05."""
    role_connection_limit: int | None = None
    """CONNECTION LIMIT of the service's role. Sessions that are being refused count too, as PostgreSQL counts."""

    def __post_init__(self) -> None:
        for name in ("idle_in_transaction_session_timeout_s", "idle_session_timeout_s"):
            if (value := getattr(self, name)) is not None:
                check_number(name, value, where="server limits", above_least=True)
        if self.role_connection_limit is not None:
            limit = self.role_connection_limit
            check_whole("role_connection_limit", limit, where="server limits", least=1, most=MAX_CONNECTIONS)


@dataclass(frozen=True, slots=True, init=False)
class ConnectCost:
    """What a new connection costs while the database is awake, in front of it: TLS, a proxy, a cold cache.

    `at_a_time`: only so many are made at a time, and the others wait for their turn: connects slow each other down.
    """

    takes_s: Duration
    at_a_time: int | None

    def __init__(self, takes_s: float | Duration, *, at_a_time: int | None = None) -> None:
        object.__setattr__(self, "takes_s", duration(takes_s, "takes_s", where="connect cost"))
        if at_a_time is not None:
            check_whole("at_a_time", at_a_time, where="connect cost", least=1, most=MAX_CONNECTIONS)
        object.__setattr__(self, "at_a_time", at_a_time)


@dataclass(frozen=True, slots=True)
class IdleReaper:
    """A load balancer or NAT between service and database that forgets connections without traffic for `after_s`.

    What a client then sends on one is answered by RST, or with `silently` by nothing: it waits until its own timeout,
    or until its kernel gives up.
    """

    after_s: float
    silently: bool = False

    def __post_init__(self) -> None:
        check_number("after_s", self.after_s, where="idle reaper", above_least=True)
        if not isinstance(self.silently, bool):
            raise UserError(f"silently is True or False, got {self.silently!r}", where="idle reaper")


PoolMode = Literal["session", "transaction"]
"""PgBouncer's `pool_mode`: a server connection is given to another client when the client disconnects, or when its
transaction ends; in the latter a session's state, such as prepared statements, is not the client's own.

The third mode, `statement`, refuses transactions, which the service's requests are made of.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PgBouncer:
    """A PgBouncer between the service and the database that sleeps, with PgBouncer's own names and defaults.

    Source: PgBouncer's `doc/config.md`. Its durations are in seconds; 0 switches a limit off where it says so.
    """

    mode: PoolMode = "session"
    """`pool_mode`: when a server connection is given to another client."""
    default_pool_size: int = 20
    """Server connections at most; there is one user and one database here."""
    max_client_conn: int = 100
    """Client connections at most; one more is refused."""
    server_connect_timeout_s: float = 15.0
    """A connection to the server is given up when connecting and login take longer."""
    server_login_retry_s: float = 15.0
    """How long after a failed login no other is tried; new clients are refused at once meanwhile."""
    query_wait_timeout_s: float = 120.0
    """A client that has waited for a server connection for longer is disconnected; 0: never."""
    server_idle_timeout_s: float = 600.0
    """A server connection that is idle for longer is closed; 0: never."""
    server_lifetime_s: float = 3600.0
    """An unused server connection that is older is closed; 0: after its first use."""
    client_login_timeout_s: float = 60.0
    """A client that is not logged in after so long is disconnected; 0: never."""
    max_prepared_statements: int | None = None
    """How many prepared statements it follows on a server connection in transaction mode (0: it follows none).

    None: the program's own default, 200 since PgBouncer 1.24 and 0 in 1.21 to 1.23; older ones don't have the setting.
    """
    ignore_startup_parameters: tuple[str, ...] = ()
    """Startup parameters that are dropped; any other but the few that it tracks is an error.

    `server_statement_timeout` of a pool is one, `statement_timeout` with asyncpg and `options` with psycopg: here it
    must be dropped, or nothing connects.
    """

    def __post_init__(self) -> None:
        where = "PgBouncer"
        if self.mode not in get_args(PoolMode):
            raise UserError(f"no mode {self.mode!r}", where=where, allowed=", ".join(get_args(PoolMode)))
        for name in ("default_pool_size", "max_client_conn"):
            check_whole(name, getattr(self, name), where=where, least=1, most=MAX_CONNECTIONS)
        for name in ("server_connect_timeout_s", "server_login_retry_s"):
            check_number(name, getattr(self, name), where=where, above_least=True)
        for name in ("query_wait_timeout_s", "server_idle_timeout_s", "server_lifetime_s", "client_login_timeout_s"):
            check_number(name, getattr(self, name), where=where)
        if self.max_prepared_statements is not None:
            check_whole("max_prepared_statements", self.max_prepared_statements, where=where, most=MAX_CONNECTIONS)
        parameters: object = self.ignore_startup_parameters
        if not isinstance(parameters, tuple) or not all(STARTUP_PARAMETER.fullmatch(str(name)) for name in parameters):
            raise UserError(
                f"ignore_startup_parameters must be names of parameters, got {parameters!r}",
                where=where,
                allowed='a tuple such as ("statement_timeout",)',
            )
