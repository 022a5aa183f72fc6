"""Storms of clients, and clients that leave at the worst moment: the API answers and the log stays short."""

import asyncio
import resource
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from harness.postgres import PostgresServer
from harness.processes.messages import ProxyReady
from harness.processes.open_files import allow_open_files
from harness.processes.process import Child
from harness.proxy.descriptors import DescriptorBudget
from harness.proxy.tasks import started
from harness.proxy.toxics import Stub
from tests.proxy.conftest import client
from tests.proxy.wire import PATIENCE_S, OurServer, Peer, ProxyUnderTest, Upstream

pytestmark = pytest.mark.anyio

FILES = 1024
CLIENTS = 2000
MUCH = 100_000
"""More than is kept of a client that is not connected onward (64 KiB)."""
MESSAGES = 17_000
AT_ONCE_S = 2.0


@pytest.fixture
async def short_of_files(tmp_path: Path) -> AsyncIterator[OurServer]:
    """A server that may not have more than 1,024 files, and can't raise that."""
    argv = ["sh", "-c", f'ulimit -n {FILES}; exec "$0" -m harness.proxy 0', sys.executable]
    async with Child.running("toxiproxy", argv, log=tmp_path / "log") as child:
        port = (await child.next_record(ProxyReady)).port
        async with client(port) as http:
            yield OurServer(http, child)


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


if sys.platform == "linux":

    @pytest.mark.timeout(120)
    async def test_two_thousand_held_clients_at_a_limit_of_1024_files_leave_the_api_alive(
        short_of_files: OurServer, echo: Upstream
    ) -> None:
        allow_open_files()
        proxy = await ProxyUnderTest.create(short_of_files.http, echo.address, compute={"wake_latency_s": 3.0})
        await proxy.suspend()

        async def visit() -> None:
            with await Peer.to(proxy.port, patience_s=60) as peer:
                await peer.round_trip()

        visits = [asyncio.create_task(visit()) for _ in range(CLIENTS)]
        async with asyncio.timeout(PATIENCE_S):
            while not short_of_files.child.log.read_text():
                await asyncio.sleep(0.01)
        before_s, began_at_s = cpu_s(short_of_files.child.pid), time.monotonic()
        while time.monotonic() - began_at_s < 1.5:
            asked_at_s = time.monotonic()
            assert (await short_of_files.http.get("/version")).status_code == 200
            assert time.monotonic() - asked_at_s < AT_ONCE_S
            await asyncio.sleep(0.05)
        assert cpu_s(short_of_files.child.pid) - before_s < 0.6 * (time.monotonic() - began_at_s)
        # All of them get through in the end: as one leaves, another is let in.
        await asyncio.gather(*visits)
        lines = short_of_files.child.log.read_text().splitlines()
        assert 1 <= len(lines) <= 5, lines
        assert all("accepts nobody for now" in line for line in lines)

    async def test_the_limit_of_files_is_raised_at_the_start(tmp_path: Path) -> None:
        argv = ["sh", "-c", f'ulimit -S -n {FILES}; exec "$0" -m harness.proxy 0', sys.executable]
        async with Child.running("toxiproxy", argv, log=tmp_path / "log") as child:
            await child.next_record(ProxyReady)
            soft, hard = resource.prlimit(child.pid, resource.RLIMIT_NOFILE)
        assert soft == hard > FILES

    @pytest.mark.parametrize("leave", ["close", "reset"])
    @pytest.mark.parametrize("on_suspend", ["keep", "close"])
    async def test_a_waiting_client_that_sent_much_and_left_is_noticed_before_the_wake(
        ours: OurServer, echo: Upstream, leave: str, on_suspend: str
    ) -> None:
        compute = {"wake_latency_s": 600, "on_suspend": on_suspend}
        proxy = await ProxyUnderTest.create(ours.http, echo.address, compute=compute)
        if on_suspend == "keep":
            leaving = await proxy.connect()
            await leaving.round_trip()
            await proxy.suspend()
        else:
            await proxy.suspend()
            leaving = await proxy.connect()
        async with ours.events() as events:
            await leaving.send(bytes(MUCH))
            await asyncio.sleep(0.1)
            (leaving.reset if leave == "reset" else leaving.close)()
            assert (await events.next("closed"))["proxy"] == "db"
        assert await proxy.state() == "waking"


async def test_the_insert_of_a_kept_client_that_left_is_not_carried_out_at_the_wake(
    ours: OurServer, postgres: PostgresServer
) -> None:
    direct = await asyncpg.connect(postgres.dsn)
    await direct.execute("CREATE TABLE left_behind (text text)")
    compute = {"wake_latency_s": 1.0, "on_suspend": "keep"}
    proxy = await ProxyUnderTest.create(ours.http, f"{postgres.host}:{postgres.port}", compute=compute)
    try:
        leaving = await asyncpg.connect(postgres.dsn_at("127.0.0.1", proxy.port), ssl=False)
        backend = leaving.get_server_pid()
        await proxy.suspend()
        async with ours.events() as events:
            insert = asyncio.create_task(leaving.execute("INSERT INTO left_behind VALUES ('" + "x" * MUCH + "')"))  # noqa: S608 - its own text
            await events.next("first_attempt")
            leaving.terminate()
            with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError)):
                await insert
            await events.next("woken")
        async with asyncio.timeout(PATIENCE_S):
            while await direct.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", backend):
                await asyncio.sleep(0.01)
        assert await direct.fetchval("SELECT count(*) FROM left_behind") == 0
    finally:
        await direct.execute("DROP TABLE left_behind")
        await direct.close()


