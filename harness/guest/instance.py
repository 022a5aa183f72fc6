"""The application in virtual time: called through its ASGI interface, its lifespan included."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import unquote

from sqlalchemy.util import await_only

from harness.guest.application import AsgiApplication, Message
from harness.guest.asgi import answer_of
from harness.guest.engines import Engines
from harness.guest.verdict import VERDICT, Verdict
from harness.model.application_request import ApplicationRequest, Asked
from harness.model.arrivals import AnyRequest
from harness.model.errors import UserError
from harness.model.outcomes import Outcome
from harness.recording import CONNECTING
from harness.service.answer import Answer
from harness.service.trace import TRACE, RequestTrace
from harness.simulation.cores import Cores

SERVER, CLIENT = ("127.0.0.1", 8000), ("127.0.0.1", 50000)
INTERNAL_SERVER_ERROR = 500

logger = logging.getLogger("coldstart")


class Processor:
    """The one thread that the application computes on: its requests' computing takes turns.

    While it has a connection a request computes in as many steps as it has statements, and one when it gets it. Between
    its steps others have their turn: what a wake sets free all at once advances together, as on a real event loop.
    """

    def __init__(self, costs: Mapping[str, "Costs"], cores: Cores) -> None:
        """`costs` of each kind of request; a kind that is not named takes no time."""
        self._costs = costs
        self._cores = cores
        self._turn = asyncio.Lock()
        self._steps: dict[str, int] = {}
        """How many each kind has, as they were counted."""
        self.counts = True
        """Whether the steps are being counted: then nothing costs anything."""

    async def begin(self, kind: str) -> None:
        """Spend what a request of this kind computes before it asks for a connection."""
        await self._compute(self._costs.get(kind, NOTHING).before_s)

    async def end(self, kind: str) -> None:
        """Spend what it computes besides, as its answer begins."""
        await self._compute(self._costs.get(kind, NOTHING).after_s)

    def step(self) -> None:
        """Spend the computing time of one step of the request that is running here, after that of those before it."""
        if (computing := COMPUTING.get()) is None:
            return
        computing.steps += 1
        if self.counts:
            self._steps[computing.kind] = computing.steps
            return
        steps = self._steps.get(computing.kind, 1)
        if computing.steps <= steps:
            self._spend(self._costs.get(computing.kind, NOTHING).held_s / steps)

    def connected(self) -> None:
        """Spend what a new connection computes: SCRAM's handshake, and what its first statements cost the driver."""
        computing = COMPUTING.get()
        own = None if computing is None else self._costs.get(computing.kind)
        self._spend((own or self._costs.get(CONNECTING, NOTHING)).connecting_s)

    def _spend(self, cpu_s: float) -> None:
        if cpu_s > 0 and not self.counts:
            await_only(self._compute(cpu_s))

    async def _compute(self, cpu_s: float) -> None:
        if cpu_s <= 0 or self.counts:
            return
        async with self._turn:
            computed = asyncio.Event()
            computing = self._cores.compute(cpu_s, computed.set)
            try:
                await computed.wait()
            finally:
                computing.cancel()


@dataclass(frozen=True, slots=True)
class Costs:
    """What the application computes for a request of one kind, in seconds."""

    before_s: float = 0.0
    """Before it asks for a connection."""
    held_s: float = 0.0
    """While it has one."""
    after_s: float = 0.0
    """Besides."""
    connecting_s: float = 0.0
    """What it computes more where it makes its connection."""


NOTHING = Costs()


@dataclass(slots=True)
class Computing:
    """Of one request: its kind, and how many steps it has taken."""

    kind: str
    steps: int = 0


COMPUTING: ContextVar[Computing | None] = ContextVar("coldstart_computing", default=None)


