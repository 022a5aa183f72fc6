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
    # Looked up once: looking up the running loop costs a system call.
    now_s: Callable[[], float] = field(default_factory=_clock)
    started_at_s: float = field(init=False)
    checked_out_at_s: float | None = None
    connecting_since_s: float | None = None
    pinging_since_s: float | None = None

    def __post_init__(self) -> None:
        self.started_at_s = self.now_s()

    @property
    def checkout_s(self) -> float:
        """Time in the pool's queue: the checkout without what connecting and pinging took."""
        until_s = self.now_s() if self.checked_out_at_s is None else self.checked_out_at_s
        return max(0.0, until_s - self.started_at_s - self.connect_s - self.ping_s)

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

    def ping_ended(self) -> None:
        if self.pinging_since_s is not None:
            self.ping_s += self.now_s() - self.pinging_since_s
            self.pinging_since_s = None

    def checked_out(self) -> None:
        self.phase = Phase.QUERY
        self.checked_out_at_s = self.now_s()

    def ended(self) -> None:
        if self.checked_out_at_s is not None:
            self.query_s = self.now_s() - self.checked_out_at_s


TRACE: ContextVar[RequestTrace | None] = ContextVar("trace", default=None)
"""The trace of the request that is running in this task."""
