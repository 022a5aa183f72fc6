"""Connections that vanish: this machine's kernel sends again what nobody acknowledges, and meets RST after the wake."""

import asyncio
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.converter import to_json
from harness.model.errors import UserError
from harness.model.kernel import LINUX_6_5
from harness.model.server import IdleReaper
from harness.proxy import compute_settings
from harness.proxy.compute_settings import ComputeSettings
from harness.proxy.silence import can_silence
from tests.proxy.wire import PATIENCE_S, OurServer, Peer, ProxyUnderTest, Upstream

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.quiet,
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel that is silenced is Linux"),
]

LATE_S = 0.05
QUIET_S = 0.5
TCP_INFO = struct.Struct("8B24I")
UNACKNOWLEDGED, TOTAL_RETRANSMISSIONS = 12, 31
"""The places of tcpi_unacked and tcpi_total_retrans."""


class Client(Peer):
    """A client of the proxy, and what its kernel knows of its connection."""

    def __init__(self, handle: socket.socket) -> None:
        super().__init__(handle)
        self.handle = handle

    def in_the_kernel(self, place: int) -> int:
        number: int = TCP_INFO.unpack(self.handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO.size))[place]
        return number

    async def sent_again_s(self, times: int) -> list[float]:
        """When its kernel sent again, counted from now."""
        began_s, seen, at_s = time.monotonic(), self.in_the_kernel(TOTAL_RETRANSMISSIONS), list[float]()
        async with asyncio.timeout(PATIENCE_S):
            while len(at_s) < times:
                if (number := self.in_the_kernel(TOTAL_RETRANSMISSIONS)) != seen:
                    seen = number
                    at_s.append(time.monotonic() - began_s)
                await asyncio.sleep(0.002)
        return at_s


async def client_of(proxy: ProxyUnderTest) -> Client:
    """A client that has been answered once, and whose kernel has acknowledged that."""
    client = await Client.to(proxy.port)
    await client.round_trip()
    await asyncio.sleep(0.1)
    return client


async def vanishing(ours: OurServer, echo: Upstream, **compute: object) -> ProxyUnderTest:
    return await ProxyUnderTest.create(
        ours.http, echo.address, compute={"on_suspend": "vanish", "wake_latency_s": 0.3, **compute}
    )


async def wake(proxy: ProxyUnderTest) -> None:
    """Start the wake and wait for its end."""
    with await proxy.connect() as another:
        await another.round_trip()


async def test_what_is_sent_to_a_machine_that_is_gone_is_sent_again_and_again_as_the_kernel_does(
    ours: OurServer, echo: Upstream
) -> None:
    proxy = await vanishing(ours, echo)
    with await client_of(proxy) as client:
        await proxy.suspend()
        at_s = time.monotonic()
        await client.send(b"ping")
        again_s = await client.sent_again_s(5)
        assert client.in_the_kernel(UNACKNOWLEDGED) == 1
    modelled_s = [moment_s - at_s for moment_s in LINUX_6_5.data(at_s, round_trip_s=0.0).again_s[:5]]
    assert again_s == pytest.approx(modelled_s, rel=0.05, abs=LATE_S)


async def test_the_first_retransmission_after_the_wake_is_answered_by_rst(ours: OurServer, echo: Upstream) -> None:
    proxy = await vanishing(ours, echo, wake_latency_s=1.0)
    with await client_of(proxy) as client:
        await proxy.suspend()
        began_s = time.monotonic()
        await client.send(b"ping")
        waking, ended = asyncio.create_task(wake(proxy)), asyncio.create_task(client.ended())
        again_s = await client.sent_again_s(4)
        assert await ended == "rst"
        # The third one, at 0.8 s, was before the wake; the fourth at 1.7 s.
        assert time.monotonic() - began_s == pytest.approx(again_s[3], abs=LATE_S)
        await waking


async def test_a_client_that_writes_only_after_the_wake_is_answered_by_rst_at_once(
    ours: OurServer, echo: Upstream
) -> None:
    proxy = await vanishing(ours, echo)
    with await client_of(proxy) as client:
        await proxy.suspend()
        await wake(proxy)
        began_s = time.monotonic()
        await client.send(b"ping")
        assert await client.ended() == "rst"
        assert time.monotonic() - began_s < LATE_S


async def test_a_client_that_sends_nothing_hears_nothing_after_the_wake_either(ours: OurServer, echo: Upstream) -> None:
    proxy = await vanishing(ours, echo)
    with await client_of(proxy) as client:
        await proxy.suspend()
        await wake(proxy)
        assert await client.is_silent_for(QUIET_S)


