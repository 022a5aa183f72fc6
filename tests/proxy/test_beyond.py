"""Where the real server hangs or loses, ours does not; and what it can do beyond."""

import asyncio
import hashlib
import random
import struct
import sys
import time
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness.processes.messages import ProxyReported
from harness.processes.proxy_messages import ConnectionAccepted
from tests.proxy.wire import OurServer, Peer, ProxyUnderTest, Upstream

pytestmark = pytest.mark.anyio

LARGE = random.Random(7).randbytes(6 * 2**20)
FOR_EVER_MS = 600_000
QUIET_S = 0.25
AT_ONCE_S = 2.0


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def large_answers(peer: Peer) -> None:
    """For every byte asked, the large result."""
    while await peer.receive(1):
        await peer.send(LARGE)


async def test_a_downstream_hold_of_large_results_ends_with_every_byte_and_a_responsive_api(ours: OurServer) -> None:
    async with Upstream.running(large_answers) as upstream:
        proxy = await ProxyUnderTest.create(ours.http, upstream.address)
        clients = [await proxy.connect() for _ in range(4)]
        for _ in range(3):
            await proxy.add("latency", latency=FOR_EVER_MS)
            for client in clients:
                await client.send(b"?")
            assert await clients[0].is_silent_for(QUIET_S)
            began_at_s = time.monotonic()
            # Nobody reads yet: the removal must not wait for the clients.
            await proxy.remove("latency")
            assert (await ours.http.get("/proxies/db")).json()["toxics"] == []
            assert time.monotonic() - began_at_s < AT_ONCE_S
            results = await asyncio.gather(*(client.receive(len(LARGE)) for client in clients))
            assert {digest(result) for result in results} == {digest(LARGE)}
        for client in clients:
            client.close()


async def test_a_source_is_read_no_further_while_its_data_is_held(ours: OurServer, upstream: Upstream) -> None:
    proxy = await ProxyUnderTest.create(ours.http, upstream.address)
    await proxy.add("latency", latency=FOR_EVER_MS)
    with await proxy.connect() as client:
        server = await upstream.accepted()
        sending = asyncio.create_task(server.send(LARGE * 6))
        _, pending = await asyncio.wait({sending}, timeout=1.0)
        assert pending, "36 MB went into a hold"
        await proxy.remove("latency")
        assert digest(await client.receive(6 * len(LARGE))) == digest(LARGE * 6)
        await sending


async def test_a_client_that_does_not_read_holds_nobody_else_up(ours: OurServer) -> None:
    async with Upstream.running(large_answers) as upstream:
        proxy = await ProxyUnderTest.create(ours.http, upstream.address)
        with await proxy.connect() as deaf, await proxy.connect() as other:
            await deaf.send(b"????")
            await other.send(b"?")
            assert digest(await other.receive(len(LARGE))) == digest(LARGE)
            await proxy.add("latency", latency=1)
            await proxy.remove("latency")
            assert digest(await deaf.receive(4 * len(LARGE))) == digest(LARGE * 4)


async def answer_after_the_end(peer: Peer) -> None:
    question = await peer.until_end()
    await peer.send(b"answer to " + question)


@pytest.mark.parametrize("held_by", [None, "upstream", "downstream"])
async def test_the_answer_after_a_half_close_arrives(ours: OurServer, held_by: str | None) -> None:
    async with Upstream.running(answer_after_the_end) as upstream:
        proxy = await ProxyUnderTest.create(ours.http, upstream.address)
        if held_by is not None:
            await proxy.add("latency", stream=held_by, latency=100)
        with await proxy.connect() as client:
            await client.send(b"question")
            await upstream.met(1)
            client.half_close()
            assert await client.until_end() == b"answer to question"


async def test_a_half_close_right_after_connecting_is_carried_through(ours: OurServer) -> None:
    async with Upstream.running(answer_after_the_end) as upstream:
        proxy = await ProxyUnderTest.create(ours.http, upstream.address)
        for _ in range(30):
            with await proxy.connect() as client:
                await client.send(b"question")
                client.half_close()
                assert await client.until_end() == b"answer to question"


async def test_an_upstream_that_half_closes_still_hears_the_client(ours: OurServer, upstream: Upstream) -> None:
    proxy = await ProxyUnderTest.create(ours.http, upstream.address)
    with await proxy.connect() as client:
        server = await upstream.accepted()
        await server.send(b"all")
        server.half_close()
        assert await client.until_end() == b"all"
        await client.send(b"more")
        client.half_close()
        assert await server.until_end() == b"more"


