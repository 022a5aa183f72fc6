"""`coldstart record`: an application on a real PostgreSQL, each kind of request several times, and all that was said.

application ──▶ proxy with a recorder ──▶ embedded PostgreSQL
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import asyncpg
import httpx

from harness.application.starting import (
    TEMPLATE,
    TRY_LIMIT_S,
    interpreter,
    make_database,
    prepare_database,
    start_application,
    try_requests,
)
from harness.model.application import Application
from harness.model.application_request import ApplicationRequest
from harness.model.errors import StackError, UserError
from harness.model.pool import PoolConfiguration
from harness.postgres import embedded_postgres
from harness.postgres.supervisor import free_port
from harness.processes.beside import beside
from harness.processes.cpu import cpu_s_of
from harness.processes.messages import (
    CpuReported,
    LoopStalled,
    PoolNotWarmed,
    PoolRefused,
    PoolReplaced,
    PoolSampled,
    PoolWarmed,
    ReplacePool,
    ReportCpu,
    ServiceReady,
    WarmPool,
)
from harness.processes.process import Child
from harness.proxy.events import EventStream
from harness.proxy.proxy import Proxy
from harness.recording import CONNECTING, ENUMS_SQL, Recorder, Recording, RequestKind

LIBRARIES = ("sqlalchemy", "asyncpg", "psycopg", "fastapi", "starlette")
CONNECTIONS = 100
CONNECTING_TIMES = 5
"""How often connecting is measured, and how many connections are made each time."""
CONNECTED_AT_ONCE = 4
VERSIONS = f"""
import importlib.metadata as m, json, platform
found = {{"python": platform.python_version()}}
for name in {LIBRARIES!r}:
    try: found[name] = m.version(name)
    except m.PackageNotFoundError: pass
