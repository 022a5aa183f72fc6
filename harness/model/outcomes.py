"""What became of a request: one of eight outcomes; `harness/service/classify.py` tells them apart."""

from enum import StrEnum


class Outcome(StrEnum):
    """How a request ended. Every request ends in exactly one."""

    OK = "ok"
    POOL_TIMEOUT = "pool_timeout"
    CONNECT_TIMEOUT = "connect_timeout"
    CONNECT_ERROR = "connect_error"
    STATEMENT_TIMEOUT = "statement_timeout"
    CONNECTION_LOST = "connection_lost"
    CLIENT_TIMEOUT = "client_timeout"
    ERROR = "error"

    @property
    def http_status(self) -> int:
        """The status the service answers with."""
        return _HTTP_STATUS.get(self, 500)


_HTTP_STATUS = {
    Outcome.OK: 200,
    Outcome.POOL_TIMEOUT: 503,
    Outcome.CONNECT_TIMEOUT: 503,
    Outcome.CONNECT_ERROR: 503,
    Outcome.STATEMENT_TIMEOUT: 504,
}


class Phase(StrEnum):
    """What a request was doing with its connection when it failed."""

    CHECKOUT = "checkout"
    """In the pool's queue, or being given an idle connection (the pre-ping included)."""
    CONNECT = "connect"
    QUERY = "query"
