"""The outcomes of requests, with all their properties.

`harness/service/classify.py` finds the outcome of a request; columns, charts, tables and documents use this file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Role(StrEnum):
    """The kind of an outcome. Charts and the terminal have a colour for each role."""

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
    """The properties of an outcome."""

    meaning: str
    role: Role
    http_status: int | None = 500
    is_timeout: bool = False


class Outcome(StrEnum):
    """How a request ended. Every request has exactly one outcome; charts and tables use this order."""

    meaning: str
    """The explanation in tables of outcomes and for the column that counts them."""
    role: Role
    http_status: int | None
    """The status of the service's answer; None: there is no answer, because the client has given up."""
    is_timeout: bool
    """Whether the outcome is a timeout."""

    def __new__(cls, name: str, facts: Facts | None = None) -> Self:
        # `Outcome("ok")` looks up a member without calling this, but type checkers use this signature for it too.
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


def counted(counts: Mapping[str, int]) -> str:
    """How often each outcome occurred, in one line; those that did not are left out."""
    return "  ".join(f"{outcome} {counts[outcome]}" for outcome in Outcome if counts.get(outcome))


FAILURES = tuple(outcome for outcome in Outcome if outcome.is_failure)
"""Every outcome but ok."""


class Phase(StrEnum):
    """What a request was doing with its connection when it failed."""

    CHECKOUT = "checkout"
    """In the pool's queue, or being given an idle connection (the pre-ping included)."""
    CONNECT = "connect"
    QUERY = "query"
