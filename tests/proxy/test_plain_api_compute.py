"""The wake over Toxiproxy's plain API, through toxiproxy-python, with the real server and ours; and what it lacks."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from harness.model.compute import Behaviour, OnSuspend, State
from harness.model.errors import StackError, UserError
from harness.model.wake import profile
from harness.postgres import PostgresServer
from harness.processes.messages import ProxyReady, ProxyReported
from harness.processes.process import Child
from harness.processes.proxy_messages import ComputeWoken, ConnectionAccepted, FirstAttempt
from harness.proxy.client import ProxyClient, compute_of
from harness.proxy.compute_settings import ComputeSettings
from harness.proxy.toxiproxy import ToxiproxyServer
from harness.proxy.toxiproxy_compute import ComputeEvent, ToxiproxyCompute
from tests.conftest import SERVERS, real_toxiproxy

pytestmark = [pytest.mark.anyio, pytest.mark.quiet]

WAKE_S = 0.8
CLOSE = Behaviour(on_suspend=OnSuspend.CLOSE)


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[ToxiproxyServer]:
    """A fresh server of each kind, driven by the same client."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = real_toxiproxy() if request.param == "real" else None
    ours = [sys.executable, "-m", "harness", "toxiproxy", "--port", str(port)]
    argv = [program, "-host", "127.0.0.1", "-port", str(port)] if program else ours
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    driven = ToxiproxyServer(port)
    deadline = time.monotonic() + 20
    while True:
        try:
            assert driven.version()
            break
        except StackError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    yield driven
    process.terminate()
    process.wait()


@asynccontextmanager
async def watched_front(postgres: PostgresServer, proxy: Child, compute: ToxiproxyCompute) -> AsyncIterator[str]:
    """Something in front of PostgreSQL that sees the dials; the address to dial."""

    async def listen() -> None:
        async for record in proxy.records():
            if isinstance(record, ProxyReported) and isinstance(record.event, ConnectionAccepted):
                compute.attempted(record.event.at_s)

    async with ProxyClient((await proxy.next_record(ProxyReady)).port) as client:
        host, port = await client.create("watched_front", upstream=f"127.0.0.1:{postgres.port}")
        listening = asyncio.create_task(listen())
        yield f"{host}:{port}"
        listening.cancel()


async def backends(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    return children_of_parent(await connection.fetchval("SELECT pg_backend_pid()"))


def children_of_parent(pid: int) -> int:
    # Those that still authenticate have no row in pg_stat_activity: count the server's processes.
    parent = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return len(Path(f"/proc/{parent}/task/{parent}/children").read_text().split())


async def test_it_suspends_holds_and_wakes_within_50_ms(
    postgres: PostgresServer, proxy_process: Child, server: ToxiproxyServer
) -> None:
    reported: list[ComputeEvent] = []
    settings = ComputeSettings(CLOSE, (WAKE_S,))
    compute = ToxiproxyCompute(server, "database", settings, report=reported.append)
    async with watched_front(postgres, proxy_process, compute) as upstream:
        dsn = postgres.dsn_at(*server.create("database", upstream=upstream))
        before = await asyncpg.connect(dsn, ssl=False)
        await compute.suspend()
        with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)):
            await before.fetchval("SELECT 1")
        began_s = time.monotonic()
        held = await asyncio.gather(*(asyncpg.connect(dsn, ssl=False, timeout=10) for _ in range(10)))
        took_s = time.monotonic() - began_s
        assert await held[0].fetchval("SELECT 2") == 2
        await asyncio.gather(*(connection.close() for connection in held))
        _, first, woken = reported
        assert isinstance(first, FirstAttempt)
        assert isinstance(woken, ComputeWoken)
        assert 0 <= woken.at_s - woken.planned_at_s < 0.05
        assert WAKE_S - 0.01 < took_s < WAKE_S + 1.0
        assert first.at_s - began_s < 0.05
        assert woken.planned_at_s == first.at_s + WAKE_S
        # A second sleep is like the first.
        await compute.suspend()
        again = await asyncpg.connect(dsn, ssl=False, timeout=10)
        await again.close()
        server.remove("database")


