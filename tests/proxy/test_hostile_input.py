"""What nobody should send to the API: answered with one line of JSON, and nothing else changes."""

import asyncio
import contextlib
import json
import time
from typing import Any

import httpx
import pytest

from tests.proxy.wire import OurServer, Peer, ProxyUnderTest, Upstream

pytestmark = pytest.mark.anyio

NOWHERE = "127.0.0.1:1"
HUGE = "1" + "0" * 400
UNRESOLVABLE = "no-such-host.invalid:3310"
DEEP = "[" * 100_000
CUT_OFF_S = 15.0


def error_response(**wrong: object) -> str:
    """A compute whose error at the startup has something wrong with it."""
    return json.dumps({"error": {"severity": "FATAL", "sqlstate": "57P03", "message": "asleep", **wrong}})


@pytest.fixture
async def db(ours: OurServer) -> OurServer:
    """Our server with a proxy `db`, its toxic `slow` and its compute."""
    await ProxyUnderTest.create(
        ours.http, NOWHERE, toxics=[{"name": "slow", "type": "latency"}], compute={"wake_latency_s": 1}
    )
    return ours


async def everything(server: OurServer) -> list[Any]:
    paths = ("/proxies", "/coldstart/proxies/db/compute")
    return [(await server.http.get(path)).json() for path in paths]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/proxies/db/toxics", '{"type": "latency", "toxicity": NaN}'),
        ("POST", "/proxies/db/toxics", '{"type": "latency", "toxicity": 1e999}'),
        ("PATCH", "/proxies/db/toxics/slow", '{"toxicity": -Infinity}'),
        ("POST", "/proxies/db/toxics", f'{{"type": "latency", "attributes": {{"latency": {HUGE}}}}}'),
        ("PATCH", "/proxies/db/toxics/slow", f'{{"attributes": {{"latency": {2**63}}}}}'),
        ("PUT", "/coldstart/proxies/db/compute", f'{{"wake_latency_s": {HUGE}}}'),
        ("PUT", "/coldstart/proxies/db/compute", f'{{"wake_latency_s": [1, {HUGE}]}}'),
        ("PUT", "/coldstart/proxies/db/compute", '{"wake_latency_s": 1e999}'),
        ("PUT", "/coldstart/proxies/db/compute", f'{{"suspend_after_s": {HUGE}}}'),
        ("PUT", "/coldstart/proxies/db/compute", '{"suspend_after_s": true}'),
        ("POST", "/proxies", DEEP),
        ("POST", "/proxies", '{"name": ' * 100_000),
        ("POST", "/populate", DEEP),
        ("PATCH", "/proxies/db", DEEP),
        ("PATCH", "/proxies/db/toxics/slow", DEEP),
        ("PUT", "/coldstart/proxies/db/compute", DEEP),
        ("PUT", "/coldstart/proxies/db/compute", error_response(message="a\0b")),
        ("PUT", "/coldstart/proxies/db/compute", error_response(sqlstate="57P0\0")),
        ("PUT", "/coldstart/proxies/db/compute", error_response(severity=5)),
        ("POST", "/proxies", r'{"name": "new", "upstream": "127.0.0.1:1", "listen": "127.0.0.1\u0000:0"}'),
        ("POST", "/proxies", r'{"name": "new", "upstream": "127.0.0.1\u0000:1"}'),
        ("POST", "/proxies", r'{"name": "new", "upstream": "127.0.0.1:1", "listen": "\ud800:0"}'),
        ("POST", "/proxies", r'{"name": "\udfff", "upstream": "127.0.0.1:1"}'),
        ("PATCH", "/proxies/db", r'{"listen": "\u0000"}'),
        ("PATCH", "/proxies/db", r'{"listen": "\ud800"}'),
        ("POST", "/populate", r'[{"name": "new", "upstream": "127.0.0.1:1", "listen": "\u0000:0"}]'),
    ],
    ids=lambda value: value[:60],
)
async def test_what_is_no_finite_number_or_no_text_is_400_and_changes_nothing(
    db: OurServer, method: str, path: str, body: str
) -> None:
    before = await everything(db)
    answer = await db.http.request(method, path, content=body)
    assert answer.status_code == 400
    assert answer.json()["status"] == 400
    assert len(answer.content) < 500
    assert await everything(db) == before
    assert db.child.log.read_text() == ""


