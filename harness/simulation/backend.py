"""The simulated PostgreSQL behind its compute: what stands behind a host's addresses on the in-memory network."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

from harness.model.compute import (
    Admit,
    Away,
    Behaviour,
    Close,
    Compute,
    Drop,
    Effect,
    ErrorResponse,
    Fail,
    Freeze,
    Hold,
    Pause,
    Refuse,
    Release,
    State,
    Suspended,
    Vanish,
    Waking,
    Woken,
)
from harness.model.events import Event
from harness.model.server import ConnectCost, IdleReaper, ServerLimits
from harness.model.timeline import ConnectionLoss, Outage
from harness.recording import Recording
from harness.simulation.catalogue import PARAMETERS
from harness.simulation.cores import Cores
from harness.simulation.known import KNOWN
from harness.simulation.loop import VirtualLoop
from harness.simulation.network import Request
from harness.simulation.replay import Replay
from harness.simulation.replayed import ReplayedSession
from harness.simulation.session import Session
from harness.simulation.silence import never
from harness.simulation.source import Source

TOO_MANY = ErrorResponse("FATAL", "53300", "sorry, too many clients already")
TOO_MANY_OF_THE_ROLE = ErrorResponse("FATAL", "53300", 'too many connections for role "coldstart"')
FIRST_PROCESS_ID = 1001


def ignore_event(*_: object, **__: object) -> None:
    """What `on_event` is when nobody asked for events."""


def no_time() -> float:
    """What a draw is when nothing else was given: no time."""
    return 0.0


@dataclass(kw_only=True, eq=False)
class SimulatedPostgres:
    """A listener of the network. Every draw is a function without arguments that returns seconds.

    `on_event(event, at_s, value_s=…)` is called when something happens: suspended, first_attempt, woken, released.
    """

    loop: VirtualLoop
    behaviour: Behaviour = field(default_factory=Behaviour)
    draw_wake_latency_s: Callable[[], float] = no_time
    draw_service_s: Callable[[], float] = no_time
    draw_connect_s: Callable[[], float] = no_time
    max_connections: int = 100
    password: str | None = None
    """None: everybody is trusted."""
    on_event: Callable[..., None] = ignore_event
    limits: ServerLimits = field(default_factory=ServerLimits)
    reaper: IdleReaper | None = None
    connect_cost: ConnectCost | None = None
    seed: int = 0
    recording: Recording | None = None
    """Whose statements it answers, in place of the catalogue's. What of `draw_service_s` and `draw_connect_s` is not
    given takes what it took when it was recorded."""
    cores: Cores | None = None
    """What the server's processes share with the application: what was recorded as computed is computed there."""

    def __post_init__(self) -> None:
        self.parameters: Mapping[str, str] = PARAMETERS
        self.connect_cpu_s = 0.0
        self.replay: Replay | None = None
        """What answers from the recording; its `counts` say how well it could."""
        if self.recording is not None:
            self.parameters = self.recording.parameters
            self.replay = Replay(
                self.recording, takes_recorded_s=self.draw_service_s is no_time, computes=self.cores is not None
            )
            if self.draw_connect_s is no_time:
                self._connect_as_recorded(self.recording)
        # Only a compute that suspends by itself has to hear of every message; the others are spared the calls.
        self.watches_bytes = self.behaviour.suspend_after_s is not None
        self._compute = Compute(self.behaviour, self.draw_wake_latency_s, now_s=self.loop.time())
        self._cost_random = random.Random(f"connect cost/{self.seed}")
        self._entering: dict[object, asyncio.TimerHandle] = {}
        """The sessions that are spending what a connection costs, by their keys."""
        self._waiting_for_turn: deque[Session] = deque()
        self._random = random.Random(f"backend/{self.seed}")
        self._sessions: dict[object, Session] = {}
        self._of_the_role: set[object] = set()
        self._requests: dict[object, Request] = {}
        self._next_process_id = FIRST_PROCESS_ID
        self._timer: asyncio.TimerHandle | None = None
        self._planned_wake_at_s = 0.0

    def _connect_as_recorded(self, recording: Recording) -> None:
        if self.cores is not None and recording.connect_cpu is not None:
            # The rest of what a connection was seen to take is the client's handshake, which computes for itself.
            self.connect_cpu_s = recording.connect_cpu.median
            self.draw_connect_s = constant(self.connect_cpu_s)
        elif recording.connect is not None:
            self.draw_connect_s = constant(recording.connect.median)

    @property
    def state(self) -> State:
        return self._compute.state

    @property
    def sessions(self) -> list[Session]:
        """Those with a backend, in the order in which they came."""
        return [session for session in self._sessions.values() if session.admitted]

    # Called by the network (Listener):

    def connection_requested(self, request: Request) -> None:
        self._requests[request] = request
        self._carry_out(self._compute.connection_attempt(self.loop.time(), request))
        self._requests.pop(request, None)

    def request_abandoned(self, request: Request) -> None:
        self._carry_out(self._compute.connection_closed(self.loop.time(), request))

    # Called by the story:

    def suspend(self) -> None:
        """Suspend now."""
        self._carry_out(self._compute.suspend(self.loop.time()))

    def outage(self, outage: Outage) -> None:
        """Be away, beginning now."""
        effects = self._compute.outage(
            self.loop.time(), outage.for_s, on_suspend=outage.connections, while_waking=outage.meanwhile
        )
        self._carry_out(effects)

    def lose(self, loss: ConnectionLoss) -> None:
        """Some connections die."""
        self._carry_out(self._compute.lose(self.loop.time(), loss.share, loss.how))

    # Called by the sessions (Postmaster):

    def refusal(self, key: object) -> ErrorResponse | None:
        """Why there is no room for one more backend; None: there is."""
        if len(self._sessions) < self.max_connections:
            # There is room for all that there are, admitted or not: no need to count them for each that comes.
            return None
        admitted = sum(1 for session in self._sessions.values() if session.admitted and session.key is not key)
        return TOO_MANY if admitted >= self.max_connections else None

    def session_began(self, key: object) -> None:
        self._of_the_role.add(key)

    def role_refusal(self) -> ErrorResponse | None:
        limit = self.limits.role_connection_limit
        return TOO_MANY_OF_THE_ROLE if limit is not None and len(self._of_the_role) > limit else None

    def cancel(self, process_id: int, secret: int) -> None:
        """A cancel request, on a connection of its own: wrong keys are ignored, as PostgreSQL does."""
        for session in self._sessions.values():
            if (session.process_id, session.secret) == (process_id, secret):
                session.cancel()
                return

    def source(self) -> Source:
        return KNOWN if self.replay is None else ReplayedSession(self.replay)

    def notify(self, process_id: int, channel: str, payload: str) -> None:
        for session in list(self._sessions.values()):
            session.notify(process_id, channel, payload)

    def draw_salt_and_nonce(self) -> tuple[bytes, str]:
        return self._random.randbytes(16), self._random.randbytes(18).hex()

    def client_spoke(self, key: object) -> None:
        self._carry_out(self._compute.client_bytes(self.loop.time(), key))

    def answered(self, key: object, *, idle: bool) -> None:
        self._carry_out(self._compute.server_bytes(self.loop.time(), key, idle=idle))

    def session_ended(self, key: object) -> None:
        self._of_the_role.discard(key)
        if key in self._entering:
            self._end_turn(key)
        if self._sessions.pop(key, None) is not None:
            self._carry_out(self._compute.connection_closed(self.loop.time(), key))

    # The compute, and its effects on the sessions:

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            self._do(effect)
        due_s = self._compute.next_tick_s
        if self._timer is not None:
            if due_s == self._timer.when():
                return
            self._timer.cancel()
        self._timer = None if due_s is None else self.loop.call_at(due_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._carry_out(self._compute.tick(self.loop.time()))

    def _do(self, effect: Effect) -> None:  # noqa: C901, PLR0912 - one case an effect
        match effect:
            case Admit(key):
                self._let_in(self._accept(key))
            case Hold(key):
                self._accept(key)
            case Release(key):
                self._release(key)
            case Drop(_):
                pass  # the client's kernel asks again
            case Refuse(key):
                self._requests[key].refuse()
            case Fail(key, error):
                self._accept(key).fail(error)
            case Close(key, error, reset):
                session = self._sessions[key]
                if error is None:
                    session.close(reset=reset)
                else:
                    session.terminate(error)
            case Freeze(key):
                self._forgotten(key).freeze()
            case Vanish(key, returns):
                self._forgotten(key).vanish(self._is_awake if returns else never)
            case Pause(key):
                self._sessions[key].pause()
            case Suspended(at_s):
                self.on_event(Event.SUSPENDED, at_s)
            case Waking(at_s, ready_at_s):
                self._planned_wake_at_s = ready_at_s
                self.on_event(Event.FIRST_ATTEMPT, at_s, value_s=0.0)
            case Away(_, ready_at_s):
                self._planned_wake_at_s = ready_at_s
            case Woken(at_s, planned_at_s):
                self.on_event(Event.WOKEN, at_s, value_s=at_s - planned_at_s)
            case _:
                assert_never(effect)

    def _accept(self, key: object) -> Session:
        session = Session(self, key, self._next_process_id, self._random.getrandbits(31))
        self._next_process_id += 1
        self._sessions[key] = session
        self._requests[key].accept(session)
        return session

    def _release(self, key: object) -> None:
        # Connections are released in the order in which they came; one whose client left in this instant is gone.
        if (session := self._sessions.get(key)) is not None:
            self.on_event("released", self.loop.time(), value_s=self.loop.time() - self._planned_wake_at_s)
            self._let_in(session)

    def _let_in(self, session: Session) -> None:
        """Let a session begin, or a paused one go on; a new one after what a connection costs on its way."""
        cost = self.connect_cost
        if cost is None or session.is_welcome:
            session.admit()
        elif cost.at_a_time is not None and len(self._entering) >= cost.at_a_time:
            self._waiting_for_turn.append(session)
        else:
            takes_s = cost.takes_s.draw(self._cost_random)
            self._entering[session.key] = self.loop.call_later(takes_s, self._entered, session)

    def _entered(self, session: Session) -> None:
        self._end_turn(session.key)
        session.admit()

    def _end_turn(self, key: object) -> None:
        """A session is through, or its client has left: the next one that is still there has its turn."""
        self._entering.pop(key).cancel()
        while self._waiting_for_turn:
            following = self._waiting_for_turn.popleft()
            if self._sessions.get(following.key) is following:
                self._let_in(following)
                return

    def _forgotten(self, key: object) -> Session:
        """A session that the server no longer has."""
        self._of_the_role.discard(key)
        return self._sessions.pop(key)

    def _is_awake(self) -> bool:
        return self._compute.state is State.ACTIVE


def constant(value: Any) -> Callable[[], Any]:  # noqa: ANN401 - any value
    """A draw that is always the same."""
    return lambda: value
