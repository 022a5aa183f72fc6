"""One PostgreSQL that really sleeps, as an async context: its server (or a database one has), a proxy, a compute."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from harness.model.compute import State, WhileWaking
from harness.model.errors import UserError
from harness.model.wake import WakeProfile, profile
from harness.processes.beside import beside, first_of
from harness.processes.messages import ProxyReady, ProxyReported
from harness.processes.process import Child
from harness.processes.proxy_messages import AnyProxyEvent
from harness.proxy.addresses import joined
from harness.proxy.client import ComputeState, ProxyClient, compute_of
from harness.proxy.compute_settings import check_can
from harness.proxy.listening_port import bound
from harness.up.behind import Behind, check_own, own_server, their_database
from harness.up.history import History, Wake
from harness.up.running import RunningUp, announce, private_folder
from harness.up.upstream import LOOPBACK

PROXY = "database"
WAKES_DRAWN = 10_000
"""Wake latencies that are drawn; the last one goes on for every wake after."""
PORT_ALLOWED = "another one, or 0 for any that is free"
WILDCARDS = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, to name an address that can be connected to


class RunningDatabase:
    """A PostgreSQL behind a compute that suspends and wakes."""

    def __init__(self, behind: Behind, host: str, port: int, client: ProxyClient) -> None:
        self.url = behind.url_at(host, port)
        """`postgresql://…` with the password, for asyncpg and any other client."""
        self.libpq_url = behind.libpq_url_at(host, port)
        """For psql and psycopg. The same, except in front of a database whose certificate names another host."""
        self.host, self.port = host, port
        """Where it listens."""
        self.version = behind.version
        """PostgreSQL's; None: it is not ours."""
        self.is_new = behind.is_new
        """Whether the database was made by this start."""
        self._client = client
        self._history = History()
        self._news = asyncio.Event()

    @property
    def state(self) -> State:
        """`active`, `suspended` or `waking`."""
        return self._history.state

    @property
    def wakes(self) -> tuple[Wake, ...]:
        """Every wake so far, the one under way included."""
        return tuple(self._history.wakes)

    @property
    def suspends(self) -> int:
        """How often it has suspended so far, by itself or on command."""
        return self._history.suspends

    @property
    def connections(self) -> int:
        """Clients' connections that are open at this moment."""
        return len(self._history.connections)

    async def suspend(self) -> None:
        """Suspend it now, in spite of any activity; returns when it is. No effect while it sleeps or wakes."""
        answer = await self._client.suspend(PROXY)
        await self._until(lambda: self._history.suspends >= answer.suspends)

    async def wake(self) -> None:
        """Wake it as a first client would, with its wake latency; returns when it is awake."""
        answer = await self._client.wake(PROXY)
        await self._until(lambda: self._history.wakes_ended >= answer.wakes)

    async def now(self) -> ComputeState:
        """The compute at this moment, with the seconds until it suspends or is awake."""
        return await self._client.state(PROXY)

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            await self._news.wait()

    async def attend(self, proxy: Child, heard: Callable[[AnyProxyEvent], None]) -> None:
        """Takes what the proxy's process reports, until it ends: for `running_database` alone."""
        async for record in proxy.records():
            if not isinstance(record, ProxyReported):
                raise proxy.out_of_step(record)
            self._history.take(record.event)
            heard(record.event)
            news, self._news = self._news, asyncio.Event()
            news.set()


@asynccontextmanager
async def running_database(
    *,
    wake: WakeProfile | None = None,
    upstream: str | None = None,
    host: str = LOOPBACK,
    port: int = 0,
    init: Path | None = None,
    data: Path | None = None,
    seed: int = 1,
    heard: Callable[[AnyProxyEvent], None] = lambda _: None,
) -> AsyncIterator[RunningDatabase]:
    """A PostgreSQL that suspends after its quiet time and wakes for the first client; awake at first.

    `wake` is how it sleeps and wakes (left out: `neon`), its latencies drawn with `seed`. `upstream` is the DSN of a
    database to put it in front of; left out, there is one of its own, from a wheel: `init` is then a file of SQL that
    is run as the database is made, and `data` a folder to keep it in, with its password. It listens on `host` and
    `port` (0: any that is free). `heard` is called for every event of the proxy, when the database's `state`, `wakes`
    and `connections` know of it.

    Raises `UserError` for what can't be so, and `StackError` when a part can't start, or dies meanwhile.
    """
    wake = profile("neon") if wake is None else wake
    _check_wake(wake)
    check_own(init, upstream=upstream, data=data)
    _check_port(host, port)
    with private_folder() as folder:
        try:
            behind_it = own_server(init=init, data=data, logs=folder) if upstream is None else their_database(upstream)
            argv = [sys.executable, "-m", "harness.up.proxy", str(os.getpid()), str(folder)]
            async with (
                behind_it as behind,
                Child.running("proxy", argv, log=folder / "proxy.log") as proxy,
                ProxyClient(api_port := (await proxy.next_record(ProxyReady)).port) as client,
            ):
                compute = compute_of(
                    wake,
                    wake_latencies_s=wake.latencies_s(seed, wakes=WAKES_DRAWN),
                    suspends_by_itself=True,
                    names_clients=True,
                )
                listen = joined(host, port)
                _, port = await client.create(PROXY, upstream=behind.place, listen=listen, compute=compute)
                database = RunningDatabase(behind, LOOPBACK if host in WILDCARDS else host, port, client)
                announce(
                    folder,
                    RunningUp(
                        port=port,
                        api_port=api_port,
                        pid=os.getpid(),
                        version=behind.version,
                        postgres_port=behind.own_port,
                    ),
                )
                watched = [child.watch() for child in (proxy, *behind.children)]
                async with beside(database.attend(proxy, heard), *watched):
                    yield database
        except BaseExceptionGroup as group:
            # Not for whoever is inside to take apart: the group is of how the parts are watched.
            why = first_of(group)
            raise why from why.__cause__


def _check_wake(wake: WakeProfile) -> None:
    """Raises `UserError` for what this machine can't play."""
    check_can(wake.on_suspend)
    if wake.while_waking is WhileWaking.DROP and sys.platform != "linux":
        raise UserError("connection requests can only be dropped on Linux", where="while_waking drop")


def _check_port(host: str, port: int) -> None:
    """Raises `UserError` when it can't be listened on: before a server has been started for nothing."""
    try:
        bound(host, port).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(str(reason), where=f"port {port} of {host}", allowed=PORT_ALLOWED) from error