async def test_what_was_acknowledged_before_the_machine_went_is_never_answered(
    ours: OurServer, upstream: Upstream
) -> None:
    proxy = await ProxyUnderTest.create(
        ours.http, upstream.address, compute={"on_suspend": "vanish", "wake_latency_s": 0.3}
    )
    with await Client.to(proxy.port) as client:
        server = await upstream.accepted()
        await client.send(b"question")
        assert await server.receive(8) == b"question"
        await asyncio.sleep(0.1)
        assert client.in_the_kernel(UNACKNOWLEDGED) == 0
        await proxy.suspend()
        assert await server.until_end() == b""
        with await proxy.connect():
            await upstream.accepted()
        assert await client.is_silent_for(QUIET_S)


async def test_a_machine_that_goes_again_before_a_retransmission_leaves_it_unanswered(
    ours: OurServer, echo: Upstream
) -> None:
    proxy = await vanishing(ours, echo)
    with await client_of(proxy) as client:
        await proxy.suspend()
        await wake(proxy)
        await proxy.suspend()
        await client.send(b"ping")
        assert await client.is_silent_for(QUIET_S)
        assert client.in_the_kernel(UNACKNOWLEDGED) == 1
        await wake(proxy)
        assert await client.ended() == "rst"


@pytest.mark.parametrize("woken", [False, True])
async def test_a_vanished_connection_is_answered_when_its_compute_is_taken_away(
    ours: OurServer, echo: Upstream, woken: bool
) -> None:
    proxy = await vanishing(ours, echo)
    with await client_of(proxy) as client:
        await proxy.suspend()
        if woken:
            await wake(proxy)
        assert (await ours.http.delete("/coldstart/proxies/db/compute")).status_code == 204
        await client.send(b"ping")
        assert await client.ended() == "rst"


async def test_a_vanished_client_is_silent_where_new_connections_get_no_answer_and_no_attempt_to_connect(
    ours: OurServer, echo: Upstream
) -> None:
    proxy = await vanishing(ours, echo, while_waking="drop")
    with await client_of(proxy) as client:
        await proxy.suspend()
        await client.send(b"ping")
        assert await client.is_silent_for(QUIET_S)
        assert await proxy.state() == "suspended"
        await wake(proxy)
        assert await client.ended() == "rst"


async def test_keepalives_on_a_connection_that_goes_on_do_no_harm_and_on_a_vanished_one_give_it_up(
    ours: OurServer, echo: Upstream
) -> None:
    proxy = await vanishing(ours, echo)
    with await client_of(proxy) as client:
        for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 2)):
            client.handle.setsockopt(socket.IPPROTO_TCP, option, value)
        client.handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await asyncio.sleep(1.5)
        await client.round_trip()
        await proxy.suspend()
        with pytest.raises(TimeoutError):
            await client.until_end()


async def test_an_outage_can_make_connections_vanish_and_answers_after_it(ours: OurServer, echo: Upstream) -> None:
    proxy = await ProxyUnderTest.create(ours.http, echo.address, compute={"wake_latency_s": 9})
    with await client_of(proxy) as client:
        body = {"for_s": 1.0, "on_suspend": "vanish", "while_waking": "hold"}
        assert (await ours.http.post("/coldstart/proxies/db/outage", json=body)).status_code == 200
        began_s = time.monotonic()
        await client.send(b"ping")
        assert await client.ended() == "rst"
        assert 1.0 < time.monotonic() - began_s < 3.0


async def test_a_lost_share_that_vanishes_is_never_answered_though_the_database_is_awake(
    ours: OurServer, echo: Upstream
) -> None:
    proxy = await ProxyUnderTest.create(ours.http, echo.address, compute={"wake_latency_s": 0.1})
    clients = [await client_of(proxy) for _ in range(2)]
    answer = await ours.http.post("/coldstart/proxies/db/lose", json={"share": 0.5, "how": "vanish"})
    assert answer.json()["compute"]["state"] == "active"
    with clients[0] as sound, clients[1] as lost:
        await lost.send(b"ping")
        await proxy.suspend()
        assert await sound.ended() == "fin"
        await wake(proxy)
        assert await lost.is_silent_for(2.0)
        assert lost.in_the_kernel(UNACKNOWLEDGED) == 1