async def test_a_reset_by_the_upstream_arrives_as_a_reset(ours: OurServer, upstream: Upstream) -> None:
    proxy = await ProxyUnderTest.create(ours.http, upstream.address)
    with await proxy.connect() as client:
        server = await upstream.accepted()
        await client.send(b"x")
        assert await server.receive(1) == b"x"
        server.reset()
        assert await client.ended() == "rst"


async def test_a_reset_by_the_client_arrives_as_a_reset(ours: OurServer, upstream: Upstream) -> None:
    proxy = await ProxyUnderTest.create(ours.http, upstream.address)
    client = await proxy.connect()
    server = await upstream.accepted()
    await client.send(b"x")
    assert await server.receive(1) == b"x"
    client.reset()
    assert await server.ended() == "rst"


async def ending(proxy: ProxyUnderTest) -> str:
    """How a client of this proxy ends: `fin` or `rst` after it was accepted, else `not accepted`."""
    try:
        with await proxy.connect() as client:
            return await client.ended()
    except (ConnectionRefusedError, ConnectionResetError):
        return "not accepted"


async def test_clients_that_connect_while_a_proxy_is_disabled_see_an_end(ours: OurServer, echo: Upstream) -> None:
    proxy = await ProxyUnderTest.create(ours.http, echo.address)
    for _ in range(60):
        clients = [asyncio.create_task(ending(proxy)) for _ in range(20)]
        await proxy.set_enabled(False)
        _, stuck = await asyncio.wait(clients, timeout=AT_ONCE_S)
        for client in stuck:
            client.cancel()
        assert not stuck, f"{len(stuck)} clients of a disabled proxy hang"
        await proxy.set_enabled(True)


async def test_toxics_are_in_place_before_the_first_connection(ours: OurServer, echo: Upstream) -> None:
    toxics = [
        {"name": "hold", "type": "latency", "stream": "upstream", "attributes": {"latency": FOR_EVER_MS}},
        {"type": "limit_data", "attributes": {"bytes": 2}},
    ]
    proxy = await ProxyUnderTest.create(ours.http, echo.address, toxics=toxics)
    assert [toxic["name"] for toxic in (await ours.http.get("/proxies/db/toxics")).json()] == [
        "hold", "limit_data_downstream",
    ]  # fmt: skip
    with await proxy.connect() as client:
        await client.send(b"1234")
        assert await client.is_silent_for(QUIET_S)
        await proxy.remove("hold")
        assert await client.until_end() == b"12"


