"""Watching a pool: what its library tells while it happens, counted, and the pool's timeline made of it.

Nothing of any library is patched: each pool in harness/service/pools uses the hooks that its library offers, and the
connection classes are in harness/service/drivers.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from harness.model.pool import PoolConfiguration
from harness.model.rows import PoolSample
from harness.service.trace import TRACE, RequestTrace


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """A pool's connections at one moment."""

    in_use: int
    """Of the connections that there can be, how many are held, are being tried, or are being made."""
    idle: int
    checking_out: int
    """How many of these are of requests that are still checking out: those do not wait in the queue."""


class Watched(Protocol):
    """A pool that knows its connections."""

    changes_by_requests_only: bool
    """Whether nothing changes in it between a request's end and the next one's checkout.

    False: it has tasks of its own, or checkouts that no watch is told of.
    """

    def slots(self) -> Slots: ...


class PoolWatch:
    """Counts what a pool's requests are doing, and tells a listener whenever that changes."""

    def __init__(self, changed: Callable[[], None] | None = None) -> None:
        self.changed = changed or (lambda: None)
        self.connected_by_pool: Callable[[float], None] = lambda _: None
        """Called with the seconds of each connection, or attempt at one, that was the pool's own and no request's."""
        self._pools: dict[Watched, None] = {}
        """One; and while a deploy replaces it, the old one too."""
        self._connects = 0
        self._connects_failed = 0
        self._pings_failed = 0
        self._pool_size = 0
        self._checking_out = 0
        self._connecting = 0

    def attach(self, pool: Watched, configuration: PoolConfiguration) -> None:
        """Watch this pool."""
        self._pools[pool] = None
        self._pool_size = configuration.pool_size

    def detach(self, pool: Watched) -> None:
        """Count this pool no more: its last connection is closed."""
        del self._pools[pool]
        self.changed()

    def sample(self, *, at_s: float | None = None) -> PoolSample:
        """The pool now; in another thread than the loop's, `at_s` must be given."""
        assert self._pools
        slots = [pool.slots() for pool in self._pools]
        in_use, idle = sum(one.in_use for one in slots), sum(one.idle for one in slots)
        return PoolSample(
            at_s=asyncio.get_running_loop().time() if at_s is None else at_s,
            size=in_use + idle,
            idle=idle,
            checked_out=in_use,
            overflow=max(0, in_use + idle - self._pool_size),
            connecting=self._connecting,
            # Whoever is checking out and has no slot yet is waiting for one.
            waiting=max(0, self._checking_out - sum(one.checking_out for one in slots)),
            connects=self._connects,
            connects_failed=self._connects_failed,
            pings_failed=self._pings_failed,
        )

    def is_still(self, sample: PoolSample) -> bool:
        """Whether what was sampled now holds until the watch is told of something: nobody uses the pool."""
        return not (sample.checked_out or sample.connecting or self._checking_out) and all(
            pool.changes_by_requests_only for pool in self._pools
        )

    def checkout_began(self) -> None:
        self._checking_out += 1
        if (trace := TRACE.get()) is not None:
            trace.checkout_began()
        self.changed()

    def checkout_ended(self) -> None:
        self._checking_out -= 1
        if (trace := TRACE.get()) is not None:
            self._pings_failed += trace.take_pings_timed_out()
            if trace.connecting_since_s is not None:
                # The connection was made and then failed while SQLAlchemy was preparing it.
                self.connect_ended(trace, failed=True)
        self.changed()

    def checked_out(self, idle_since_s: float | None) -> None:
        """The request that is running has a connection, which has been idle since then; None: a new one."""
        if (trace := TRACE.get()) is not None:
            trace.checked_out()
            trace.idle_s = None if idle_since_s is None else trace.now_s() - idle_since_s
        self.changed()

    def connect_began(self, trace: RequestTrace | None) -> None:
        """A connection is being made, for the request of this trace; None: by the pool itself."""
        self._connecting += 1
        if trace is not None:
            trace.connect_began()
        self.changed()

    def connect_ended(self, trace: RequestTrace | None, *, failed: bool, took_s: float | None = None) -> None:
        """`took_s`: the time of a connection that the pool itself made, or tried to make."""
        self._connecting -= 1
        if failed:
            self._connects_failed += 1
        else:
            self._connects += 1
        if took_s is not None:
            self.connected_by_pool(took_s)
        if trace is not None:
            trace.connect_ended(failed=failed)
        self.changed()

    def ping_failed(self) -> None:
        self._pings_failed += 1
        self.changed()