async def test_a_reaper_that_forgets_in_silence_acknowledges_nothing(ours: OurServer, echo: Upstream) -> None:
    way = {"reaper": to_json(IdleReaper(0.5, silently=True))}
    proxy = await ProxyUnderTest.create(ours.http, echo.address, way=way, compute={"wake_latency_s": 0.1})
    with await client_of(proxy) as busy, await client_of(proxy) as idle:
        for _ in range(8):
            await busy.round_trip()
            await asyncio.sleep(0.1)
        await idle.send(b"ping")
        assert (await idle.sent_again_s(2))[0] == pytest.approx(0.2, abs=LATE_S)
        assert idle.in_the_kernel(UNACKNOWLEDGED) == 1
        # The suspend is no news to it: the way is dead, not the machine.
        await proxy.suspend()
        assert await idle.is_silent_for(QUIET_S)


async def test_a_client_that_left_a_vanished_connection_is_freed_at_the_wake(ours: OurServer, echo: Upstream) -> None:
    proxy = await vanishing(ours, echo)
    async with ours.events() as events:
        client = await client_of(proxy)
        await proxy.suspend()
        await events.next("suspended")
        client.close()
        with await proxy.connect():
            woken = await events.next("woken")
            # Its kernel sends the FIN again.
            closed = await events.next("closed")
        assert closed["connection"] == 1
        assert closed["bytes"] == {"upstream": 4, "downstream": 4}
        assert closed["at_s"] > woken["at_s"]
    received = [line for line in (await ours.http.get("/metrics")).text.splitlines() if "received_bytes_total{" in line]
    assert {line.rpartition(" ")[2] for line in received} == {"4.0"}


async def test_a_client_that_left_a_vanished_connection_is_freed_with_its_proxy(
    ours: OurServer, echo: Upstream
) -> None:
    proxy = await vanishing(ours, echo)
    async with ours.events() as events:
        client = await client_of(proxy)
        await proxy.suspend()
        client.close()
        await ours.http.delete("/proxies/db")
        assert (await events.next("closed"))["bytes"] == {"upstream": 4, "downstream": 4}


async def test_many_vanished_connections_leave_no_descriptor_behind(ours: OurServer, echo: Upstream) -> None:
    proxy = await vanishing(ours, echo)
    before = descriptors(ours)
    clients = [await Client.to(proxy.port) for _ in range(20)]
    for client in clients:
        await client.round_trip()
    await proxy.suspend()
    for client in clients[:10]:
        client.close()
    await wake(proxy)
    await ours.http.delete("/proxies/db")
    for client in clients[10:]:
        client.close()
    async with asyncio.timeout(PATIENCE_S):
        # The listening port is gone too.
        while descriptors(ours) > before:
            await asyncio.sleep(0.01)


def descriptors(ours: OurServer) -> int:
    """How many the server has open."""
    return len(list(Path(f"/proc/{ours.child.pid}/fd").iterdir()))


def test_this_machine_can_do_it() -> None:
    assert can_silence()


def test_where_a_machine_can_not_do_it_the_word_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute_settings, "can_silence", lambda: False)
    with pytest.raises(UserError, match="connections can only vanish on Linux") as refused:
        ComputeSettings.from_json({"on_suspend": "vanish"})
    assert "vanish" not in str(refused.value.allowed)


def test_it_needs_no_capability() -> None:
    program = """
import ctypes
from harness.proxy.silence import can_silence
header = (ctypes.c_uint32 * 2)(0x20080522, 0)
assert ctypes.CDLL(None, use_errno=True).capset(header, (ctypes.c_uint32 * 6)()) == 0
assert can_silence()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE_S)


async def test_it_is_the_same_over_ipv6(ours: OurServer, echo: Upstream) -> None:
    body = {"name": "six", "listen": "[::1]:0", "upstream": echo.address, "compute": {"on_suspend": "vanish"}}
    made = await ours.http.post("/coldstart/proxies", json=body)
    handle = socket.create_connection(("::1", int(made.json()["listen"].rpartition(":")[2])), PATIENCE_S)
    with Client(handle) as client:
        await client.round_trip()
        await ours.http.post("/coldstart/proxies/six/suspend")
        await client.send(b"ping")
        assert await client.is_silent_for(QUIET_S)
        assert client.in_the_kernel(UNACKNOWLEDGED) == 1
        with Client(socket.create_connection(handle.getpeername()[:2], PATIENCE_S)) as another:
            await another.round_trip()
        assert await client.ended() == "rst"
