"""What one request does with its connection: the phase it is in and the time each phase took.

SQLAlchemy's greenlet adapter runs in the caller's task, so a context variable reaches the pool's events. All times
are the running loop's, so they are right on a virtual clock too.
"""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

from harness.model.outcomes import Phase


def _clock() -> Callable[[], float]:
    return asyncio.get_running_loop().time


@dataclass(slots=True)
class RequestTrace:
    """Filled in as a request goes on; durations in seconds."""

    phase: Phase = Phase.CHECKOUT
    connect_s: float = 0.0
    ping_s: float = 0.0
    query_s: float = 0.0
    idle_s: float | None = None
    """How long its connection had been idle in the pool; None: it has none yet, or a new one."""
    checkout_s: float = 0.0
    """Time in the pool's queue: the checkouts without what connecting and pinging took."""
    # Looked up once: looking up the running loop costs a system call.
    now_s: Callable[[], float] = field(default_factory=_clock)
    connecting_since_s: float | None = None
    pinging_since_s: float | None = None
    _waiting_since_s: float | None = None
    _connected_s: float = 0.0
    """What connecting and pinging had taken when the checkout under way began."""
    _pings_timed_out: int = 0
    _held: int = 0
    """The connections it holds now."""
    _holding_since_s: float | None = None

    def checkout_began(self) -> None:
        self._pause_holding()
        self.phase = Phase.CHECKOUT
        self._waiting_since_s = self.now_s()
        self._connected_s = self.connect_s + self.ping_s

    def connect_began(self) -> None:
        self.phase = Phase.CONNECT
        self.connecting_since_s = self.now_s()

    def connect_ended(self, *, failed: bool) -> None:
        """A failed request stays in the phase it failed in."""
        if self.connecting_since_s is not None:
            self.connect_s += self.now_s() - self.connecting_since_s
            self.connecting_since_s = None
        if not failed:
            self.phase = Phase.CHECKOUT

    def ping_began(self) -> None:
        self.pinging_since_s = self.now_s()

    def ping_ended(self, *, timed_out: bool) -> None:
        self._pings_timed_out += timed_out
        if self.pinging_since_s is not None:
            self.ping_s += self.now_s() - self.pinging_since_s
            self.pinging_since_s = None

    def take_pings_timed_out(self) -> int:
        """How many pings have timed out since this was asked last."""
        timed_out, self._pings_timed_out = self._pings_timed_out, 0
        return timed_out

    def checked_out(self) -> None:
        self._end_waiting()
        self.phase = Phase.QUERY
        self._held += 1
        self._holding_since_s = self.now_s()

    def checked_in(self) -> None:
        self._held -= 1
        if self._held == 0:
            self._pause_holding()

    def ended(self) -> None:
        self._end_waiting()
        self._pause_holding()

    def branch(self) -> "RequestTrace":
        """The trace of a part of the request that goes on beside other parts."""
        return RequestTrace(now_s=self.now_s)

    def join(self, branch: "RequestTrace", *, failed: bool) -> None:
        """Add what a part took, and if it failed, the phase in which it did."""
        branch.ended()
        self.connect_s += branch.connect_s
        self.ping_s += branch.ping_s
        self.query_s += branch.query_s
        self.checkout_s += branch.checkout_s
        if self.idle_s is None:
            self.idle_s = branch.idle_s
        if failed:
            self.phase = branch.phase

    def _end_waiting(self) -> None:
        if self._waiting_since_s is not None:
            connected_s = self.connect_s + self.ping_s - self._connected_s
            self.checkout_s += max(0.0, self.now_s() - self._waiting_since_s - connected_s)
            self._waiting_since_s = None

    def _pause_holding(self) -> None:
        if self._holding_since_s is not None:
            self.query_s += self.now_s() - self._holding_since_s
            self._holding_since_s = None


TRACE: ContextVar[RequestTrace | None] = ContextVar("trace", default=None)
"""The trace of the request that is running in this task."""