async def test_a_slicer_without_a_delay_lets_the_other_proxies_work(ours: OurServer, upstream: Upstream) -> None:
    sliced = await ProxyUnderTest.create(ours.http, upstream.address, name="sliced")
    await sliced.add("slicer", "upstream", average_size=1)
    async with Upstream.running(echo_bytes) as other:
        free = await ProxyUnderTest.create(ours.http, other.address, name="free")
        with await sliced.connect() as busy, await free.connect() as client:
            await client.round_trip()
            server = await upstream.accepted()
            sending = asyncio.create_task(busy.send(bytes(2**20)))
            await server.receive(1)
            assert await client.round_trip(b"hi") < 0.5
            sending.cancel()


async def echo_bytes(peer: Peer) -> None:
    while data := await peer.receive(2):
        await peer.send(data)


async def test_a_bandwidth_removed_from_a_client_that_left_writes_no_line(ours: OurServer, upstream: Upstream) -> None:
    proxy = await ProxyUnderTest.create(ours.http, upstream.address)
    await proxy.add("bandwidth", rate=0)
    async with ours.events() as events:
        leaving = await proxy.connect()
        server = await upstream.accepted()
        for number in range(MESSAGES):
            await server.send(b"message!")
            if number % 8 == 0:
                # One read each: what is held is many small chunks.
                await asyncio.sleep(0)
        leaving.close()
        await server.until_end()
        await proxy.remove("bandwidth")
        server.close()
        await events.next("closed")
    assert ours.child.log.read_text() == ""


async def test_a_task_that_fails_is_logged_and_its_connection_hears_of_it(caplog: pytest.LogCaptureFixture) -> None:
    ended = asyncio.Event()

    async def broken() -> None:
        raise RuntimeError("out of order")

    started(broken(), name="dial 7", on_failure=ended.set)
    async with asyncio.timeout(PATIENCE_S):
        await ended.wait()
    assert "dial 7 failed" in caplog.text
    assert "out of order" in caplog.text


@pytest.mark.parametrize("steps", range(6))
async def test_a_toxic_that_is_removed_as_its_connection_closes_waits_no_longer(steps: int) -> None:
    """However many steps of the loop lie between the two: one of them lost the cancellation on Python 3.11."""
    stub = Stub(write=lambda _: None, close=lambda: None, taken=lambda _: None)

    async def hold_then_go_on() -> None:
        await stub.sleep(PATIENCE_S)
        await asyncio.Event().wait()

    task = asyncio.create_task(hold_then_go_on())
    await asyncio.sleep(0)
    stub.interrupt()
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=1.0)
    assert task.cancelled()


def test_a_connection_is_counted_with_the_descriptor_that_its_upstream_will_need() -> None:
    budget = DescriptorBudget(limit=64 + 2 * 3)
    for _ in range(3):
        assert budget.has_room
        budget.take()
    assert not budget.has_room
    budget.give_back()
    assert budget.has_room


@pytest.mark.parametrize("toxics", [[], [{"type": "noop", "stream": "downstream"}]], ids=["straight", "staged"])
async def test_an_upstream_that_ends_after_its_client_was_gone_writes_no_line(
    ours: OurServer, upstream: Upstream, toxics: list[dict[str, str]]
) -> None:
    proxy = await ProxyUnderTest.create(ours.http, upstream.address, toxics=toxics)
    async with ours.events() as events:
        for _ in range(20):
            leaving = await proxy.connect()
            server = await upstream.accepted()
            leaving.close()
            assert await server.until_end() == b""
            # The client's kernel answers this with a reset, which the proxy, having read the end, does not read.
            await server.send(b"too late")
            await asyncio.sleep(0.01)
            server.close()
            await events.next("closed")
    assert ours.child.log.read_text() == ""


async def test_a_toxic_removed_with_the_end_of_the_stream_in_it_ends_the_connection_and_writes_no_line(
    ours: OurServer, upstream: Upstream
) -> None:
    proxy = await ProxyUnderTest.create(ours.http, upstream.address)
    await proxy.add("bandwidth", rate=0)
    async with ours.events() as events:
        with await proxy.connect() as client:
            server = await upstream.accepted()
            client.half_close()
            assert await server.until_end() == b""
            await server.send(b"the last")
            server.half_close()
            await asyncio.sleep(0.1)
            # The end waits behind the bytes. Passing it on is what closes the connection, whose stages are gone then.
            await proxy.remove("bandwidth")
            assert await client.until_end() == b"the last"
            await events.next("closed")
    assert ours.child.log.read_text() == ""
