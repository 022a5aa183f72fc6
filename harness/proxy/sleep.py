"""A compute on a proxy: the state machine of harness/model/compute.py, its effects carried out on real connections."""

import asyncio
from itertools import chain, repeat
from time import monotonic
from typing import assert_never

from harness.model.compute import (
    Admit,
    Away,
    Close,
    Compute,
    Drop,
    Effect,
    Fail,
    Freeze,
    Hold,
    OnSuspend,
    Pause,
    Refuse,
    Release,
    State,
    Suspended,
    Vanish,
    Waking,
    WhileWaking,
    Woken,
)
from harness.processes.proxy_messages import (
    ClientNamed,
    ComputeSuspended,
    ComputeWoken,
    ConnectionReleased,
    FirstAttempt,
)
from harness.proxy.compute_settings import ComputeSettings
from harness.proxy.connection import Connection, ConnectionStage
from harness.proxy.proxy import Proxy
from harness.proxy.session import Session
from harness.proxy.timer import TickTimer


def attach_compute(proxy: Proxy, settings: ComputeSettings) -> None:
    """Put a compute behind a proxy, awake, in place of any it had."""
    if (before := compute_behind(proxy)) is not None:
        before.replaced()
    proxy.unwatch()
    proxy.watcher = SleepingCompute(proxy, settings)


def compute_behind(proxy: Proxy) -> "SleepingCompute | None":
    """The compute behind a proxy, if it has one."""
    return proxy.watcher if isinstance(proxy.watcher, SleepingCompute) else None


