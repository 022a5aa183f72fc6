"""An application that is running already: asked until it answers, warmed by requests, and otherwise left as it is."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from time import monotonic

import httpx

from harness.application.starting import TRIED_KEY, TRY_LIMIT_S, ask, described, not_good
from harness.model.application import Application
from harness.model.application_request import LARGEST_KEY, ApplicationRequest
from harness.model.compute import OnSuspend
from harness.model.errors import StackError, UserError
from harness.model.events import Event
from harness.model.timeline import ConnectionLoss
from harness.model.trial import Trial
from harness.processes.process import Child
from harness.processes.proxy_messages import AnyProxyEvent, ConnectionAccepted
from harness.proxy.client import ProxyClient
from harness.stacks.base import Progress
from harness.stacks.child_load import ChildLoadDriver
from harness.stacks.target import Target
from harness.stacks.timebase import TrialRows
from harness.up.database import PROXY

RECOVERY_LIMIT_S = 30.0
"""How long it may take until each kind of request is answered well, with the database awake."""
RETRY_S = 0.1
EVENTS_LATE_S = 2.0
ROUNDS = 5
"""How often as many requests as there are to be connections are asked at once, until there are so many."""
CLIENT_ERRORS = range(400, 500)
"""Statuses that asking again does not change."""


class WatchedDatabase:
    """What can be seen of the database that the application has: the connections to its proxy."""

    def __init__(self, client: ProxyClient, port: int) -> None:
        self.port = port
        """Where its clients connect."""
        self.accepted = 0
        """Connections so far, as the proxy's events tell."""
        self._client = client
        self._news = asyncio.Event()

    def take(self, event: AnyProxyEvent) -> None:
        """The next event of the proxy."""
        if isinstance(event, ConnectionAccepted):
            self.accepted += 1
            news, self._news = self._news, asyncio.Event()
            news.set()

    async def connections(self) -> int:
        """Those that are open now."""
        return (await self._client.state(PROXY)).connections

    async def accepts_more_than(self, accepted: int) -> bool:
        """Whether it has accepted more connections than that; an event may be a moment late."""
        with suppress(TimeoutError):
            async with asyncio.timeout(EVENTS_LATE_S):
                while self.accepted <= accepted:
                    await self._news.wait()
        return self.accepted > accepted


class Asking:
    """The requests that the harness itself asks of an application, outside of the bursts."""

    def __init__(self, application: Application, client: httpx.AsyncClient) -> None:
        self._application = application
        self._client = client
        self._key = LARGEST_KEY

    @classmethod
    @asynccontextmanager
    async def of(cls, application: Application) -> AsyncIterator["Asking"]:
        """Ready to ask the application at its URL."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        # trust_env: a proxy configured for the outside world has no business between us and a service under test.
        async with httpx.AsyncClient(
            base_url=application.target or "", timeout=TRY_LIMIT_S, trust_env=False, limits=limits
        ) as client:
            yield cls(application, client)

    async def until_good(self) -> bool:
        """Ask for each kind of request until it is answered well; whether the answers say what their database did.

        Its pool may hold connections that have died. Raises `UserError` for a request that can't succeed or does not
        within `RECOVERY_LIMIT_S`, and for an application that does not answer.
        """
        observed = []
        give_up_at_s = monotonic() + RECOVERY_LIMIT_S
        for request in self._application.kinds:
            while True:
                answer = await self._ask(request, TRIED_KEY)
                if request.is_good(answer.status_code):
                    break
                if answer.status_code in CLIENT_ERRORS or monotonic() > give_up_at_s:
                    raise not_good(request, TRIED_KEY, answer)
                await asyncio.sleep(RETRY_S)
            observed.append("checkout;" in answer.headers.get("server-timing", ""))
        return all(observed)

    async def at_once(self, count: int) -> None:
        """As many requests at the same time, each kind in turn. Raises `UserError` where one is not answered well."""
        kinds = self._application.kinds
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                # Other keys than the trial's own, from the other end.
                self._key -= 1
                group.create_task(self._asked_well(kinds[number % len(kinds)], self._key))

    async def _asked_well(self, request: ApplicationRequest, key: int) -> None:
        answer = await self._ask(request, key)
        if not request.is_good(answer.status_code):
            raise not_good(request, key, answer)

    async def _ask(self, request: ApplicationRequest, key: int) -> httpx.Response:
        try:
            return await ask(self._client, request, key)
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            raise UserError(
                f"{described(request, key)} was not answered: {said}",
                where=f"application {self._application.name}",
                allowed="an application that is running there",
            ) from error


class RunningApplicationDriver(ChildLoadDriver):
    """One trial against it: Locust drives the bursts, and the pool is reached by nothing but requests."""

    def __init__(
        self,
        trial: Trial,
        target: Target,
        load: Child,
        rows: TrialRows,
        progress: Progress,
        *,
        asking: Asking,
        watched: WatchedDatabase,
        note: Callable[[str], None],
    ) -> None:
        super().__init__(trial, target, load, rows, progress)
        self._asking = asking
        self._watched = watched
        self._note = note
        self._warmed_connections: int | None = None

    async def try_application(self) -> None:
        """Every trial begins alike: what was open is closed, and each kind of request is answered well again."""
        await self._database.lose(ConnectionLoss(1.0, OnSuspend.CLOSE))
        accepted = self._watched.accepted
        observed = await self._asking.until_good()
        if not await self._watched.accepts_more_than(accepted):
            raise UserError(
                f"its requests opened no connection to the database of coldstart up on port {self._watched.port}",
                where=f"application {self._asking_of}",
                allowed="an application whose database is that one",
            )
        if not observed:
            self._note(
                "its answers don't say what their database did: a failure is called error with its HTTP status, and "
                "where the time went is not known (one line in the application tells it: docs/target.md)"
            )

    async def warm(self, ages_s: Sequence[float]) -> float:
        """Ask for so many requests at once that its pool opens so many connections; when they were there."""
        wanted = len(ages_s)
        for _ in range(ROUNDS):
            await self._asking.at_once(wanted)
            self._warmed_connections = await self._watched.connections()
            if self._warmed_connections >= wanted:
                break
        else:
            self._note(
                f"{wanted} requests at once, asked {ROUNDS} times, left the pool with {self._warmed_connections} "
                f"connections and not with {wanted}"
            )
        return asyncio.get_running_loop().time()

    def event(self, event: Event, at_s: float, *, value_s: float | None = None, **detail: int | str) -> None:
        if event is Event.WARMED and self._warmed_connections is not None:
            # What the proxy counted, and not what was asked for.
            detail["connections"] = self._warmed_connections
        super().event(event, at_s, value_s=value_s, **detail)

    async def replace_pool(self, instance: int) -> None:
        """Never asked for: `check` has refused the story."""
        raise StackError("application", f"the pool of instance {instance} can't be replaced while it is running")

    @property
    def _asking_of(self) -> str:
        return "" if self._target.application is None else self._target.application.name