@pytest.mark.parametrize("largest", [2**63 - 1, -(2**63)])
async def test_the_largest_whole_numbers_are_taken_as_they_are(ours: OurServer, echo: Upstream, largest: int) -> None:
    toxics = {
        "latency": {"latency": largest, "jitter": largest}, "bandwidth": {"rate": largest},
        "slow_close": {"delay": largest}, "timeout": {"timeout": largest}, "reset_peer": {"timeout": largest},
        "slicer": {"average_size": largest, "size_variation": largest, "delay": largest},
        "limit_data": {"bytes": largest},
    }  # fmt: skip
    for type_, attributes in toxics.items():
        proxy = await ProxyUnderTest.create(ours.http, echo.address, name=type_)
        await proxy.add(type_, **attributes)
        with await proxy.connect() as client:
            await client.send(b"x")
            assert (await ours.http.get(f"/proxies/{type_}")).json()["toxics"][0]["attributes"] == attributes
        assert (await ours.http.delete(f"/proxies/{type_}")).status_code == 204
    assert ours.child.log.read_text() == ""


@pytest.mark.parametrize(
    "listen",
    [
        UNRESOLVABLE, "nonsense", "127.0.0.1", "127.0.0.1:99999", "db..example.com:0", f"{'a' * 64}.example:0",
        f"127.0.0.1:{'9' * 5000}", "127.0.0.1:٣٣٠٦",
    ],
    ids=lambda listen: listen[:30],
)  # fmt: skip
async def test_a_patch_with_a_listen_that_cannot_be_resolved_changes_nothing_however_often_it_is_sent(
    ours: OurServer, echo: Upstream, listen: str
) -> None:
    proxy = await ProxyUnderTest.create(ours.http, echo.address)
    before = (await ours.http.get("/proxies/db")).json()
    with await proxy.connect() as client:
        await client.round_trip()
        for _ in range(2):
            answer = await ours.http.patch("/proxies/db", json={"listen": listen, "upstream": NOWHERE})
            assert answer.status_code == 500
            assert answer.json()["status"] == 500
        assert (await ours.http.get("/proxies/db")).json() == before
        await client.round_trip()
    populated = await ours.http.post("/populate", json=[{"name": "db", "upstream": NOWHERE, "listen": listen}])
    assert populated.status_code == 500
    assert (await ours.http.get("/proxies/db")).json() == before
    assert ours.child.log.read_text() == ""


@pytest.mark.parametrize(
    "upstream",
    [
        "db..example.com:5432", f"{'a' * 64}:5432", f"{'b' * 70}.example:5432", "no-such-host.invalid:5432",
        "no-port", "127.0.0.1:0", "[:1", f"127.0.0.1:{'9' * 5000}",
    ],
    ids=lambda upstream: upstream[:30],
)  # fmt: skip
async def test_an_upstream_that_cannot_be_dialled_ends_its_clients_and_is_an_event(
    ours: OurServer, upstream: str
) -> None:
    async with ours.events() as events:
        proxy = await ProxyUnderTest.create(ours.http, upstream)
        with await proxy.connect() as client:
            await events.next("dial_failed")
            assert await client.ended() == "fin"
    assert ours.child.log.read_text() == ""


async def test_a_body_that_is_too_long_is_413_before_it_is_whole(ours: OurServer) -> None:
    with await Peer.to(int(ours.http.base_url.port or 0)) as client:
        await client.send(b"POST /populate HTTP/1.1\r\nhost: x\r\ncontent-length: 500000000\r\n\r\n")
        sent = asyncio.create_task(send_until_refused(client, b"[" * 2**20, times=500))
        assert (await client.receive(12)).startswith(b"HTTP/1.1 413")
        sent.cancel()
    assert (await ours.http.get("/proxies")).status_code == 200


async def send_until_refused(client: Peer, data: bytes, *, times: int) -> None:
    for _ in range(times):
        await client.send(data)


async def test_a_body_that_its_client_cuts_short_ends_the_connection_without_a_trace(ours: OurServer) -> None:
    with await Peer.to(int(ours.http.base_url.port or 0)) as client:
        await client.send(b'POST /proxies HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"name":')
        client.half_close()
        await client.ended()
    assert (await ours.http.get("/proxies")).json() == {}
    assert ours.child.log.read_text() == ""


