"""The compute: a pure state machine of a database that sleeps. No I/O and no clock of its own.

          suspend (command, or suspend_after_s without activity)
   ACTIVE ─────────────────────────────────────────────────────▶ SUSPENDED
     ▲                                                               │ first connection attempt
     │ one draw of the wake latency later                            ▼ (or client bytes on a kept connection)
     └──────────────────────────────────────────────────────────  WAKING

A stack calls it for every input (a connection attempt, bytes, a command, the time) and carries out the effects that it
returns.
Times are seconds on any monotonic clock, the same for every call. The stack chooses the names of connections.
"""

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias, assert_never

from harness.model.errors import UserError


class State(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"
    WAKING = "waking"


class OnSuspend(StrEnum):
    """What happens to open connections when the compute suspends."""

    CLOSE = "close"
    """FIN, without a message."""
    TERMINATE = "terminate"
    """An ErrorResponse with SQLSTATE 57P01, then FIN."""
    RESET = "reset"
    """RST."""
    FREEZE = "freeze"
    """Half-open: no more bytes in either direction, and neither side is notified. A proxy that holds the connections
    does it: it acknowledges what a client sends, and nobody answers."""
    VANISH = "vanish"
    """The machine is gone, and nobody acknowledges: a client's kernel sends again and again, and the first time that
    the machine is back it answers by RST, because it knows nothing of the connection."""
    KEEP = "keep"
    """They stay open; what a client sends on one starts the wake, and is answered after it."""


class WhileWaking(StrEnum):
    """What a connection attempt meets between the suspend and the wake."""

    HOLD = "hold"
    """Accepted, then silence until the wake."""
    DROP = "drop"
    """The connection request gets no answer; the client's kernel retransmits it."""
    REFUSE = "refuse"
    """RST in answer to the connection request."""
    ERROR = "error"
    """An ErrorResponse in answer to the startup message, then FIN."""


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """A PostgreSQL ErrorResponse. `severity` is ERROR or FATAL, `sqlstate` five characters."""

    severity: str
    sqlstate: str
    message: str

    def __post_init__(self) -> None:
        if not all(type(text) is str and "\0" not in text for text in (self.severity, self.sqlstate, self.message)):
            raise UserError("severity, sqlstate and message are texts without a NUL", where="error response")
        if len(self.sqlstate) != 5:
            raise UserError(f"a SQLSTATE has five characters, got {self.sqlstate!r}", where="error response")


ADMIN_SHUTDOWN = ErrorResponse("FATAL", "57P01", "terminating connection due to administrator command")
"""PostgreSQL's message on every connection that `OnSuspend.TERMINATE` ends."""
COULD_NOT_CONNECT = ErrorResponse("ERROR", "XX000", "Couldn't connect to compute node")
"""The message of Neon's proxy when the compute does not start (neondatabase/neon, proxy)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How a compute behaves towards its clients; the wake latency is not part of it."""

    on_suspend: OnSuspend = OnSuspend.TERMINATE
    while_waking: WhileWaking = WhileWaking.HOLD
    suspend_after_s: float | None = None
    """Suspend after this long without activity; None: only on command."""
    open_connections_prevent_suspend: bool = False
    error: ErrorResponse = COULD_NOT_CONNECT
    """The answer of `WhileWaking.ERROR`."""

    def __post_init__(self) -> None:
        if self.suspend_after_s is not None and not self.suspend_after_s > 0:
            raise UserError(f"suspend_after_s must be positive, got {self.suspend_after_s:g}", where="compute")


Connection: TypeAlias = Hashable


@dataclass(frozen=True, slots=True)
class Admit:
    """Let this new connection through to the database now."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class Hold:
    """Accept this connection, but send nothing and open no connection to the database until `Release`."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class Release:
    """The compute woke: let this held connection through, or let the bytes of this paused one move again."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class Drop:
    """Leave this connection request without an answer. The next retransmission is a new attempt."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class Refuse:
    """Refuse this connection request (RST)."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class Fail:
    """Answer the startup message of this new connection with `error`, then close."""

    connection: Connection
    error: ErrorResponse


@dataclass(frozen=True, slots=True)
class Close:
    """Close this open connection: after `error` if there is one, by RST if `reset`, else by FIN."""

    connection: Connection
    error: ErrorResponse | None = None
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Freeze:
    """Stop the bytes of this open connection in both directions, without closing it."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class Vanish:
    """Forget this open connection: from now on nobody acknowledges what its client sends.

    `returns`: once the compute is awake again, its machine answers by RST. Otherwise the way to it stays dead.
    """

    connection: Connection
    returns: bool


@dataclass(frozen=True, slots=True)
class Pause:
    """Keep this connection open, and hold back what its client sends until `Release`."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class Suspended:
    """The compute suspended: every session of the database has ended, unless connections are kept."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Waking:
    """The first connection attempt after a suspend was seen; the compute will answer at `ready_at_s`."""

    at_s: float
    ready_at_s: float


@dataclass(frozen=True, slots=True)
class Woken:
    """The compute answers again: planned for `planned_at_s`, noticed by the tick at `at_s`."""

    at_s: float
    planned_at_s: float


@dataclass(frozen=True, slots=True)
class Away:
    """An outage has begun: the compute will answer at `ready_at_s`, and new connections meet `while_waking`."""

    at_s: float
    ready_at_s: float
    on_suspend: OnSuspend
    while_waking: WhileWaking


Effect: TypeAlias = (
    Admit | Hold | Release | Drop | Refuse | Fail | Close | Freeze | Vanish | Pause | Suspended | Waking | Woken | Away
)


TINY = 1e-9
"""Against the rounding of a share times a number: a third of three is one."""


class Compute:
    """One compute. Call its inputs in order of time, and carry out the returned effects in their order.

    `draw_wake_latency_s` is called once for each wake. After every input the stack reads `next_tick_s`: the time by
    which it must call `tick`; None: not before the next input.
    """

    def __init__(self, behaviour: Behaviour, draw_wake_latency_s: Callable[[], float], *, now_s: float) -> None:
        self.behaviour = behaviour
        self.state = State.ACTIVE
        self._draw_wake_latency_s = draw_wake_latency_s
        self._active_at_s = now_s
        self._ready_at_s = math.inf
        # dicts as ordered sets: effects come in the order in which the connections came
        self._open: dict[Connection, None] = {}
        self._held: dict[Connection, None] = {}
        self._paused: dict[Connection, None] = {}
        self._busy: set[Connection] = set()
        self.meanwhile = behaviour.while_waking
        """What a connection attempt meets until the compute answers: the behaviour's, or an outage's."""

    @property
    def next_tick_s(self) -> float | None:
        match self.state:
            case State.WAKING:
                return self._ready_at_s
            case State.ACTIVE if self.behaviour.suspend_after_s is not None and not self._is_kept_awake:
                return self._active_at_s + self.behaviour.suspend_after_s
            case State.ACTIVE | State.SUSPENDED:
                return None
            case _:
                assert_never(self.state)

    @property
    def _is_kept_awake(self) -> bool:
        return bool(self._busy or (self._open and self.behaviour.open_connections_prevent_suspend))

    def connection_attempt(self, now_s: float, connection: Connection) -> list[Effect]:
        """A client asks for a connection. While requests are dropped, every retransmission is an attempt too."""
        effects = self.tick(now_s)
        if self.state is State.SUSPENDED:
            effects.append(self._start_waking(now_s))
        if self.state is State.ACTIVE:
            self._active_at_s = now_s
            self._open[connection] = None
            return [*effects, Admit(connection)]
        match self.meanwhile:
            case WhileWaking.HOLD:
                self._held[connection] = None
                return [*effects, Hold(connection)]
            case WhileWaking.DROP:
                return [*effects, Drop(connection)]
            case WhileWaking.REFUSE:
                return [*effects, Refuse(connection)]
            case WhileWaking.ERROR:
                return [*effects, Fail(connection, self.behaviour.error)]

    def connection_closed(self, now_s: float, connection: Connection) -> list[Effect]:
        """A connection has ended, from either side. A held one will not be released."""
        effects = self.tick(now_s)
        for connections in (self._open, self._held, self._paused):
            connections.pop(connection, None)
        if connection in self._busy:
            self._busy.discard(connection)
            self._active_at_s = now_s
        return effects

    def client_bytes(self, now_s: float, connection: Connection) -> list[Effect]:
        """A client sent something on a connection: activity, or the start of the wake on a kept one."""
        effects = self.tick(now_s)
        if connection in self._open:
            self._active_at_s = now_s
            self._busy.add(connection)
        elif connection in self._paused and self.state is State.SUSPENDED:
            effects.append(self._start_waking(now_s))
        return effects

    def server_bytes(self, now_s: float, connection: Connection, *, idle: bool = True) -> list[Effect]:
        """The database answered. `idle` is whether it now waits for a new statement, in no transaction."""
        effects = self.tick(now_s)
        if connection in self._open:
            self._active_at_s = now_s
            if idle:
                self._busy.discard(connection)
        return effects

    def suspend(self, now_s: float) -> list[Effect]:
        """Suspend on command, in spite of any activity. No effect while it is suspended or waking."""
        effects = self.tick(now_s)
        return effects if self.state is not State.ACTIVE else [*effects, *self._suspend(now_s)]

    def wake(self, now_s: float) -> list[Effect]:
        """Begin to wake on command, as for a first attempt. No effect while it is active or waking."""
        effects = self.tick(now_s)
        return effects if self.state is not State.SUSPENDED else [*effects, self._start_waking(now_s)]

    def outage(self, now_s: float, for_s: float, *, on_suspend: OnSuspend, while_waking: WhileWaking) -> list[Effect]:
        """The compute is away for `for_s` seconds: it ends what is open and comes back by itself.

        While it is suspended or waking there is nothing to end; then it answers at the end of the outage, or of its
        wake if that is later.
        """
        effects = self.tick(now_s)
        ended = self._end_all(on_suspend) if self.state is State.ACTIVE else []
        waking_until_s = self._ready_at_s if self.state is State.WAKING else now_s
        self.state = State.WAKING
        self._ready_at_s = max(waking_until_s, now_s + for_s)
        self.meanwhile = while_waking
        return [*effects, Away(now_s, self._ready_at_s, on_suspend, while_waking), *ended]

    def lose(self, now_s: float, share: float, how: OnSuspend) -> list[Effect]:
        """A share of the open connections ends in this way, evenly spread over them; the compute stays as it is."""
        effects = self.tick(now_s)
        lost = [
            connection
            for number, connection in enumerate(self._open)
            if math.floor((number + 1) * share + TINY) > math.floor(number * share + TINY)
        ]
        for connection in lost:
            del self._open[connection]
            self._busy.discard(connection)
        # The compute is awake: it is the way to it that is dead.
        return [*effects, *(_ended(connection, how, returns=False) for connection in lost)]

    def tick(self, now_s: float) -> list[Effect]:
        """Time has passed: wake, or suspend after the idle time, if that is due."""
        due = self.next_tick_s
        if due is None or now_s < due:
            return []
        return self._wake(now_s) if self.state is State.WAKING else self._suspend(now_s)

    def _start_waking(self, now_s: float) -> Effect:
        latency_s = self._draw_wake_latency_s()
        if not (math.isfinite(latency_s) and latency_s >= 0):
            raise ValueError(f"a wake latency is 0 or positive, got {latency_s}")
        self.state = State.WAKING
        self._ready_at_s = now_s + latency_s
        return Waking(now_s, self._ready_at_s)

    def _wake(self, now_s: float) -> list[Effect]:
        released = [*self._paused, *self._held]
        self.state = State.ACTIVE
        self._active_at_s = now_s
        self._open.update(dict.fromkeys(released))
        self._busy.update(self._held)
        self._held.clear()
        self._paused.clear()
        self.meanwhile = self.behaviour.while_waking
        woken = Woken(now_s, self._ready_at_s)
        self._ready_at_s = math.inf
        return [woken, *(Release(connection) for connection in released)]

    def _suspend(self, now_s: float) -> list[Effect]:
        self.state = State.SUSPENDED
        return [Suspended(now_s), *self._end_all(self.behaviour.on_suspend)]

    def _end_all(self, on_suspend: OnSuspend) -> list[Effect]:
        """What happens to every open connection."""
        connections = list(self._open)
        self._open.clear()
        self._busy.clear()
        if on_suspend is OnSuspend.KEEP:
            self._paused = dict.fromkeys(connections)
        return [_ended(connection, on_suspend) for connection in connections]


def _ended(connection: Connection, on_suspend: OnSuspend, *, returns: bool = True) -> Effect:
    match on_suspend:
        case OnSuspend.CLOSE:
            return Close(connection)
        case OnSuspend.TERMINATE:
            return Close(connection, error=ADMIN_SHUTDOWN)
        case OnSuspend.RESET:
            return Close(connection, reset=True)
        case OnSuspend.FREEZE:
            return Freeze(connection)
        case OnSuspend.VANISH:
            return Vanish(connection, returns)
        case OnSuspend.KEEP:
            return Pause(connection)