class SleepingCompute:
    """Drives one proxy's connections by one compute."""

    def __init__(self, proxy: Proxy, settings: ComputeSettings) -> None:
        self.settings = settings
        self._proxy = proxy
        latencies_s = chain(settings.wake_latencies_s, repeat(settings.wake_latencies_s[-1]))
        self._compute = Compute(settings.behaviour, latencies_s.__next__, now_s=monotonic())
        self._timer = TickTimer(self._tick)
        self._planned_wake_at_s = 0.0
        self._commanded = False
        """Whether it is being told to wake at this moment."""
        self._turns_away = False
        """Whether the listener drops or refuses connection requests."""
        self.suspends = 0
        """How often it has suspended."""
        self.wakes = 0
        """How often it has begun to wake after that."""
        self._sessions: dict[Connection, Session] = {}
        self._released: set[Connection] = set()
        """Released at the wake, and not connected to the database yet."""
        # The connections that are open already: a compute may be put behind a proxy that is in use. Not those that are
        # half-open or being refused: what it ends, keeps or releases has an upstream.
        for connection in proxy.connections:
            if connection.stage in (ConnectionStage.OPEN, ConnectionStage.DIALLING):
                self._sessions[connection] = Session(begun=True)
                self._compute.connection_attempt(monotonic(), connection)
        self._timer.set(self._compute.next_tick_s)

    @property
    def state(self) -> State:
        return self._compute.state

    @property
    def changes_in_s(self) -> float | None:
        """Seconds until it suspends, or is awake, unless something happens; None: it stays as it is."""
        due_s = self._compute.next_tick_s
        return None if due_s is None else max(0.0, due_s - monotonic())

    @property
    def watches_bytes(self) -> bool:
        """Whether it must know of bytes on an open connection: the fast path is without."""
        return self.settings.behaviour.suspend_after_s is not None or self.settings.names_clients

    def suspend(self) -> None:
        self._carry_out(self._compute.suspend(monotonic()))

    def wake(self) -> None:
        self._commanded = True
        self._carry_out(self._compute.wake(monotonic()))
        self._commanded = False

    def outage(self, for_s: float, *, on_suspend: OnSuspend, while_waking: WhileWaking) -> None:
        """Be away for so long, beginning now."""
        self._carry_out(self._compute.outage(monotonic(), for_s, on_suspend=on_suspend, while_waking=while_waking))

    def lose(self, share: float, how: OnSuspend) -> None:
        """Some of the open connections end in this way."""
        self._carry_out(self._compute.lose(monotonic(), share, how))

    def attempt(self, connection: Connection) -> None:
        self._sessions[connection] = Session()
        self._carry_out(self._compute.connection_attempt(monotonic(), connection), asked=connection)

    def closed(self, connection: Connection) -> None:
        self._released.discard(connection)
        self._sessions.pop(connection, None)
        self._carry_out(self._compute.connection_closed(monotonic(), connection))

    def client_sent(self, connection: Connection, data: bytes) -> None:
        if session := self._sessions.get(connection):
            self._hear(connection, session, data)
        self._carry_out(self._compute.client_bytes(monotonic(), connection), asked=connection)

    def server_sent(self, connection: Connection, data: bytes) -> None:
        session = self._sessions.get(connection)
        idle = session is not None and session.server_sent(data)
        self._carry_out(self._compute.server_bytes(monotonic(), connection, idle=idle))

    def _hear(self, connection: Connection, session: Session, data: bytes) -> None:
        named = session.client_sent(data)
        if named is not None:
            event = ClientNamed(
                proxy=self._proxy.name,
                at_s=monotonic(),
                connection=connection.number,
                user=named.user,
                database=named.database,
                application_name=named.application_name,
            )
            self._proxy.report(event)

    def opened(self, connection: Connection) -> None:
        """A connection reached the database; if it was released at the wake, that is when it went on."""
        if connection in self._released:
            self._released.discard(connection)
            at_s = monotonic()
            late_s = at_s - self._planned_wake_at_s
            self._proxy.report(
                ConnectionReleased(proxy=self._proxy.name, at_s=at_s, connection=connection.number, late_s=late_s)
            )

    def replaced(self) -> None:
        """Another one takes its place, which is awake: whoever follows the events must hear of it."""
        if self.state is not State.ACTIVE:
            at_s = monotonic()
            self._proxy.report(ComputeWoken(proxy=self._proxy.name, at_s=at_s, planned_at_s=at_s))

    def stop(self) -> None:
        """No more effects: the compute is taken away, or the proxy is."""
        self._timer.cancel()

    def _carry_out(self, effects: list[Effect], *, asked: Connection | None = None) -> None:
        for effect in effects:
            self._do(effect, asked)
        self._timer.set(self._compute.next_tick_s)

    def _do(self, effect: Effect, asked: Connection | None) -> None:  # noqa: C901, PLR0912 - one case an effect
        match effect:
            case Admit(connection):
                _proxied(connection).dial()
            case Hold(connection):
                _proxied(connection).hold()
            case Release(connection):
                self._released.add(_proxied(connection))
                _proxied(connection).release()
            case Refuse(connection) | Drop(connection):
                # From the second attempt on the listener does this; the first one was accepted, so that it is noticed.
                _proxied(connection).close(reset=True)
            case Fail(connection, error):
                _proxied(connection).fail(error)
            case Close(connection, error, reset):
                if error is None or self._is_encrypted(_proxied(connection)):
                    _proxied(connection).close(reset=reset)
                else:
                    _proxied(connection).terminate(error)
            case Freeze(connection):
                _proxied(connection).freeze()
            case Vanish(connection, returns):
                _proxied(connection).vanish(returns=returns)
            case Pause(connection):
                self._pause(_proxied(connection))
            case Suspended(at_s):
                self._suspended(at_s)
            case Waking(at_s, ready_at_s):
                self._waking(at_s, ready_at_s, asked)
            case Woken(at_s, planned_at_s):
                self._woken(at_s, planned_at_s)
            case Away(_, ready_at_s):
                self._planned_wake_at_s = ready_at_s
                self._gone()
            case _:
                assert_never(effect)

    def _is_encrypted(self, connection: Connection) -> bool:
        """Whether a message of ours would be taken for a broken record of TLS."""
        session = self._sessions.get(connection)
        return session is not None and session.is_encrypted

    def _pause(self, connection: Connection) -> None:
        if connection.stage is ConnectionStage.DIALLING:
            # Its client asked before the suspend, has not reached the database and now waits for the wake. Said after
            # this step: one effect of the suspend must not start the wake before the others are carried out.
            asyncio.get_running_loop().call_soon(self.client_sent, connection, b"")
        connection.pause()

    def _suspended(self, at_s: float) -> None:
        self.suspends += 1
        self._proxy.report(ComputeSuspended(proxy=self._proxy.name, at_s=at_s))
        self._gone()

    def _gone(self) -> None:
        for connection in self._proxy.connections:
            connection.keep_silent()
        self.proxy_started()

    def proxy_started(self) -> None:
        """Let the listener meet clients as the state wants it: now, and again when the proxy is enabled anew."""
        if not self._proxy.enabled:
            return
        meanwhile = self._compute.meanwhile
        if meanwhile is WhileWaking.DROP and self.state is not State.ACTIVE:
            self._proxy.listener.drop(self._first_dropped)
        elif meanwhile is WhileWaking.REFUSE and self.state is State.WAKING:
            self._proxy.listener.refuse()
        else:
            # A client must be heard now: also one of an outage that came in the middle of another and is kinder.
            self._hear_clients_again()
            return
        self._turns_away = True

    def _first_dropped(self) -> None:
        # It has no socket here: nothing is to be done with it, whatever the compute would do by now.
        dropped = object()
        effects = self._compute.connection_attempt(monotonic(), dropped)
        effects += self._compute.connection_closed(monotonic(), dropped)
        self._carry_out([effect for effect in effects if getattr(effect, "connection", None) is not dropped])

    def _waking(self, at_s: float, ready_at_s: float, asked: Connection | None) -> None:
        self.wakes += 1
        self._planned_wake_at_s = ready_at_s
        number = None if asked is None else asked.number
        self._proxy.report(
            FirstAttempt(
                proxy=self._proxy.name,
                at_s=at_s,
                ready_at_s=ready_at_s,
                connection=number,
                commanded=self._commanded,
            )
        )
        if self._compute.meanwhile is WhileWaking.REFUSE:
            self.proxy_started()

    def _woken(self, at_s: float, planned_at_s: float) -> None:
        self._proxy.report(ComputeWoken(proxy=self._proxy.name, at_s=at_s, planned_at_s=planned_at_s))
        for connection in self._proxy.connections:
            connection.answer()
        self._hear_clients_again()

    def _hear_clients_again(self) -> None:
        if self._turns_away:
            self._turns_away = False
            # After this step: what waits in the accept queue are attempts at the compute as it is then.
            asyncio.get_running_loop().call_soon(self._accept_again)

    def _accept_again(self) -> None:
        if self._proxy.enabled and not self._turns_away:
            self._proxy.listener.accept()

    def _tick(self) -> None:
        self._carry_out(self._compute.tick(monotonic()))


def _proxied(connection: object) -> Connection:
    # The state machine takes anything for a connection; here it was only ever given these.
    assert isinstance(connection, Connection)
    return connection
