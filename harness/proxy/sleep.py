"""A compute on a proxy: the state machine of harness/model/compute.py, its effects carried out on real connections."""

import asyncio
import math
from dataclasses import dataclass
from itertools import chain, repeat
from time import monotonic
from typing import TYPE_CHECKING, Any

from harness.model.compute import (
    Admit,
    Behaviour,
    Close,
    Compute,
    Drop,
    Effect,
    ErrorResponse,
    Fail,
    Freeze,
    Hold,
    OnSuspend,
    Pause,
    Refuse,
    Release,
    State,
    Suspended,
    Waking,
    WhileWaking,
    Woken,
)
from harness.model.errors import UserError
from harness.processes.messages import ComputeSuspended, ComputeWoken, ConnectionReleased, FirstAttempt
from harness.proxy.connection import Connection, Stage
from harness.proxy.startup import IDLE
from harness.proxy.timer import TickTimer

if TYPE_CHECKING:
    from harness.proxy.proxy import Proxy


@dataclass(frozen=True, slots=True)
class ComputeSettings:
    """A compute as the API describes it."""

    behaviour: Behaviour
    wake_latencies_s: tuple[float, ...]
    """One a wake; the last one goes on for every wake after."""

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> "ComputeSettings":
        """Raises `UserError` for a word or a number that doesn't fit."""
        latencies = body.get("wake_latency_s", 0.0)
        latencies_s = tuple(latencies) if isinstance(latencies, list) else (latencies,)
        if not latencies_s or any(type(one) not in (int, float) or not 0 <= one < math.inf for one in latencies_s):
            raise UserError("wake_latency_s must be seconds, 0 or positive, or a list of them", where="compute")
        error = body.get("error")
        try:
            behaviour = Behaviour(
                on_suspend=OnSuspend(body.get("on_suspend", OnSuspend.TERMINATE)),
                while_waking=WhileWaking(body.get("while_waking", WhileWaking.HOLD)),
                suspend_after_s=body.get("suspend_after_s"),
                open_connections_prevent_suspend=bool(body.get("open_connections_prevent_suspend", False)),
                **({"error": ErrorResponse(**error)} if error else {}),
            )
        except (ValueError, TypeError) as wrong:
            raise UserError(str(wrong), where="compute") from wrong
        return cls(behaviour, latencies_s)

    def to_json(self) -> dict[str, Any]:
        behaviour = self.behaviour
        return {
            "on_suspend": behaviour.on_suspend.value,
            "while_waking": behaviour.while_waking.value,
            "wake_latency_s": list(self.wake_latencies_s),
            "suspend_after_s": behaviour.suspend_after_s,
            "open_connections_prevent_suspend": behaviour.open_connections_prevent_suspend,
            "error": {
                "severity": behaviour.error.severity,
                "sqlstate": behaviour.error.sqlstate,
                "message": behaviour.error.message,
            },
        }


