"""A compute behind any Toxiproxy server, the real one included: the pure state machine, its effects as toxics.

What toxics can't do to open connections is done to the database's own sessions instead. The server dials
PostgreSQL for every connection it accepts, held or not: PostgreSQL forks a backend for each, and a client that gives
up leaves a connection to PostgreSQL behind, whose bytes still arrive at the wake. The compute of this project's own
server does neither (docs/toxiproxy.md).
"""

import asyncio
from collections.abc import Callable
from itertools import chain, repeat
from time import monotonic
from typing import Any, Protocol, TypeAlias, assert_never

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
from harness.model.errors import UserError
from harness.model.timeline import Outage
from harness.model.wake import WakeProfile
from harness.processes.proxy_messages import ComputeSuspended, ComputeWoken, FirstAttempt
from harness.proxy.compute_settings import ComputeSettings
from harness.proxy.timer import TickTimer
from harness.proxy.toxiproxy import ToxiproxyServer

FOR_EVER_MS = 600_000
"""A hold's latency: longer than any wake, ended by removing the toxic."""
HOLD = "coldstart_hold"
KILL = "coldstart_kill"

ComputeEvent: TypeAlias = ComputeSuspended | FirstAttempt | ComputeWoken


class Sessions(Protocol):
    """What is done to the open sessions of a database directly, because no toxic can."""

    async def terminate(self) -> None:
        """End them with 57P01, and return when they are gone."""
        ...

    async def freeze(self) -> None:
        """Stop them where they are: connected, and silent from now on."""
        ...


