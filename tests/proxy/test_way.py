"""Outages, lost connections, connects that cost and a reaper of idle ones, in front of an upstream that echoes."""

import asyncio
import time
from typing import Any

import pytest

from harness.converter import to_json
from harness.model.distribution import Constant
from harness.model.server import ConnectCost, IdleReaper
from tests.proxy.wire import OurServer, Peer, ProxyUnderTest, Upstream

pytestmark = pytest.mark.anyio
QUIET_S = 0.3
STARTUP = b"\0\0\0\x09\0\x03\0\0\0"


async def test_an_outage_ends_what_is_open_and_is_over_by_itself(ours: OurServer, echo: Upstream) -> None:
    proxy = await ProxyUnderTest.create(ours.http, echo.address, compute={"wake_latency_s": 9})
    with await proxy.connect() as client:
        await client.round_trip()
        body = {"for_s": 0.6, "on_suspend": "close", "while_waking": "hold"}
        assert (await ours.http.post("/coldstart/proxies/db/outage", json=body)).json()["compute"]["state"] == "waking"
        assert await client.ended() == "fin"
    began_s = time.monotonic()
    with await proxy.connect() as client:
        await client.round_trip()
        assert 0.3 < time.monotonic() - began_s < 3.0
    assert await proxy.state() == "active"


async def test_a_restart_refuses_until_it_is_over(ours: OurServer, echo: Upstream) -> None:
    proxy = await ProxyUnderTest.create(ours.http, echo.address, compute={"wake_latency_s": 9})
    await ours.http.post("/coldstart/proxies/db/outage", json={"for_s": 0.6})
    with pytest.raises(ConnectionError):
        await (await proxy.connect()).round_trip()
    while await proxy.state() != "active":
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.05)
    with await proxy.connect() as client:
        await client.round_trip()


@pytest.mark.parametrize("second", ["refuse", "drop", "hold", "error"])
@pytest.mark.parametrize("first", ["refuse", "drop", "hold", "error"])
async def test_an_outage_in_the_middle_of_another_meets_clients_in_its_own_way(
    ours: OurServer, echo: Upstream, first: str, second: str
) -> None:
    proxy = await ProxyUnderTest.create(ours.http, echo.address, compute={"wake_latency_s": 9})
    for while_waking in (first, first, second, second):
        body = {"for_s": 1.5, "while_waking": while_waking}
        answer = await ours.http.post("/coldstart/proxies/db/outage", json=body)
        assert (answer.status_code, answer.json()["compute"]["state"]) == (200, "waking")
    assert await met(proxy) == second
    while await proxy.state() != "active":
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.05)
    with await proxy.connect() as client:
        await client.round_trip()
    assert ours.child.log.read_text() == ""


async def met(proxy: ProxyUnderTest) -> str:
    """What a new client meets at this moment, in the words of `while_waking`."""
    try:
        client = await Peer.to(proxy.port, patience_s=QUIET_S)
    except TimeoutError:
        return "drop"
    except ConnectionRefusedError:
        return "refuse"
    with client:
        await client.send(STARTUP)
        return "hold" if await client.is_silent_for(QUIET_S) else "error"


async def test_a_share_of_the_open_connections_dies_and_the_others_go_on(ours: OurServer, echo: Upstream) -> None:
    proxy = await ProxyUnderTest.create(ours.http, echo.address, compute={"wake_latency_s": 9})
    clients = [await proxy.connect() for _ in range(4)]
    for client in clients:
        await client.round_trip()
    answer = await ours.http.post("/coldstart/proxies/db/lose", json={"share": 0.5, "how": "freeze"})
    assert answer.json()["compute"]["state"] == "active"
    for number, client in enumerate(clients):
        if number % 2:
            await client.send(b"ping")
            assert await client.is_silent_for(QUIET_S)
        else:
            await client.round_trip()
        client.close()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("outage", {"for_s": -1}),
        ("outage", {}),
        ("outage", {"for_s": 1, "on_suspend": "explode"}),
        ("lose", {"share": 0}),
        ("lose", {"share": 1.5}),
        ("lose", {"share": 0.5, "how": "keep"}),
        ("lose", {"share": 0.5, "how": []}),
        ("outage", {"for_s": 1, "on_suspend": []}),
        ("lose", {"share": "all"}),
    ],
)
async def test_what_can_not_be_is_refused_and_without_a_compute_there_is_nothing_to_do(
    ours: OurServer, path: str, body: dict[str, Any]
) -> None:
    await ProxyUnderTest.create(ours.http, "127.0.0.1:1", compute={"wake_latency_s": 9})
    assert (await ours.http.post(f"/coldstart/proxies/db/{path}", json=body)).status_code == 400
    await ProxyUnderTest.create(ours.http, "127.0.0.1:1", name="bare")
    assert (await ours.http.post(f"/coldstart/proxies/bare/{path}", json=body)).status_code == 409


async def test_connects_cost_and_wait_for_their_turn(ours: OurServer, echo: Upstream) -> None:
    way = {"connect_cost": to_json(ConnectCost(Constant(0.2), at_a_time=1)), "reaper": None, "seed": 1}
    proxy = await ProxyUnderTest.create(ours.http, echo.address, way=way)
    began_s = time.monotonic()
    clients = await asyncio.gather(*(proxy.connect() for _ in range(3)))
    took_s = []
    for client in clients:
        await client.round_trip()
        took_s.append(time.monotonic() - began_s)
        client.close()
    assert took_s[0] >= 0.2
    assert took_s[2] >= 0.6


@pytest.mark.parametrize("silently", [False, True])
async def test_an_idle_connection_is_forgotten_and_one_in_use_is_not(
    ours: OurServer, echo: Upstream, silently: bool
) -> None:
    way = {"reaper": to_json(IdleReaper(0.5, silently=silently))}
    proxy = await ProxyUnderTest.create(ours.http, echo.address, way=way)
    with await proxy.connect() as busy, await proxy.connect() as idle:
        await idle.round_trip()
        for _ in range(8):
            await busy.round_trip()
            await asyncio.sleep(0.1)
        await busy.round_trip()
        await idle.send(b"ping")
        if silently:
            assert await idle.is_silent_for(QUIET_S)
        else:
            assert await idle.ended() == "rst"


@pytest.mark.parametrize("way", [7, {"reaper": {"after_s": 0, "silently": False}}, {"connect_cost": {}}])
async def test_a_proxy_with_a_wrong_way_is_not_made_at_all(ours: OurServer, way: object) -> None:
    body = {"name": "db", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1", "way": way}
    assert (await ours.http.post("/coldstart/proxies", json=body)).status_code == 400
    assert (await ours.http.get("/proxies")).json() == {}
