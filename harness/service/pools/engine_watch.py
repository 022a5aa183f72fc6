"""What an engine of SQLAlchemy tells of its pool, by its events, passed on to a `PoolWatch`.

SQLAlchemy counts no waiters and gives limits for sizes, so the pool's timeline comes from what its events say and from
`checkedout()` and `checkedin()`.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, ExceptionContext, event
from sqlalchemy.pool import QueuePool

from harness.service.observation import PoolWatch, Slots
from harness.service.trace import TRACE

HELD = "coldstart_held"
IDLE_SINCE = "coldstart_idle_since_s"


def loop_time_s() -> float | None:
    """The running loop's time; None where no loop runs any more."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        # The loop has ended: the garbage collector returns a connection that nobody returned.
        return None


class EngineWatch:
    """Watches the pool of one engine: it is `Watched`, and its owner attaches it to the `PoolWatch`."""

    changes_by_requests_only = False

    def __init__(self, engine: Engine, watch: PoolWatch, *, now_s: Callable[[], float | None] = loop_time_s) -> None:
        """`now_s` is the clock of the traces; None: it has stopped."""
        self._watch = watch
        self._now_s = now_s
        self._held = 0
        self._engine = engine
        queue = self._queue
        event.listen(engine, "handle_error", self._failed)
        event.listen(queue, "connect", self._connected)
        event.listen(queue, "checkout", self._checked_out)
        event.listen(queue, "checkin", self._checked_in)
        for name in ("invalidate", "close", "close_detached"):
            event.listen(queue, name, lambda *_: watch.changed())

    @property
    def _queue(self) -> QueuePool:
        # Asked for each time: `dispose` gives the engine a new pool, which inherits the listeners.
        queue = self._engine.pool
        assert isinstance(queue, QueuePool)
        return queue

    def slots(self) -> Slots:
        in_use = self._queue.checkedout()
        idle = self._queue.checkedin()
        return Slots(in_use=in_use, idle=idle, checking_out=max(0, in_use - self._held))

    @contextmanager
    def connecting(self) -> Iterator[None]:
        """A connection is being made inside: its time, and its failure too. That it was made, an event says."""
        self._watch.connect_began(TRACE.get())
        try:
            yield
        except BaseException:
            self._watch.connect_ended(TRACE.get(), failed=True)
            raise

    def _failed(self, context: ExceptionContext) -> None:
        # A connection that is known to be closed fails its ping without a word to the server. A ping that times out
        # is no error of the driver's to SQLAlchemy, and does not come here: `PoolWatch.checkout_ended` counts it.
        if context.is_pre_ping:
            self._watch.ping_failed()

    def _connected(self, *_: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
        self._watch.connect_ended(TRACE.get(), failed=False)

    def _checked_out(self, _connection: Any, record: Any, _proxy: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
        record.record_info[HELD] = True
        self._held += 1
        self._watch.checked_out(record.info.get(IDLE_SINCE))

    def _checked_in(self, _connection: Any, record: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
        # A connection whose ping failed is returned too, but was never checked out.
        if record.record_info.pop(HELD, False):
            self._held -= 1
        now_s = self._now_s()
        if now_s is None:
            return
        # `info` is the connection's own and goes with it; `record_info` stays when it is replaced.
        record.info[IDLE_SINCE] = now_s
        self._watch.changed()