class ToxiproxyCompute:
    """One compute behind one proxy. Whoever sees a connection being accepted calls `attempted`."""

    def __init__(
        self,
        server: ToxiproxyServer,
        proxy: str,
        settings: ComputeSettings,
        *,
        report: Callable[[ComputeEvent], None] = lambda _: None,
        sessions: Sessions | None = None,
    ) -> None:
        latencies_s = chain(settings.wake_latencies_s, repeat(settings.wake_latencies_s[-1]))
        self._compute = Compute(settings.behaviour, latencies_s.__next__, now_s=monotonic())
        self._server = server
        self._proxy = proxy
        self._report = report
        self._sessions = sessions
        self._timer = TickTimer(self._tick)
        self._doing: asyncio.Task[None] | None = None
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._timer.set(self._compute.next_tick_s)

    @staticmethod
    def check(wake: WakeProfile, *, can: frozenset[OnSuspend] = frozenset({OnSuspend.CLOSE})) -> None:
        """Raises `UserError` for what neither toxics nor the database's sessions (`can`) can do."""
        for what, wanted, allowed in (
            ("on_suspend", wake.on_suspend, can),
            ("while_waking", wake.while_waking, frozenset({WhileWaking.HOLD})),
        ):
            if wanted not in allowed:
                raise UserError(
                    f"Toxiproxy can't express {what} {wanted}: the embedded stack can",
                    where=f"wake {wake.name}",
                    allowed=", ".join(sorted(allowed)),
                )

    @staticmethod
    def check_outage(outage: Outage, *, can: frozenset[OnSuspend]) -> None:
        """Raises `UserError` for what toxics can't express."""
        for name, wanted, allowed in (
            ("connections", outage.connections, can),
            ("meanwhile", outage.meanwhile, frozenset({WhileWaking.HOLD})),
        ):
            if wanted not in allowed:
                raise UserError(
                    f"Toxiproxy can't express {name} {wanted} of an outage: the embedded stack can",
                    where="outage",
                    allowed=", ".join(sorted(allowed)),
                )

    @property
    def state(self) -> State:
        return self._compute.state

    async def suspend(self) -> None:
        """Hold what comes from now on, and end what is open as the behaviour says; the port stays open throughout."""
        self._carry_out(self._compute.suspend(monotonic()))
        await self.settled()

    async def outage(self, outage: Outage) -> None:
        """Be away, beginning now; the port stays open throughout."""
        effects = self._compute.outage(
            monotonic(), outage.for_s, on_suspend=outage.connections, while_waking=outage.meanwhile
        )
        self._carry_out(effects)
        await self.settled()

    async def settled(self) -> None:
        """Until the toxics are as the state wants them."""
        if self._doing is not None:
            await self._doing

    async def watch(self) -> None:
        """Runs until a step fails, a suspend or a wake, and raises why: a `StackError` of whoever refused it."""
        await self._failed

    # Called by whoever sees the connections; a `connection` is any object that stands for one.

    def attempted(self, at_s: float | None = None, connection: object = None) -> None:
        """A connection was accepted at this moment of the monotonic clock: the first one starts the wake."""
        at_s = monotonic() if at_s is None else at_s
        self._carry_out(self._compute.connection_attempt(at_s, object() if connection is None else connection))

    def closed(self, connection: object) -> None:
        self._carry_out(self._compute.connection_closed(monotonic(), connection))

    def client_sent(self, connection: object) -> None:
        self._carry_out(self._compute.client_bytes(monotonic(), connection))

    def server_sent(self, connection: object, *, idle: bool) -> None:
        self._carry_out(self._compute.server_bytes(monotonic(), connection, idle=idle))

    def stop(self) -> None:
        """No more effects."""
        self._timer.cancel()
        if self._doing is not None:
            self._doing.cancel()

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Suspended():
                    self._do(self._sleep, self._compute.behaviour.on_suspend)
                case Away(_, _, on_suspend):
                    self._do(self._hold_all, on_suspend)
                case Waking(at_s, ready_at_s):
                    self._report(FirstAttempt(proxy=self._proxy, at_s=at_s, ready_at_s=ready_at_s))
                case Woken(_, planned_at_s):
                    self._do(self._wake, planned_at_s)
                case (
                    Admit() | Hold() | Release() | Refuse() | Drop() | Fail() | Close() | Freeze() | Vanish() | Pause()
                ):
                    # Toxics act on a proxy as a whole: what becomes of single connections follows from them.
                    pass
                case _:
                    assert_never(effect)
        self._timer.set(self._compute.next_tick_s)

    def _do(self, step: Callable[..., Any], *arguments: object) -> None:
        """One step after the other: the API is asked in threads."""
        before = self._doing

        async def after_the_previous_step() -> None:
            if before is not None:
                await before
            try:
                await step(*arguments)
            except Exception as error:  # noqa: BLE001 - raised where the compute is watched
                if not self._failed.done():
                    self._failed.set_exception(error)

        self._doing = asyncio.create_task(after_the_previous_step(), name=f"compute of {self._proxy}")

    async def _sleep(self, on_suspend: OnSuspend) -> None:
        await self._hold_all(on_suspend)
        self._report(ComputeSuspended(proxy=self._proxy, at_s=monotonic()))

    async def _hold_all(self, on_suspend: OnSuspend) -> None:
        # Upstream: held downstream, PostgreSQL would have executed already, and the real server can hang at the wake.
        hold = {"latency": FOR_EVER_MS, "jitter": 0}
        await self._add(HOLD, type_="latency", stream="upstream", attributes=hold)
        match on_suspend:
            case OnSuspend.CLOSE:
                # A timeout toxic closes its connections as it is removed.
                await self._add(KILL, type_="timeout", stream="downstream", attributes={"timeout": 0})
                await self._remove(KILL)
            case OnSuspend.TERMINATE:
                await self._open_sessions.terminate()
            case OnSuspend.FREEZE:
                await self._open_sessions.freeze()
            case OnSuspend.RESET | OnSuspend.KEEP | OnSuspend.VANISH:
                raise AssertionError("check() allows none of them")
            case _:
                assert_never(on_suspend)

    async def _wake(self, planned_at_s: float) -> None:
        await self._remove(HOLD)
        self._report(ComputeWoken(proxy=self._proxy, at_s=monotonic(), planned_at_s=planned_at_s))

    @property
    def _open_sessions(self) -> Sessions:
        assert self._sessions is not None, "check() allows this behaviour only where sessions are given"
        return self._sessions

    async def _add(self, name: str, **toxic: Any) -> None:  # noqa: ANN401 - a toxic's fields
        await asyncio.to_thread(self._server.add_toxic, self._proxy, name, **toxic)

    async def _remove(self, name: str) -> None:
        await asyncio.to_thread(self._server.remove_toxic, self._proxy, name)

    def _tick(self) -> None:
        self._carry_out(self._compute.tick(monotonic()))
