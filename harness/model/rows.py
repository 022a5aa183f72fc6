"""Rows of a run's tables as they are measured, with the names of harness/model/columns.py.

Moments (`at_s`, `arrival_s`, `start_s`, `end_s`) are on the measuring clock: in real time the monotonic clock, which
all processes of a machine share, in virtual time the loop's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.model.events import Event
from harness.model.outcomes import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """A request that has ended: what its client saw, and the times in the answer's Server-Timing header."""

    number: int
    request: str
    arrival_s: float
    start_s: float
    end_s: float
    outcome: Outcome
    error: str | None
    status: int | None
    attempts: int
    checkout_s: float | None = None
    connect_s: float | None = None
    ping_s: float | None = None
    query_s: float | None = None
    idle_s: float | None = None
    burst: int = 0


@dataclass(frozen=True, slots=True)
class PoolSample:
    """The pool at one moment."""

    at_s: float
    size: int
    idle: int
    checked_out: int
    overflow: int
    connecting: int
    waiting: int
    connects: int = 0
    """Connections made until now, and those that could not be made; and pre-pings that failed."""
    connects_failed: int = 0
    pings_failed: int = 0

    def to_record(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerEvent:
    """What happened to a queue listener."""

    event: Event
    at_s: float
    value_s: float | None = None
    detail: Mapping[str, int | str] = field(default_factory=dict)
