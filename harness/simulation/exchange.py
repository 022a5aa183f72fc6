"""A session's side of the exchange with its client: what is to go out, and the step whose time is being spent."""

import asyncio
from collections.abc import Callable

from harness.model.compute import ADMIN_SHUTDOWN, ErrorResponse
from harness.model.packets import ProtocolViolationError
from harness.model.protocol import encoded
from harness.simulation import wire
from harness.simulation.connection import End
from harness.simulation.cores import Computing
from harness.simulation.postmaster import Postmaster

IDLE_SESSION = ErrorResponse("FATAL", "57P05", "terminating connection due to idle-session timeout")
IDLE_IN_TRANSACTION = ErrorResponse("FATAL", "25P03", "terminating connection due to idle-in-transaction timeout")


class Exchange:
    """Answers gather in `out` and go out together, at ReadyForQuery or Flush, as PostgreSQL's do.

    One step at a time: while its time is being spent the exchange is `busy`, and what the client sends has to wait.
    """

    __slots__ = ("_active_at_s", "_go_on", "_idle_limit", "_key", "_limits", "_postmaster", "_step", "end", "out")

    def __init__(self, postmaster: Postmaster, key: object, go_on: Callable[[], None]) -> None:
        """`go_on` is called when a step's time has been spent: carry out what had to wait."""
        self._postmaster = postmaster
        self._key = key
        self._go_on = go_on
        self._step: asyncio.TimerHandle | Computing | None = None
        limits = postmaster.limits
        self._active_at_s = postmaster.loop.time()
        self._limits = {
            status: limit
            for status, limit in (
                ("I", (limits.idle_session_timeout_s, IDLE_SESSION)),
                ("T", (limits.idle_in_transaction_session_timeout_s, IDLE_IN_TRANSACTION)),
                ("E", (limits.idle_in_transaction_session_timeout_s, IDLE_IN_TRANSACTION)),
            )
            if limit[0] is not None
        }
        """How long a session may be idle in each status, and how it is ended."""
        self._idle_limit: asyncio.TimerHandle | None = None
        self.end: End | None = None
        """The server's end of the connection, once there is one."""
        # One buffer for the whole session: startup and statements append to it, so it must never be replaced.
        self.out = bytearray()

    @property
    def busy(self) -> bool:
        return self._step is not None

    def after(self, seconds: float, rest: Callable[[], None], *, cpu_s: float = 0.0) -> None:
        """Do the rest when this time has been spent; without any, now.

        Where the server's processes share cores, `cpu_s` of it is computing, which takes longer beside others'.
        """
        if cpu_s > 0 and self._postmaster.cores is not None:
            if seconds > cpu_s:
                self._step = self._postmaster.loop.call_later(seconds - cpu_s, self._compute, cpu_s, rest)
            else:
                self._compute(cpu_s, rest)
            return
        if seconds <= 0:
            # Not by a timer of 0 s: it would put everything behind whatever else is due at this instant.
            rest()
            return
        self._step = self._postmaster.loop.call_later(seconds, self._spent, rest)

    def heard(self) -> None:
        """The client sent something: the session is idle no more."""
        if self._idle_limit is not None:
            self._idle_limit.cancel()
            self._idle_limit = None

    def is_forgotten(self, *, heard: bool = False) -> bool:
        """Bytes come (`heard`) or go: whether the way here had forgotten the connection, and what happens then."""
        reaper = self._postmaster.reaper
        if reaper is None:
            return False
        now_s = self._postmaster.loop.time()
        idle_since_s, self._active_at_s = self._active_at_s, now_s
        if now_s - idle_since_s <= reaper.after_s or self.end is None:
            return False
        probes_every_s = self.end.peer_probes_every_s
        if probes_every_s is not None and probes_every_s <= reaper.after_s:
            # Its client's keepalives are traffic too.
            return False
        self.stop()
        if reaper.silently:
            self.end.vanish(unacknowledged=heard)
        else:
            self.end.abort()
        return True

    def stop(self) -> None:
        """Cancel the step that is under way."""
        self.heard()
        if self._step is not None:
            self._step.cancel()
            self._step = None

    def flush(self) -> None:
        if self.out and self.end is not None and not self.is_forgotten():
            self.end.write(bytes(self.out))
        self.out.clear()

    def ready(self, status: str) -> None:
        """ReadyForQuery: `I` in no transaction, `T` in one, `E` in a failed one."""
        self.out += wire.READY[status]
        self.flush()
        if status in self._limits:
            limit_s, error = self._limits[status]
            self._idle_limit = self._postmaster.loop.call_later(limit_s or 0.0, self.terminate, error)
        if self._postmaster.watches_bytes:
            self._postmaster.answered(self._key, idle=status == "I")

    def terminate(self, error: ErrorResponse = ADMIN_SHUTDOWN) -> None:
        """Send `error`, then FIN."""
        self.stop()
        self.out += encoded(error)
        self.flush()
        self.close()

    def violated(self, error: ProtocolViolationError) -> None:
        """The client sent what no client may send."""
        self.terminate(ErrorResponse("FATAL", "08P01", str(error)))

    def close(self, *, reset: bool = False) -> None:
        self.stop()
        if self.end is not None:
            (self.end.abort if reset else self.end.close)()

    def _compute(self, cpu_s: float, rest: Callable[[], None]) -> None:
        assert self._postmaster.cores is not None
        self._step = self._postmaster.cores.compute(cpu_s, lambda: self._spent(rest))

    def _spent(self, rest: Callable[[], None]) -> None:
        # Before the rest, which may begin the next step.
        self._step = None
        rest()
        self._go_on()