print(json.dumps(found))
"""
HOST = "127.0.0.1"


async def record(
    application: Application,
    pool: PoolConfiguration,
    *,
    times: int,
    wait_s: float,
    logs: Path,
    say: Callable[[str], None],
) -> Recording:
    """Ask for each kind of request `times` times, one after another, with keys from the first on, then listen.

    `wait_s`: how many seconds to listen to what the application does by itself, every half minute perhaps.

    Raises `UserError` where a request fails or the application can't be recorded, `StackError` where a part dies.
    """
    async with AsyncExitStack() as stack:
        server, postgres = await stack.enter_async_context(
            embedded_postgres(log=logs / "postgres.log", max_connections=CONNECTIONS)
        )
        say(f"PostgreSQL {server.version} is up")
        await make_database(server, TEMPLATE)
        database = replace(server, database=TEMPLATE)
        await prepare_database(application, database, logs / "prepare.log")
        recorder = Recorder(cpu_s_of=cpu_s_of)
        port = await stack.enter_async_context(_recorded(recorder, f"{server.host}:{server.port}"))
        log = logs / "application.log"
        reached = replace(database, host=HOST, port=port)
        child = await stack.enter_async_context(start_application(application, reached, pool, log=log))
        url = f"http://{HOST}:{(await child.next_record(ServiceReady)).port}"
        async with beside(postgres.watch(), child.watch()):
            asking = Asking(application, child, url)
            async with beside(asking.read()):
                # The first answers of a process, and of a connection, cost more than the later ones.
                await try_requests(application, url, log)
                # As a trial's warm phase does it: that is recorded too.
                connecting = await asking.connecting()
                requests = [connecting] + [await asking.kind(request, times, say) for request in application.kinds]
                if wait_s:
                    say(f"listening for {wait_s:g} s to what it does by itself")
                    await asyncio.sleep(wait_s)
        libraries, enums = _versions(application), await _enums(database.dsn)
        recorded_at = datetime.now(UTC).isoformat(timespec="seconds")
        return recorder.recording(
            app=application.name,
            recorded_at=recorded_at,
            libraries=libraries,
            requests=requests,
            enums=enums,
            cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        )


class Asking:
    """Asks the application, and times its answers and its computing."""

    def __init__(self, application: Application, child: Child, url: str) -> None:
        self._application = application
        self._child = child
        self._url = url
        self._reported: asyncio.Queue[CpuReported] = asyncio.Queue()
        self._replaced: asyncio.Queue[None] = asyncio.Queue()
        self._warmed: asyncio.Queue[PoolWarmed | PoolNotWarmed | PoolRefused] = asyncio.Queue()

    async def read(self) -> None:
        """Reads what the application's process reports, until it ends."""
        async for record in self._child.records():
            match record:
                case CpuReported():
                    self._reported.put_nowait(record)
                case PoolWarmed() | PoolNotWarmed() | PoolRefused():
                    self._warmed.put_nowait(record)
                case PoolReplaced():
                    self._replaced.put_nowait(None)
                case PoolSampled() | LoopStalled():
                    # The next measurement begins when this one has ended, however long that takes.
                    pass
                case _:
                    raise self._child.out_of_step(record)

    async def connecting(self) -> RequestKind:
        """What making a connection computes, several times. Raises `UserError` where it has no pool."""
        cpu_s = []
        for _ in range(CONNECTING_TIMES):
            await self._replace_pool()
            before_s = (await self._cpu()).cpu_s
            await self._warm(CONNECTED_AT_ONCE)
            cpu_s.append(round(((await self._cpu()).cpu_s - before_s) / CONNECTED_AT_ONCE, 6))
        return RequestKind(request=CONNECTING, cpu_s=tuple(cpu_s))

    async def _warm(self, connections: int) -> None:
        await self._child.send(WarmPool(ages_s=(0.0,) * connections))
        match await self._warmed.get():
            case PoolRefused(what=what, where=where, allowed=allowed):
                raise UserError(what, where=where, allowed=allowed)
            case PoolNotWarmed(error=error):
                raise StackError("application", f"could not warm its pool: {error}", log=self._child.log)

    async def kind(self, request: ApplicationRequest, times: int, say: Callable[[str], None]) -> RequestKind:
        """One kind of request, several times; then some times more, each on a new connection."""
        latency_s: list[float] = []
        computed: list[_Computed] = []
        connecting_cpu_s: list[float] = []
        async with httpx.AsyncClient(base_url=self._url, timeout=TRY_LIMIT_S, trust_env=False) as client:
            for key in range(times):
                start_s = monotonic()
                computed.append(await self._ask(client, request, key))
                latency_s.append(round(monotonic() - start_s, 6))
            for key in range(min(times, CONNECTING_TIMES)):
                await self._replace_pool()
                connecting_cpu_s.append((await self._ask(client, request, key)).cpu_s)
        say(f"{request.name}: {times} times")
        return RequestKind(
            request=request.name,
            cpu_s=tuple(one.cpu_s for one in computed),
            before_cpu_s=tuple(one.before_s for one in computed),
            held_cpu_s=tuple(one.held_s for one in computed),
            connecting_cpu_s=tuple(connecting_cpu_s),
            latency_s=tuple(latency_s),
        )

    async def _ask(self, client: httpx.AsyncClient, request: ApplicationRequest, key: int) -> "_Computed":
        """Ask once; what that computed. Raises `UserError` for an answer that is not good."""
        asked = request.asked(key)
        before = await self._cpu()
        try:
            answer = await client.request(asked.method, asked.target, headers=dict(asked.headers), content=asked.body)
        except httpx.HTTPError as error:
            raise StackError(
                "application", f"request {request.name}: {type(error).__name__}", log=self._child.log
            ) from error
        after = await self._cpu()
        if not request.is_good(answer.status_code):
            raise UserError(
                f"was answered with {answer.status_code} for key {key} (log: {self._child.log})",
                where=f"request {request.name} ({asked.method} {asked.target})",
                allowed="keys that exist, or the status in its statuses",
            )
        # Without a connection all of it is before one, for which it would not have waited.
        first_s = after.cpu_s if after.checked_out_at_cpu_s is None else after.checked_out_at_cpu_s
        return _Computed(
            round(after.cpu_s - before.cpu_s, 6), round(first_s - before.cpu_s, 6), round(after.held_cpu_s, 6)
        )

    async def _replace_pool(self) -> None:
        await self._child.send(ReplacePool())
        await self._replaced.get()

    async def _cpu(self) -> CpuReported:
        await self._child.send(ReportCpu())
        return await self._reported.get()


@dataclass(frozen=True, slots=True)
class _Computed:
    """What one request computed, in seconds: in all, before it had a connection, and while it had one."""

    cpu_s: float
    before_s: float
    held_s: float


@asynccontextmanager
async def _recorded(recorder: Recorder, upstream: str) -> AsyncIterator[int]:
    """A proxy that the recorder listens on; its port."""
    port = free_port()
    proxy = Proxy("record", listen=f"{HOST}:{port}", upstream=upstream, events=EventStream())
    proxy.watcher = recorder
    proxy.start((HOST, port))
    try:
        yield port
    finally:
        proxy.stop()


async def _enums(dsn: str) -> list[int]:
    """The oids of the database's enum types, which keep their values where others get neutral ones."""
    connection = await asyncpg.connect(dsn, ssl=False)
    try:
        return [row["oid"] for row in await connection.fetch(ENUMS_SQL)]
    finally:
        await connection.close()


def _versions(application: Application) -> dict[str, str]:
    """Of the libraries in the application's environment, and of its Python."""
    done = subprocess.run(
        [interpreter(application.python), "-c", VERSIONS], capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr)  # noqa: T201 - a broken environment's own words
        return {}
    found: dict[str, str] = json.loads(done.stdout)
    return found