@pytest.mark.timeout(60)
async def test_a_request_that_does_not_arrive_is_cut_off_after_15_seconds(ours: OurServer) -> None:
    begun = ["", "GET /proxies HT", "POST /proxies HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"]

    async def cut_off_after_s(text: str, *, goes_on: bool) -> float:
        with await Peer.to(int(ours.http.base_url.port or 0)) as client:
            began_at_s = time.monotonic()
            if text:
                await client.send(text.encode())
            slowly = asyncio.create_task(one_byte_at_a_time(client)) if goes_on else None
            async with asyncio.timeout(2 * CUT_OFF_S):
                try:
                    while await client._read(2**16):
                        pass
                except ConnectionResetError:
                    pass
            if slowly is not None:
                slowly.cancel()
            return time.monotonic() - began_at_s

    # Whether nothing more comes, or another byte now and then.
    every = [
        cut_off_after_s(text, goes_on=goes_on) for text in begun for goes_on in (False, True) if text or not goes_on
    ]
    for took_s in await asyncio.gather(*every):
        assert took_s == pytest.approx(CUT_OFF_S, abs=3.0)
    assert (await ours.http.get("/proxies")).status_code == 200
    assert ours.child.log.read_text() == ""


async def one_byte_at_a_time(client: Peer) -> None:
    while True:
        await asyncio.sleep(0.5)
        with contextlib.suppress(OSError):
            await client.send(b"x")


async def test_a_hostname_in_listen_is_resolved_as_soon_as_it_is_bound(api: httpx.AsyncClient) -> None:
    made = await api.post("/proxies", json={"name": "db", "listen": "localhost:0", "upstream": NOWHERE})
    assert made.json()["listen"].startswith("127.0.0.1:")
    off = {"name": "off", "listen": "localhost:3310", "upstream": NOWHERE, "enabled": False}
    assert (await api.post("/proxies", json=off)).json()["listen"] == "localhost:3310"


async def test_a_patch_or_populate_by_hostname_to_the_same_address_restarts_nothing(
    proxy: ProxyUnderTest, echo: Upstream
) -> None:
    same = {"name": "db", "listen": f"localhost:{proxy.port}", "upstream": echo.address}
    with await proxy.connect() as client:
        await client.round_trip()
        patched = await proxy.api.patch("/proxies/db", json=same)
        assert patched.json()["listen"] == f"127.0.0.1:{proxy.port}"
        await client.round_trip()
        populated = await proxy.api.post("/populate", json=[same])
        assert populated.json()["proxies"][0]["listen"] == f"127.0.0.1:{proxy.port}"
        await client.round_trip()


async def test_keys_and_streams_in_another_case_and_trailing_bytes_are_taken_as_by_go(api: httpx.AsyncClient) -> None:
    proxy = '{"NAME": "no", "Name": "db", "name": null, "UPstream": "127.0.0.1:1", "listen": "127.0.0.1:0"} and more'
    made = await api.post("/proxies", content=proxy)
    assert (made.status_code, made.json()["name"]) == (201, "db")
    toxic = '{"Type": "latency", "stream": "UpStream", "Attributes": {"LATENCY": 7}}]'
    added = await api.post("/proxies/db/toxics", content=toxic)
    assert added.status_code == 200
    assert (added.json()["name"], added.json()["attributes"]["latency"]) == ("latency_UpStream", 7)
    changed = await api.patch("/proxies/db/toxics/latency_UpStream", content='{"attributes": {"Jitter": 3}}\n{"')
    assert changed.json()["attributes"] == {"latency": 7, "jitter": 3}


async def test_a_noop_lets_everything_through(proxy: ProxyUnderTest) -> None:
    await proxy.add("noop")
    made = (await proxy.api.get("/proxies/db/toxics/noop")).json()
    assert made == {"name": "noop", "type": "noop", "stream": "downstream", "toxicity": 1, "attributes": {}}
    with await proxy.connect() as client:
        await client.round_trip(bytes(1000))


async def test_every_answer_has_a_request_id_of_its_own(proxy: ProxyUnderTest) -> None:
    browser = {"user-agent": "Mozilla/5.0"}
    answers = [
        await proxy.api.get("/version"),
        await proxy.api.get("/version"),
        await proxy.api.get("/proxies/nobody"),
        await proxy.api.get("/version", headers=browser),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 404, 403]
    assert len({answer.headers["x-toxiproxy-request-id"] for answer in answers}) == 4


async def test_a_body_in_malformed_chunks_is_answered_once_and_leaves_no_traceback(ours: OurServer) -> None:
    with await Peer.to(int(ours.http.base_url.port or 0)) as client:
        head = b"POST /reset HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        await client.send(head + b"3\r\n{}xzz0\r\n\r\n")
        answer = await client.until_end()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert (await ours.http.get("/proxies")).status_code == 200
    assert "Traceback" not in ours.child.log.read_text()
