"""A fresh proxy server for every test, ours or the real one, and servers to put behind it."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from harness.processes.messages import ProxyReady
from harness.processes.process import Child
from tests.conftest import SERVERS, real_toxiproxy
from tests.proxy.wire import PATIENCE_S, OurServer, ProxyUnderTest, Upstream, echo_back


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def client(port: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE_S)


@asynccontextmanager
async def our_server(log: Path) -> AsyncIterator[OurServer]:
    async with Child.running("toxiproxy", [sys.executable, "-m", "harness.proxy", "0"], log=log) as child:
        port = (await child.next_record(ProxyReady)).port
        async with client(port) as http:
            yield OurServer(http, child)


@asynccontextmanager
async def real_server(log: Path) -> AsyncIterator[httpx.AsyncClient]:
    program, port = real_toxiproxy(), free_port()
    assert program is not None
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            program, "-host", "127.0.0.1", "-port", str(port), stdout=out, stderr=out
        )
    try:
        async with client(port) as http:
            await answers(http)
            yield http
    finally:
        process.terminate()
        await process.wait()


async def answers(http: httpx.AsyncClient) -> None:
    """Wait until the server answers."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                (await http.get("/version")).raise_for_status()
            except httpx.ConnectError:
                await asyncio.sleep(0.01)
            else:
                return


@pytest.fixture(params=SERVERS)
async def api(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The API of a fresh server: ours, then the real one."""
    if request.param == "real":
        async with real_server(tmp_path / "log") as http:
            yield http
    else:
        async with our_server(tmp_path / "log") as ours:
            yield ours.http


@pytest.fixture
async def ours(tmp_path: Path) -> AsyncIterator[OurServer]:
    """A fresh server of ours."""
    async with our_server(tmp_path / "log") as server:
        yield server


@pytest.fixture
async def echo() -> AsyncIterator[Upstream]:
    """An upstream that sends back whatever it reads."""
    async with Upstream.running(echo_back) as upstream:
        yield upstream


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """An upstream whose connections the test plays itself."""
    async with Upstream.running() as upstream:
        yield upstream


@pytest.fixture
async def proxy(api: httpx.AsyncClient, echo: Upstream) -> ProxyUnderTest:
    """A proxy in front of the echo, on either server."""
    return await ProxyUnderTest.create(api, echo.address)


@pytest.fixture
async def played(api: httpx.AsyncClient, upstream: Upstream) -> ProxyUnderTest:
    """A proxy in front of the upstream that the test plays, on either server."""
    return await ProxyUnderTest.create(api, upstream.address)
