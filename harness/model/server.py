"""The limits and the costs of a PostgreSQL server that a story can set."""

from dataclasses import dataclass

from harness.model.distribution import Duration, duration
from harness.model.errors import UserError
from harness.model.limits import MAX_CONNECTIONS, check_number, check_whole


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

    What a client then sends on one is answered by RST, or with `silently` by nothing: it waits until its own timeout.
    """

    after_s: float
    silently: bool = False

    def __post_init__(self) -> None:
        check_number("after_s", self.after_s, where="idle reaper", above_least=True)
        if not isinstance(self.silently, bool):
            raise UserError(f"silently is True or False, got {self.silently!r}", where="idle reaper")