class ApplicationInstance:
    """A `VirtualInstance`."""

    def __init__(self, application: AsgiApplication, engines: Engines, processor: Processor, *, name: str) -> None:
        self._application = application
        self._engines = engines
        engines.checked_out = engines.executed = processor.step
        engines.connected = processor.connected
        self._processor = processor
        self._name = name
        self._state: dict[str, Any] = {}
        self._tells = False
        """Whether an exception goes to the log: before the story it does, in the story they are hundreds."""
        self._living: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """The application's startup. Raises `UserError` when it fails."""
        loop = asyncio.get_running_loop()
        over: asyncio.Future[str | None] = loop.create_future()
        asked = [{"type": "lifespan.startup"}]

        async def receive() -> Message:
            if asked:
                return asked.pop()
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Message) -> None:
            if not over.done():
                failed = message["type"] == "lifespan.startup.failed"
                over.set_result(str(message.get("message", "")) or "it said no more" if failed else None)

        async def live() -> None:
            try:
                await self._application(
                    {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state},
                    receive,
                    send,
                )
            except Exception as error:  # noqa: BLE001 - an application without a lifespan raises whatever it likes
                del error
            finally:
                if not over.done():
                    # It knows of no lifespan: uvicorn goes on without one, too.
                    over.set_result(None)

        self._living = asyncio.create_task(live())
        why = await over
        if why is not None:
            raise UserError(f"its startup failed: {_last_line(why)}", where=f"application {self._name}")

    async def try_requests(self, requests: Sequence[ApplicationRequest], key: int) -> None:
        """Ask for each kind once, then empty the pools. Raises `UserError` where one fails."""
        self._engines.check_unless_lazy()
        self._tells = True
        for request in requests:
            answer = await self.perform(request, key)
            if answer.outcome is not Outcome.OK:
                raise UserError(
                    f"failed with {answer.outcome} ({answer.error}) while the database was awake",
                    where=f"request {request.name}",
                    allowed="a recording of this application with these requests, or statuses = […] in their file",
                )
        self._tells = False
        self._processor.counts = False
        await self._engines.dispose()

    async def warm(self, ages_s: Sequence[float]) -> None:
        self._engines.check()
        await self._engines.warm(ages_s)

    def replace_pool(self) -> None:
        self._start(self._engines.dispose())

    async def abandon(self) -> None:
        for task in (self._living, *self._running):
            if task is not None:
                task.cancel()

    async def perform(self, request: AnyRequest, key: int, *, hold_s: float = 0.0) -> Answer:
        """One request, until its answer is complete; what the application does afterwards goes on."""
        del hold_s
        assert isinstance(request, ApplicationRequest)
        exchange = _Exchange(request.asked(key), self._state, partial(self._processor.end, request.name))
        work = self._start(self._carry_out(exchange, request.name))
        try:
            status = await exchange.answered
        except asyncio.CancelledError:
            work.cancel()
            raise
        outcome, error = Outcome.OK, None
        if not request.is_good(status):
            verdict = exchange.verdict
            known = verdict.outcome is not None
            outcome = verdict.outcome or Outcome.ERROR
            error = verdict.error if known else f"HTTP {status}"
        return answer_of(exchange.trace, outcome, error)

    async def _carry_out(self, exchange: "_Exchange", kind: str) -> None:
        TRACE.set(exchange.trace)
        COMPUTING.set(Computing(kind))
        VERDICT.set(exchange.verdict)
        try:
            await self._processor.begin(kind)
            await self._application(exchange.scope, exchange.receive, exchange.send)
        except Exception as exception:
            if self._tells:
                logger.exception("Exception in ASGI application", exc_info=exception)
            exchange.verdict.raised(exception)
            exchange.end(INTERNAL_SERVER_ERROR)
        else:
            exchange.end(INTERNAL_SERVER_ERROR)

    def _start(self, work: Any) -> "asyncio.Task[None]":  # noqa: ANN401 - a coroutine
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


class _Exchange:
    """One request and its answer, as ASGI has them."""

    def __init__(self, asked: Asked, state: dict[str, Any], ends: Callable[[], Awaitable[None]]) -> None:
        """`ends` is awaited as the answer begins."""
        self._ends = ends
        self.trace = RequestTrace()
        self.verdict = Verdict()
        self.answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """The status, when the answer is complete."""
        self._status = INTERNAL_SERVER_ERROR
        body = (asked.body or "").encode()
        path, _, query = asked.target.partition("?")
        headers = {"host": f"{SERVER[0]}:{SERVER[1]}", **{name.lower(): text for name, text in asked.headers.items()}}
        if body:
            headers.setdefault("content-length", str(len(body)))
        self.scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
            "method": asked.method, "scheme": "http", "path": unquote(path), "raw_path": path.encode(),
            "query_string": query.encode(), "root_path": "", "server": SERVER, "client": CLIENT,
            "headers": [(name.encode("latin-1"), text.encode("latin-1")) for name, text in headers.items()],
            "state": dict(state),
        }  # fmt: skip
        self._body: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self._complete = asyncio.Event()

    async def receive(self) -> Message:
        if self._body:
            return self._body.pop()
        await self._complete.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            await self._ends()
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self.end(self._status)

    def end(self, status: int) -> None:
        """The answer is complete, unless it was before."""
        self._complete.set()
        if not self.answered.done():
            self.answered.set_result(status)


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else text