async def test_a_proxy_with_a_wrong_toxic_or_compute_is_not_made_at_all(ours: OurServer) -> None:
    wrong: dict[str, Any]
    for wrong in (
        {"toxics": [{"type": "slicer"}, {"type": "gremlin"}]},
        {"toxics": [{"type": "slicer"}, {"type": "slicer"}]},
        {"compute": {"while_waking": "sing"}},
        {"compute": {"wake_latency_s": -1}},
        {"compute": {"wake_latency_s": []}},
        {"compute": {"suspend_after_s": 0}},
        {"compute": {"error": {"severity": "FATAL", "sqlstate": "57P03", "message": 7}}},
        {"compute": 7},
    ):
        body = {"name": "db", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1", **wrong}
        answer = await ours.http.post("/coldstart/proxies", json=body)
        assert 400 <= answer.status_code < 500, wrong
        assert answer.json()["status"] == answer.status_code
    assert (await ours.http.get("/proxies")).json() == {}


async def test_toxics_that_are_no_objects_are_a_bad_body(ours: OurServer) -> None:
    body = {"name": "db", "upstream": "127.0.0.1:1", "toxics": [7]}
    answer = await ours.http.post("/coldstart/proxies", json=body)
    assert answer.status_code == 400
    assert (await ours.http.get("/proxies")).json() == {}


async def test_a_suspend_without_a_compute_is_409(ours: OurServer) -> None:
    await ProxyUnderTest.create(ours.http, "127.0.0.1:1")
    answer = await ours.http.post("/coldstart/proxies/db/suspend")
    assert answer.status_code == 409
    assert (await ours.http.post("/coldstart/proxies/other/suspend")).status_code == 404


async def test_a_command_wakes_it_as_a_first_client_would_and_its_state_counts(ours: OurServer, echo: Upstream) -> None:
    proxy = await ProxyUnderTest.create(ours.http, echo.address, compute={"wake_latency_s": 0.3, "suspend_after_s": 60})
    path = "/coldstart/proxies/db"
    state = (await ours.http.get(f"{path}/state")).json()
    assert 59 < state.pop("changes_in_s") <= 60
    assert state == {"state": "active", "suspends": 0, "wakes": 0, "connections": 0, "lent": False}
    async with ours.events() as events:
        assert (await ours.http.post(f"{path}/wake")).json()["compute"]["state"] == "active"
        await proxy.suspend()
        woken = (await ours.http.post(f"{path}/wake")).json()["compute"]
        assert (woken["state"], woken["suspends"], woken["wakes"]) == ("waking", 1, 1)
        assert 0 <= woken["changes_in_s"] <= 0.3
        first = await events.next("first_attempt")
        assert (first["connection"], first["commanded"]) == (None, True)
        with await proxy.connect() as client:
            await client.round_trip()
            assert (await ours.http.get(f"{path}/state")).json()["connections"] == 1
        assert await proxy.state() == "active"


async def test_a_wake_without_a_compute_is_409(ours: OurServer) -> None:
    await ProxyUnderTest.create(ours.http, "127.0.0.1:1")
    assert (await ours.http.post("/coldstart/proxies/db/wake")).status_code == 409
    assert (await ours.http.get("/coldstart/proxies/db/state")).status_code == 409


async def test_events_tell_who_the_client_is_that_woke_it(ours: OurServer, echo: Upstream) -> None:
    compute = {"wake_latency_s": 0.1, "names_clients": True}
    proxy = await ProxyUnderTest.create(ours.http, echo.address, compute=compute)
    body = b"user\0me\0application_name\0shop\0\0"
    async with ours.events() as events:
        await proxy.suspend()
        with await proxy.connect() as client:
            await client.send(struct.pack("!ii", len(body) + 8, 196_608) + body)
            accepted, first = await events.next("accepted"), await events.next("first_attempt")
            named = await events.next("named")
    assert accepted["client"].startswith("127.0.0.1:")
    assert accepted["connection"] == first["connection"] == named["connection"]
    assert (named["user"], named["database"], named["application_name"]) == ("me", "me", "shop")


async def test_an_encrypted_connection_is_quiet_when_nothing_passes_and_ends_without_a_message(
    ours: OurServer, upstream: Upstream
) -> None:
    compute = {"on_suspend": "terminate", "suspend_after_s": 0.3}
    proxy = await ProxyUnderTest.create(ours.http, upstream.address, compute=compute)
    with await proxy.connect() as client:
        server = await upstream.accepted()
        await client.send(struct.pack("!ii", 8, 80_877_103))
        assert len(await server.receive(8)) == 8
        await server.send(b"S")
        assert await client.receive(1) == b"S"
        await client.send(b"encrypted")
        assert await server.receive(9) == b"encrypted"
        await server.send(b"answer")
        assert await client.receive(6) == b"answer"
        # Of a message that is not encrypted the client's TLS would only say that its record is broken.
        assert await client.until_end() == b""
        server.close()
    assert await proxy.state() == "suspended"


async def test_a_compute_can_be_put_read_and_taken_away(ours: OurServer) -> None:
    await ProxyUnderTest.create(ours.http, "127.0.0.1:1")
    path = "/coldstart/proxies/db/compute"
    assert (await ours.http.get(path)).json()["compute"] is None
    put = await ours.http.put(path, json={"on_suspend": "close", "wake_latency_s": [1, 0.5]})
    assert put.status_code == 200
    compute = put.json()["compute"]
    assert compute["state"] == "active"
    assert compute["on_suspend"] == "close"
    assert compute["while_waking"] == "hold"
    assert compute["wake_latency_s"] == [1, 0.5]
    assert {**(await ours.http.get(path)).json()["compute"], "changes_in_s": None} == compute
    assert (await ours.http.delete(path)).status_code == 204
    assert (await ours.http.get(path)).json()["compute"] is None


async def test_events_tell_of_accepted_and_closed_connections_with_their_bytes(
    ours: OurServer, upstream: Upstream
) -> None:
    proxy = await ProxyUnderTest.create(ours.http, upstream.address)
    async with ours.events() as events:
        began_at_s = time.monotonic()
        with await proxy.connect() as client:
            accepted = await events.next("accepted")
            assert accepted["proxy"] == "db"
            assert began_at_s <= accepted["at_s"] <= time.monotonic()
            server = await upstream.accepted()
            await client.send(bytes(7))
            assert len(await server.receive(7)) == 7
            await server.send(bytes(11))
            assert len(await client.receive(11)) == 11
        server.close()
        closed = await events.next("closed")
    assert closed["connection"] == accepted["connection"]
    assert closed["bytes"] == {"upstream": 7, "downstream": 11}
    assert accepted["at_s"] <= closed["at_s"]


async def test_events_tell_of_the_sleep_and_the_wake(ours: OurServer, echo: Upstream) -> None:
    proxy = await ProxyUnderTest.create(ours.http, echo.address, compute={"wake_latency_s": 0.3})
    async with ours.events() as events:
        await proxy.suspend()
        suspended = await events.next("suspended")
        assert await proxy.state() == "suspended"
        with await proxy.connect() as client:
            first = await events.next("first_attempt")
            assert await proxy.state() == "waking"
            assert first["ready_at_s"] == pytest.approx(first["at_s"] + 0.3)
            await client.round_trip()
            woken = await events.next("woken")
            assert await proxy.state() == "active"
    assert suspended["at_s"] <= first["at_s"] < woken["at_s"]
    assert woken["planned_at_s"] == first["ready_at_s"] <= woken["at_s"]
    assert {event.get("proxy", "db") for event in events.seen} == {"db"}


async def test_the_same_events_are_records_on_stdout(ours: OurServer, echo: Upstream) -> None:
    proxy = await ProxyUnderTest.create(ours.http, echo.address)
    with await proxy.connect() as client:
        await client.round_trip()
        event = (await ours.child.next_record(ProxyReported)).event
    assert isinstance(event, ConnectionAccepted)
    assert event.proxy == "db"


async def test_a_listener_that_does_not_read_holds_nobody_up(ours: OurServer, echo: Upstream) -> None:
    proxy = await ProxyUnderTest.create(ours.http, echo.address)
    async with ours.http.stream("GET", "/coldstart/events"):
        for _ in range(300):
            with await proxy.connect() as client:
                await client.round_trip()
        assert (await ours.http.get("/version")).status_code == 200


async def test_the_counters_of_metrics_move_when_a_connection_ends(ours: OurServer, echo: Upstream) -> None:
    proxy = await ProxyUnderTest.create(ours.http, echo.address)
    async with ours.events() as events:
        with await proxy.connect() as client:
            await client.round_trip(bytes(5))
        await events.next("closed")
    text = (await ours.http.get("/metrics")).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    received = families["toxiproxy_proxy_received_bytes"].samples
    assert [(sample.labels["direction"], sample.value) for sample in received] == [("upstream", 5), ("downstream", 5)]
    assert {sample.labels["proxy"] for sample in received} == {"db"}
    assert families["toxiproxy_proxy_sent_bytes"].samples[0].value == 5


async def test_metrics_say_which_program_answers_under_the_name_that_go_programs_use(ours: OurServer) -> None:
    text = (await ours.http.get("/metrics")).text
    build = next(family for family in text_string_to_metric_families(text) if family.name == "go_build_info")
    assert [(sample.labels["path"], sample.value) for sample in build.samples] == [("pg-coldstart", 1)]


async def test_the_end_of_stdin_stops_the_server_and_closes_its_connections(ours: OurServer, echo: Upstream) -> None:
    proxy = await ProxyUnderTest.create(ours.http, echo.address)
    with await proxy.connect() as client:
        await client.round_trip()
        assert await ours.child.stop() == 0
        assert await client.ended() == "fin"


async def test_metrics_count_open_connections_and_what_they_cost_the_process(ours: OurServer, echo: Upstream) -> None:
    proxy = await ProxyUnderTest.create(ours.http, echo.address)
    await proxy.add("latency", latency=1)
    before = await metrics(ours)
    with await proxy.connect() as client:
        await client.round_trip()
        during = await metrics(ours)
    assert before['coldstart_connections{proxy="db"}'] == 0
    assert during['coldstart_connections{proxy="db"}'] == 1
    # The toxic has a task on the connection, and the connection has two sockets.
    assert during["coldstart_tasks"] == before["coldstart_tasks"] + 1 > 1
    if sys.platform == "linux":
        assert during["process_open_fds"] == before["process_open_fds"] + 2
        assert during["process_resident_memory_bytes"] > 2**20


async def metrics(server: OurServer) -> dict[str, float]:
    lines = (await server.http.get("/metrics")).text.splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}
