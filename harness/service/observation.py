"""Watching a pool through the hooks that its libraries offer: SQLAlchemy's events, and the driver's connection class.

Nothing of any library is patched; the connection classes are in harness/service/drivers. SQLAlchemy counts no waiters
and gives limits for sizes, so the columns of the pool's timeline are counted here from what its events say and from
`checkedout()` and `checkedin()`.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from sqlalchemy import ExceptionContext, event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from harness.model.rows import PoolSample
from harness.service.trace import TRACE

HELD = "coldstart_held"
IDLE_SINCE = "coldstart_idle_since_s"


class PoolWatch:
    """Counts what a pool's requests are doing, and tells a listener whenever that changes."""

    def __init__(self, changed: Callable[[], None] | None = None) -> None:
        self._changed = changed or (lambda: None)
        self._pools: dict[AsyncEngine, QueuePool] = {}
        """One; and while a deploy replaces it, the old one too."""
        self._connects = 0
        self._connects_failed = 0
        self._pings_failed = 0
        self._pool_size = 0
        self._checking_out = 0
        self._connecting = 0
        self._held = 0

    def attach(self, engine: AsyncEngine) -> None:
        """Watch this engine's pool."""
        pool = engine.sync_engine.pool
        assert isinstance(pool, QueuePool)
        self._pools[engine] = pool
        self._pool_size = pool.size()
        event.listen(engine.sync_engine, "do_connect", self._do_connect)
        event.listen(engine.sync_engine, "handle_error", self._failed)
        event.listen(pool, "connect", self._connected)
        event.listen(pool, "checkout", self._checked_out)
        event.listen(pool, "checkin", self._checked_in)
        for name in ("invalidate", "close", "close_detached"):
            event.listen(pool, name, lambda *_: self._changed())

    def detach(self, engine: AsyncEngine) -> None:
        """Count this engine's pool no more: its last connection is closed."""
        del self._pools[engine]
        self._changed()

    def sample(self, *, at_s: float | None = None) -> PoolSample:
        """The pool now; in another thread than the loop's, `at_s` must be given."""
        assert self._pools
        checked_out = sum(pool.checkedout() for pool in self._pools.values())
        idle = sum(pool.checkedin() for pool in self._pools.values())
        # Whoever is checking out and has no slot yet is waiting for one.
        waiting = max(0, self._checking_out - max(0, checked_out - self._held))
        return PoolSample(
            at_s=asyncio.get_running_loop().time() if at_s is None else at_s,
            size=checked_out + idle,
            idle=idle,
            checked_out=checked_out,
            overflow=max(0, checked_out + idle - self._pool_size),
            connecting=self._connecting,
            waiting=waiting,
            connects=self._connects,
            connects_failed=self._connects_failed,
            pings_failed=self._pings_failed,
        )

    def checkout_began(self) -> None:
        self._checking_out += 1
        if (trace := TRACE.get()) is not None:
            trace.checkout_began()
        self._changed()

    def checkout_ended(self) -> None:
        self._checking_out -= 1
        if (trace := TRACE.get()) is not None:
            self._pings_failed += trace.take_pings_timed_out()
            if trace.connecting_since_s is not None:
                # The connection was made and then failed while SQLAlchemy was preparing it.
                self._connect_ended(failed=True)
        self._changed()

    def _do_connect(self, dialect: Any, _record: Any, arguments: Any, parameters: Any) -> Any:  # noqa: ANN401 - SQLAlchemy's own
        # Making the connection here, as the default would, times it and knows of its failure too.
        self._connecting += 1
        if (trace := TRACE.get()) is not None:
            trace.connect_began()
        self._changed()
        try:
            return dialect.connect(*arguments, **parameters)
        except BaseException:
            self._connect_ended(failed=True)
            raise

    def _failed(self, context: ExceptionContext) -> None:
        # A connection that is known to be closed fails its ping without a word to the server. A ping that times out
        # is no error of the driver's to SQLAlchemy, and does not come here: `checkout_ended` counts it.
        if context.is_pre_ping:
            self._pings_failed += 1
            self._changed()

    def _connected(self, *_: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
        self._connect_ended(failed=False)
        self._changed()

    def _connect_ended(self, *, failed: bool) -> None:
        self._connecting -= 1
        if failed:
            self._connects_failed += 1
        else:
            self._connects += 1
        if (trace := TRACE.get()) is not None:
            trace.connect_ended(failed=failed)

    def _checked_out(self, _connection: Any, record: Any, _proxy: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
        record.record_info[HELD] = True
        self._held += 1
        if (trace := TRACE.get()) is not None:
            trace.checked_out()
            idle_since_s = record.info.get(IDLE_SINCE)
            trace.idle_s = None if idle_since_s is None else trace.now_s() - idle_since_s
        self._changed()

    def _checked_in(self, _connection: Any, record: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
        # A connection whose ping failed is returned too, but was never checked out.
        if record.record_info.pop(HELD, False):
            self._held -= 1
        try:
            now_s = asyncio.get_running_loop().time()
        except RuntimeError:
            # The loop has ended: the garbage collector returns a connection that nobody returned.
            return
        # `info` is the connection's own and goes with it; `record_info` stays when it is replaced.
        record.info[IDLE_SINCE] = now_s
        self._changed()
