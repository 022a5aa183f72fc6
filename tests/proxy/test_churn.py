"""Thousands of connections come and go, politely or not, and the server is as it was before."""

import asyncio
import os
import sys

import pytest

from tests.proxy.wire import PATIENCE_S, OurServer, Peer, ProxyUnderTest, Upstream

pytestmark = pytest.mark.anyio

CONNECTIONS = 2000
AT_ONCE = 50
FOR_EVER_MS = 600_000


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - a count of names


async def has_descriptors(pid: int, expected: int) -> None:
    """Wait until the process has this many open."""
    async with asyncio.timeout(PATIENCE_S):
        while descriptors(pid) != expected:
            await asyncio.sleep(0.02)


async def come_and_go(number: int, free: ProxyUnderTest, holding: ProxyUnderTest) -> None:
    """One connection: every second one is reset in the end, and every other pair is held meanwhile."""
    held = number % 4 >= 2
    peer: Peer = await (holding if held else free).connect()
    if held:
        await peer.send(b"held")
    else:
        await peer.round_trip()
    if number % 2:
        peer.reset()
    else:
        peer.close()


if sys.platform == "linux":

    @pytest.mark.timeout(120)
    async def test_after_two_thousand_connections_every_descriptor_is_closed(ours: OurServer, echo: Upstream) -> None:
        free = await ProxyUnderTest.create(ours.http, echo.address, name="free")
        holding = await ProxyUnderTest.create(ours.http, echo.address, name="holding")
        await holding.add("latency", stream="upstream", latency=FOR_EVER_MS)
        for number in range(2):
            await come_and_go(number, free, holding)
        await ours.http.get("/version")
        before = descriptors(ours.child.pid)
        for first in range(0, CONNECTIONS, AT_ONCE):
            await asyncio.gather(*(come_and_go(first + one, free, holding) for one in range(AT_ONCE)))
        await holding.remove("latency")
        await has_descriptors(ours.child.pid, before)
        with await free.connect() as client:
            await client.round_trip()
        assert set((await ours.http.get("/proxies")).json()) == {"free", "holding"}

    async def test_clients_that_come_and_go_while_a_compute_sleeps_leave_no_descriptor(
        ours: OurServer, echo: Upstream
    ) -> None:
        compute = {"wake_latency_s": 600}
        proxy = await ProxyUnderTest.create(ours.http, echo.address, compute=compute)
        await proxy.suspend()
        before = descriptors(ours.child.pid)
        for number in range(500):
            peer = await proxy.connect()
            await peer.send(b"x")
            if number % 2:
                peer.reset()
            else:
                peer.close()
        await has_descriptors(ours.child.pid, before)
        assert echo.count == 0
        assert await proxy.state() == "waking"
