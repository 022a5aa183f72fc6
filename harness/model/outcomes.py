"""What became of a request. Everything that is true of an outcome is written here and nowhere else.

`harness/service/classify.py` tells the outcomes apart; columns, charts, tables and documents follow from this file.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Role(StrEnum):
    """What an outcome's colour stands for; charts and the terminal give each role its colour in one place of theirs."""

    SERVED = "served"
    QUEUE = "queue"
    CONNECTING = "connecting"
    REFUSED = "refused"
    STATEMENT = "statement"
    CONNECTION = "connection"
    CLIENT = "client"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true of an outcome."""

    meaning: str
    role: Role
    http_status: int | None = 500
    is_timeout: bool = False


class Outcome(StrEnum):
    """How a request ended. Every request ends in exactly one; charts and tables show them in this order."""

    meaning: str
    """For a table of outcomes, and for the column that counts them."""
    role: Role
    http_status: int | None
    """What the service answers with; None: it never answers, because the client has gone."""
    is_timeout: bool
    """Whether a limit on waiting ran out."""

    def __new__(cls, name: str, facts: Facts | None = None) -> Self:
        # `Outcome("ok")` finds a member without coming here, but a type checker reads this signature for it too.
        if facts is None:
            raise TypeError(f"the outcome {name} needs its facts")
        outcome = str.__new__(cls, name)
        outcome._value_ = name
        outcome.meaning = facts.meaning
        outcome.role = facts.role
        outcome.http_status = facts.http_status
        outcome.is_timeout = facts.is_timeout
        return outcome

    OK = "ok", Facts("Answered with what was asked for", Role.SERVED, 200)
    POOL_TIMEOUT = (
        "pool_timeout",
        Facts("The wait in the pool's queue ran out: the pool was exhausted", Role.QUEUE, 503, is_timeout=True),
    )
    CONNECT_TIMEOUT = (
        "connect_timeout",
        Facts("Making a connection took too long", Role.CONNECTING, 503, is_timeout=True),
    )
    CONNECT_ERROR = (
        "connect_error",
        Facts("A new connection was refused, or answered with an error: too many connections, say", Role.REFUSED, 503),
    )
    STATEMENT_TIMEOUT = (
        "statement_timeout",
        Facts("A statement took too long", Role.STATEMENT, 504, is_timeout=True),
    )
    CONNECTION_LOST = (
        "connection_lost",
        Facts("The connection died while it was in use, or had died before in the pool", Role.CONNECTION),
    )
    CLIENT_TIMEOUT = (
        "client_timeout",
        Facts("The client stopped waiting for its answer", Role.CLIENT, http_status=None, is_timeout=True),
    )
    ERROR = "error", Facts("Anything else; the error's name says what", Role.OTHER)

    @property
    def is_failure(self) -> bool:
        return self is not Outcome.OK


FAILURES = tuple(outcome for outcome in Outcome if outcome.is_failure)
"""Every way to fail."""


class Phase(StrEnum):
    """What a request was doing with its connection when it failed."""

    CHECKOUT = "checkout"
    """In the pool's queue, or being given an idle connection (the pre-ping included)."""
    CONNECT = "connect"
    QUERY = "query"