class SleepingCompute:
    """Drives one proxy's connections by one compute."""

    def __init__(self, proxy: "Proxy", settings: ComputeSettings) -> None:
        self.settings = settings
        self._proxy = proxy
        latencies_s = chain(settings.wake_latencies_s, repeat(settings.wake_latencies_s[-1]))
        self._compute = Compute(settings.behaviour, latencies_s.__next__, now_s=monotonic())
        self._timer = TickTimer(self._tick)
        self._planned_wake_at_s = 0.0
        self._released: set[Connection] = set()
        for connection in proxy.connections:
            self._compute.connection_attempt(monotonic(), connection)
        self._timer.set(self._compute.next_tick_s)

    @property
    def state(self) -> State:
        return self._compute.state

    @property
    def watches_bytes(self) -> bool:
        """Whether it must know of bytes on an open connection: the fast path is without."""
        return self.settings.behaviour.suspend_after_s is not None

    def suspend(self) -> None:
        self._carry_out(self._compute.suspend(monotonic()))

    def attempt(self, connection: Connection) -> None:
        self._carry_out(self._compute.connection_attempt(monotonic(), connection))

    def closed(self, connection: Connection) -> None:
        self._released.discard(connection)
        self._carry_out(self._compute.connection_closed(monotonic(), connection))

    def client_spoke(self, connection: Connection) -> None:
        self._carry_out(self._compute.client_bytes(monotonic(), connection))

    def server_spoke(self, connection: Connection, data: bytes) -> None:
        self._carry_out(self._compute.server_bytes(monotonic(), connection, idle=data.endswith(IDLE)))

    def opened(self, connection: Connection) -> None:
        """A connection reached the database; of one that was released that is when it went on."""
        if connection in self._released:
            self._released.discard(connection)
            at_s = monotonic()
            late_s = at_s - self._planned_wake_at_s
            self._proxy.report(
                ConnectionReleased(proxy=self._proxy.name, at_s=at_s, connection=connection.number, late_s=late_s)
            )

    def stop(self) -> None:
        """No more effects: the compute is taken away, or the proxy is."""
        self._timer.cancel()

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            self._do(effect)
        self._timer.set(self._compute.next_tick_s)

    def _do(self, effect: Effect) -> None:  # noqa: C901, PLR0912 - one case an effect
        match effect:
            case Admit(Connection() as connection):
                connection.dial()
            case Hold(Connection() as connection):
                connection.hold()
            case Release(Connection() as connection):
                self._released.add(connection)
                connection.release()
            case Refuse(Connection() as connection) | Drop(Connection() as connection):
                # The listener does this from the second attempt on; the first one was accepted to be seen.
                connection.close(reset=True)
            case Fail(Connection() as connection, error):
                connection.fail(error)
            case Close(Connection() as connection, None, reset):
                connection.close(reset=reset)
            case Close(Connection() as connection, ErrorResponse() as error, _):
                connection.terminate(error)
            case Freeze(Connection() as connection):
                connection.freeze()
            case Pause(Connection() as connection):
                if connection.stage is Stage.DIALLING:
                    # It has asked already: what it waits for is the wake.
                    asyncio.get_running_loop().call_soon(self.client_spoke, connection)
                connection.pause()
            case Suspended(at_s):
                self._suspended(at_s)
            case Waking(at_s, ready_at_s):
                self._waking(at_s, ready_at_s)
            case Woken(at_s, planned_at_s):
                self._woken(at_s, planned_at_s)

    def _suspended(self, at_s: float) -> None:
        self._proxy.report(ComputeSuspended(proxy=self._proxy.name, at_s=at_s))
        self.proxy_started()

    def proxy_started(self) -> None:
        """Let the listener meet clients as the state wants it: now, and again when the proxy is enabled anew."""
        if not self._proxy.enabled:
            return
        while_waking = self.settings.behaviour.while_waking
        if while_waking is WhileWaking.DROP and self.state is not State.ACTIVE:
            self._proxy.listener.drop(self._first_dropped)
        elif while_waking is WhileWaking.REFUSE and self.state is State.WAKING:
            self._proxy.listener.refuse()

    def _first_dropped(self) -> None:
        # Nobody holds a connection that was dropped; the compute only needs to know that somebody asked.
        effects = self._compute.connection_attempt(monotonic(), object())
        self._carry_out([effect for effect in effects if not isinstance(effect, Drop)])

    def _waking(self, at_s: float, ready_at_s: float) -> None:
        self._planned_wake_at_s = ready_at_s
        self._proxy.report(FirstAttempt(proxy=self._proxy.name, at_s=at_s, ready_at_s=ready_at_s))
        if self.settings.behaviour.while_waking is WhileWaking.REFUSE:
            self.proxy_started()

    def _woken(self, at_s: float, planned_at_s: float) -> None:
        self._proxy.report(ComputeWoken(proxy=self._proxy.name, at_s=at_s, planned_at_s=planned_at_s))
        if self.settings.behaviour.while_waking in (WhileWaking.DROP, WhileWaking.REFUSE):
            # After this step: what waits in the accept queue are attempts at an active compute.
            asyncio.get_running_loop().call_soon(self._accept_again)

    def _accept_again(self) -> None:
        if self._proxy.enabled and self.state is State.ACTIVE:
            self._proxy.listener.accept()

    def _tick(self) -> None:
        self._carry_out(self._compute.tick(monotonic()))