async def test_held_connections_have_backends_and_a_client_that_left_is_a_ghost(
    postgres: PostgresServer, proxy_process: Child, server: ToxiproxyServer
) -> None:
    compute = ToxiproxyCompute(server, "database", ComputeSettings(CLOSE, (1.5,)))
    direct = await asyncpg.connect(postgres.dsn, ssl=False)
    async with watched_front(postgres, proxy_process, compute) as upstream:
        dsn = postgres.dsn_at(*server.create("database", upstream=upstream))
        await compute.suspend()
        at_rest = await backends(direct)
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await asyncpg.connect(dsn, ssl=False, timeout=0.1)
        # Their clients are gone, and PostgreSQL still keeps a process for each of them.
        assert await backends(direct) == at_rest + 5
        async with asyncio.timeout(10):
            while compute.state is not State.ACTIVE:
                await asyncio.sleep(0.01)
        await compute.settled()
        server.remove("database")
    await direct.close()


async def test_the_native_wake_has_neither_backends_nor_ghosts(postgres: PostgresServer, proxy_process: Child) -> None:
    direct = await asyncpg.connect(postgres.dsn, ssl=False)
    async with ProxyClient((await proxy_process.next_record(ProxyReady)).port) as client:
        compute = compute_of(profile("neon"), wake_latencies_s=[1.5], suspends_by_itself=False)
        address = await client.create("native", upstream=f"127.0.0.1:{postgres.port}", compute=compute)
        dsn = postgres.dsn_at(*address)
        await client.suspend("native")
        at_rest = await backends(direct)
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await asyncpg.connect(dsn, ssl=False, timeout=0.1)
        staying = asyncio.create_task(asyncpg.connect(dsn, ssl=False, timeout=10))
        while (await client.state("native")).state == "waking":
            assert await backends(direct) == at_rest
            await asyncio.sleep(0.1)
        connection = await staying
        assert await backends(direct) == at_rest + 1
        await connection.close()
    await direct.close()


@pytest.mark.parametrize("behaviour", [{"on_suspend": "freeze"}, {"while_waking": "drop"}, {"while_waking": "error"}])
def test_what_toxics_cant_express_is_refused_by_name(behaviour: dict[str, str]) -> None:
    wake = profile("neon").with_changes(**{"on_suspend": "close", "while_waking": "hold", **behaviour})
    with pytest.raises(UserError, match=f"Toxiproxy can't express .* {next(iter(behaviour.values()))}"):
        ToxiproxyCompute.check(wake)


def test_close_and_hold_can_be_expressed() -> None:
    ToxiproxyCompute.check(profile("neon").with_changes(on_suspend="close", while_waking="hold"))


async def test_a_server_that_refuses_a_step_is_an_error_where_the_compute_is_watched(server: ToxiproxyServer) -> None:
    compute = ToxiproxyCompute(server, "nobody", ComputeSettings(CLOSE, (WAKE_S,)))
    await compute.suspend()
    with pytest.raises(StackError, match="proxy not found"):
        await asyncio.wait_for(compute.watch(), 5)


def test_a_port_in_use_is_an_error_and_not_a_success(server: ToxiproxyServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StackError, match=r"POST /proxies: 500 .*bind: address already in use"):
            server.create("taken", upstream="127.0.0.1:1", listen=address)


def test_enabling_over_a_taken_port_is_an_error(server: ToxiproxyServer) -> None:
    host, port = server.create("mine", upstream="127.0.0.1:1")
    server.set_enabled("mine", enabled=False)
    with socket.create_server((host, port)), pytest.raises(StackError):
        server.set_enabled("mine", enabled=True)


def test_names_with_slashes_and_spaces_do_no_harm(server: ToxiproxyServer) -> None:
    server.create("a b", upstream="127.0.0.1:1")
    attributes = {"latency": 1, "jitter": 0}
    server.add_toxic("a b", "t t", type_="latency", stream="upstream", attributes=attributes)
    server.remove_toxic("a b", "t t")
    with pytest.raises(StackError, match="toxic not found"):
        server.remove_toxic("a b", "t t")
    server.remove("a b")
    with pytest.raises(StackError, match="proxy not found"):
        server.remove("a b")


def test_a_server_that_is_not_there_is_a_stack_error_within_the_timeout() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(StackError, match="ConnectionError"):
            ToxiproxyServer(nobody.getsockname()[1]).version()
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(StackError, match="Timeout"):
        ToxiproxyServer(silent.getsockname()[1], timeout_s=0.2).version()


def test_a_proxy_for_the_outside_world_is_left_alone(server: ToxiproxyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setitem(os.environ, name, "http://127.0.0.1:9")
    assert server.version()
