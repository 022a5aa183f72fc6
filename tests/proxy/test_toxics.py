"""What each toxic does to a connection, on our server and on the real one."""

import asyncio
import socket
import time

import httpx
import pytest

from tests.proxy.wire import Peer, ProxyUnderTest, Upstream

pytestmark = pytest.mark.anyio

FOR_EVER_MS = 600_000
AT_ONCE_S = 2.0
"""Generous: the machine is noisy, and what is not at once would take minutes here."""
QUIET_S = 0.25
STREAMS = pytest.mark.parametrize("stream", ["upstream", "downstream"])


async def test_without_a_toxic_bytes_pass_both_ways_at_once(proxy: ProxyUnderTest) -> None:
    with await proxy.connect() as client:
        assert await client.round_trip() < AT_ONCE_S
        assert await client.round_trip(bytes(range(256)) * 4096) < AT_ONCE_S


async def test_a_refused_upstream_gives_the_client_an_end_at_once(api: httpx.AsyncClient) -> None:
    refused = await ProxyUnderTest.create(api, "127.0.0.1:1")
    with await refused.connect() as client:
        assert await client.ended() == "fin"


@STREAMS
async def test_latency_delays_every_chunk_by_its_time(proxy: ProxyUnderTest, stream: str) -> None:
    with await proxy.connect() as client:
        await client.round_trip()
        await proxy.add("latency", stream=stream, latency=200)
        for _ in range(2):
            assert 0.19 <= await client.round_trip() < 0.2 + AT_ONCE_S


async def test_latency_counts_from_when_a_chunk_was_read(played: ProxyUnderTest, upstream: Upstream) -> None:
    await played.add("latency", stream="upstream", latency=400)
    with await played.connect() as client:
        server = await upstream.accepted()
        began_at_s = time.monotonic()
        for _ in range(4):
            await client.send(b"x")
            assert await server.is_silent_for(0.05)
        assert await server.receive(4) == b"xxxx"
        # One after the other they would take 1.6 s.
        assert 0.4 <= time.monotonic() - began_at_s < 1.5


async def test_latencies_in_both_directions_add_up(proxy: ProxyUnderTest) -> None:
    with await proxy.connect() as client:
        await client.round_trip()
        for name, stream in (("up", "upstream"), ("down", "downstream")):
            body = {"name": name, "type": "latency", "stream": stream, "attributes": {"latency": 150}}
            await proxy.api.post("/proxies/db/toxics", json=body)
        assert 0.29 <= await client.round_trip() < 0.3 + AT_ONCE_S


async def test_jitter_stays_within_its_bounds(proxy: ProxyUnderTest) -> None:
    await proxy.add("latency", latency=60, jitter=40)
    with await proxy.connect() as client:
        took_s = [await client.round_trip() for _ in range(12)]
    assert min(took_s) >= 0.019
    assert max(took_s) - min(took_s) > 0.005


@STREAMS
async def test_deleting_a_latency_lets_the_held_chunk_go_at_once(proxy: ProxyUnderTest, stream: str) -> None:
    await proxy.add("latency", stream=stream, latency=FOR_EVER_MS)
    with await proxy.connect() as client:
        await client.send(b"held")
        assert await client.is_silent_for(QUIET_S)
        began_at_s = time.monotonic()
        await proxy.remove("latency")
        assert await client.receive(4) == b"held"
        assert time.monotonic() - began_at_s < AT_ONCE_S
        assert await client.round_trip() < AT_ONCE_S


async def test_deleting_a_latency_lets_many_held_chunks_go_in_order(played: ProxyUnderTest, upstream: Upstream) -> None:
    await played.add("latency", stream="upstream", latency=FOR_EVER_MS)
    with await played.connect() as client:
        server = await upstream.accepted()
        chunks = [b"%03d" % number for number in range(20)]
        for chunk in chunks:
            await client.send(chunk)
            await asyncio.sleep(0.002)  # so that each arrives as a chunk of its own
        assert await server.is_silent_for(QUIET_S)
        await played.remove("latency")
        assert await server.receive(60) == b"".join(chunks)


@STREAMS
async def test_patching_a_latency_lets_the_held_chunk_go_and_delays_the_next(
    proxy: ProxyUnderTest, stream: str
) -> None:
    await proxy.add("latency", stream=stream, latency=FOR_EVER_MS)
    with await proxy.connect() as client:
        await client.send(b"held")
        assert await client.is_silent_for(QUIET_S)
        await proxy.change("latency", latency=300)
        began_at_s = time.monotonic()
        assert await client.receive(4) == b"held"
        assert time.monotonic() - began_at_s < 0.25
        assert 0.29 <= await client.round_trip() < 0.3 + AT_ONCE_S


async def test_adding_a_later_toxic_lets_the_chunk_held_by_a_latency_go(proxy: ProxyUnderTest) -> None:
    await proxy.add("latency", latency=FOR_EVER_MS)
    with await proxy.connect() as client:
        await client.send(b"held")
        assert await client.is_silent_for(QUIET_S)
        await proxy.add("slow_close")
        assert await client.receive(4) == b"held"


async def test_reset_lets_held_chunks_go(proxy: ProxyUnderTest) -> None:
    await proxy.add("latency", latency=FOR_EVER_MS)
    with await proxy.connect() as client:
        await client.send(b"held")
        assert await client.is_silent_for(QUIET_S)
        assert (await proxy.api.post("/reset")).status_code == 204
        assert await client.receive(4) == b"held"


async def test_a_toxic_on_one_proxy_leaves_another_alone(proxy: ProxyUnderTest, echo: Upstream) -> None:
    other = await ProxyUnderTest.create(proxy.api, echo.address, name="other")
    await proxy.add("timeout")
    with await other.connect() as client:
        assert await client.round_trip() < AT_ONCE_S


@STREAMS
async def test_bandwidth_lets_no_more_than_its_rate_through(proxy: ProxyUnderTest, stream: str) -> None:
    await proxy.add("bandwidth", stream=stream, rate=200)
    with await proxy.connect() as client:
        took_s = await client.round_trip(bytes(100_000))
    assert 0.4 <= took_s < 0.5 + AT_ONCE_S


async def test_a_patched_bandwidth_has_its_new_rate(proxy: ProxyUnderTest) -> None:
    await proxy.add("bandwidth", rate=1)
    with await proxy.connect() as client:
        await client.send(bytes(100_000))
        assert len(await client.receive(100)) == 100
        await proxy.change("bandwidth", rate=1_000_000)
        began_at_s = time.monotonic()
        assert len(await client.receive(99_900)) == 99_900
        assert time.monotonic() - began_at_s < AT_ONCE_S


async def test_a_bandwidth_of_zero_holds_until_it_is_removed(proxy: ProxyUnderTest) -> None:
    await proxy.add("bandwidth", rate=0)
    with await proxy.connect() as client:
        await client.send(b"held")
        assert await client.is_silent_for(QUIET_S)
        await proxy.remove("bandwidth")
        assert await client.receive(4) == b"held"


async def test_a_timeout_of_zero_drops_and_keeps_the_connection_open(
    played: ProxyUnderTest, upstream: Upstream
) -> None:
    with await played.connect() as client:
        server = await upstream.accepted()
        await played.add("timeout", stream="upstream", timeout=0)
        await client.send(b"lost")
        assert await server.is_silent_for(QUIET_S)
        await server.send(b"the other direction")
        assert await client.receive(19) == b"the other direction"


@STREAMS
async def test_removing_a_timeout_closes_the_connections_and_drops_what_came(
    played: ProxyUnderTest, upstream: Upstream, stream: str
) -> None:
    with await played.connect() as client:
        server = await upstream.accepted()
        await played.add("timeout", stream=stream, timeout=0)
        source, destination = (client, server) if stream == "upstream" else (server, client)
        await source.send(b"lost")
        assert await destination.is_silent_for(QUIET_S)
        await played.remove("timeout")
        assert await destination.until_end() == b""
        assert await source.until_end() == b""
    with await played.connect() as client:
        server = await upstream.accepted()
        await client.send(b"open")
        assert await server.receive(4) == b"open"


@STREAMS
async def test_adding_and_removing_a_timeout_kills_idle_connections_with_the_port_open(
    played: ProxyUnderTest, upstream: Upstream, stream: str
) -> None:
    clients = [await played.connect() for _ in range(10)]
    servers = [await upstream.accepted() for _ in clients]
    await played.add("timeout", stream=stream)
    await played.remove("timeout")
    assert [await peer.ended() for peer in (*clients, *servers)] == ["fin"] * 20
    for client in clients:
        client.close()


async def test_a_timeout_closes_after_its_time(proxy: ProxyUnderTest) -> None:
    with await proxy.connect() as client:
        await client.round_trip()
        began_at_s = time.monotonic()
        await proxy.add("timeout", timeout=300)
        await client.send(b"lost")
        assert await client.until_end() == b""
        assert 0.29 <= time.monotonic() - began_at_s < 0.3 + AT_ONCE_S


async def test_every_piece_of_data_puts_a_timeout_off(played: ProxyUnderTest, upstream: Upstream) -> None:
    with await played.connect() as client:
        server = await upstream.accepted()
        await played.add("timeout", stream="upstream", timeout=600)
        began_at_s = time.monotonic()
        for _ in range(4):
            await client.send(b"lost")
            assert await server.is_silent_for(0.2)
        assert await server.ended() == "fin"
        assert time.monotonic() - began_at_s >= 1.15


@STREAMS
async def test_reset_peer_resets_both_ends_of_a_connection_made_under_it(
    played: ProxyUnderTest, upstream: Upstream, stream: str
) -> None:
    await played.add("reset_peer", stream=stream)
    with await played.connect() as client:
        server = await upstream.accepted()
        await (client if stream == "upstream" else server).send(b"x")
        with pytest.raises(ConnectionResetError):
            await client.until_end()
        with pytest.raises(ConnectionResetError):
            await server.until_end()


async def test_reset_peer_waits_its_timeout(proxy: ProxyUnderTest) -> None:
    await proxy.add("reset_peer", timeout=300)
    with await proxy.connect() as client:
        began_at_s = time.monotonic()
        await client.send(b"x")
        with pytest.raises(ConnectionResetError):
            await client.until_end()
        assert 0.29 <= time.monotonic() - began_at_s < 0.3 + AT_ONCE_S


async def test_reset_peer_leaves_an_idle_connection_alone(proxy: ProxyUnderTest) -> None:
    with await proxy.connect() as client:
        await client.round_trip()
        await proxy.add("reset_peer")
        assert await client.is_silent_for(QUIET_S)
        await proxy.remove("reset_peer")
        await client.round_trip()


@STREAMS
async def test_a_slicer_delivers_every_byte_in_order(proxy: ProxyUnderTest, stream: str) -> None:
    await proxy.add("slicer", stream=stream, average_size=100, size_variation=40, delay=10)
    data = b"".join(b"%06d" % number for number in range(20_000))
    with await proxy.connect() as client:
        _, received = await asyncio.gather(client.send(data), client.receive(len(data)))
    assert received == data


async def test_a_slicer_cuts_chunks_into_pieces_with_a_delay_between_them(proxy: ProxyUnderTest) -> None:
    await proxy.add("slicer", average_size=10, delay=20_000)
    with await proxy.connect() as client:
        await client.send(bytes(200))
        began_at_s = time.monotonic()
        assert 0 < len(await client._read(1000)) <= 100
        assert len(await client.receive(100)) == 100
        assert time.monotonic() - began_at_s >= 0.1


async def test_removing_a_slicer_lets_the_rest_of_a_chunk_go_at_once(proxy: ProxyUnderTest) -> None:
    await proxy.add("slicer", average_size=1, delay=1_000_000)
    data = bytes(range(200))
    with await proxy.connect() as client:
        await client.send(data)
        first = await client.receive(1)
        await proxy.remove("slicer")
        assert first + await client.receive(199) == data


@STREAMS
async def test_limit_data_closes_after_exactly_its_bytes(
    played: ProxyUnderTest, upstream: Upstream, stream: str
) -> None:
    await played.add("limit_data", stream=stream, bytes=1000)
    with await played.connect() as client:
        server = await upstream.accepted()
        source, destination = (client, server) if stream == "upstream" else (server, client)
        await source.send(b"a" * 600)
        assert await destination.receive(600) == b"a" * 600
        await source.send(b"b" * 600)
        assert await destination.until_end() == b"b" * 400


async def test_limit_data_counts_each_connection_for_itself(proxy: ProxyUnderTest) -> None:
    await proxy.add("limit_data", bytes=10)
    for _ in range(2):
        with await proxy.connect() as client:
            await client.send(b"0123456789")
            assert await client.until_end() == b"0123456789"


async def test_limit_data_leaves_an_idle_connection_alone(proxy: ProxyUnderTest) -> None:
    with await proxy.connect() as client:
        await client.round_trip()
        await proxy.add("limit_data", bytes=0)
        assert await client.is_silent_for(QUIET_S)
        await client.send(b"lost")
        assert await client.until_end() == b""


async def test_limit_data_remembers_its_count_over_a_patch(proxy: ProxyUnderTest) -> None:
    await proxy.add("limit_data", bytes=1000)
    with await proxy.connect() as client:
        await client.round_trip(b"0123456789")
        await proxy.change("limit_data", bytes=15)
        await client.send(b"0123456789")
        assert await client.until_end() == b"01234"


async def test_slow_close_delays_the_end_and_nothing_else(played: ProxyUnderTest, upstream: Upstream) -> None:
    await played.add("slow_close", delay=400)
    with await played.connect() as client:
        server = await upstream.accepted()
        await server.send(b"answer")
        began_at_s = time.monotonic()
        server.close()
        assert await client.receive(6) == b"answer"
        assert time.monotonic() - began_at_s < 0.35
        assert await client.ended() == "fin"
        assert 0.39 <= time.monotonic() - began_at_s < 0.4 + AT_ONCE_S


@pytest.mark.parametrize(
    ("type_", "attributes"),
    [
        ("latency", {"latency": FOR_EVER_MS}),
        ("bandwidth", {"rate": 0}),
        ("timeout", {"timeout": 1}),
        ("reset_peer", {}),
        ("limit_data", {"bytes": 0}),
    ],
)
async def test_a_toxicity_of_zero_does_nothing(proxy: ProxyUnderTest, type_: str, attributes: dict[str, int]) -> None:
    with await proxy.connect() as before:
        await before.round_trip()
        await proxy.add(type_, "downstream", toxicity=0.0, **attributes)
        with await proxy.connect() as after:
            for _ in range(3):
                assert await before.round_trip() < AT_ONCE_S
                assert await after.round_trip() < AT_ONCE_S


async def test_a_toxicity_is_drawn_for_each_connection(proxy: ProxyUnderTest) -> None:
    await proxy.add("limit_data", toxicity=0.5, bytes=0)
    survived = []
    for _ in range(40):
        with await proxy.connect() as client:
            await client.send(b"x")
            survived.append(await client.receive(1) == b"x")
    assert 4 <= sum(survived) <= 36


async def test_toxics_of_a_stream_act_one_after_the_other(proxy: ProxyUnderTest) -> None:
    await proxy.add("latency", latency=200)
    await proxy.add("limit_data", bytes=3)
    with await proxy.connect() as client:
        began_at_s = time.monotonic()
        await client.send(b"12345")
        assert await client.until_end() == b"123"
        assert time.monotonic() - began_at_s >= 0.19


async def test_disabling_closes_both_ends_with_fin_and_frees_the_port(
    played: ProxyUnderTest, upstream: Upstream
) -> None:
    with await played.connect() as client:
        server = await upstream.accepted()
        await client.send(b"x")
        assert await server.receive(1) == b"x"
        await played.set_enabled(False)
        assert await client.ended() == "fin"
        assert await server.ended() == "fin"
        with pytest.raises(ConnectionRefusedError):
            await played.connect()
        with socket.create_server(("127.0.0.1", played.port)):
            pass


async def test_disabling_loses_what_a_toxic_holds(played: ProxyUnderTest, upstream: Upstream) -> None:
    await played.add("latency", stream="upstream", latency=FOR_EVER_MS)
    with await played.connect() as client:
        server = await upstream.accepted()
        await client.send(b"held")
        assert await server.is_silent_for(QUIET_S)
        await played.set_enabled(False)
        assert await server.until_end() == b""


async def test_enabled_again_it_works_on_the_same_port_with_its_toxics(proxy: ProxyUnderTest) -> None:
    await proxy.add("latency", latency=200)
    await proxy.set_enabled(False)
    await proxy.set_enabled(True)
    with await proxy.connect() as client:
        assert await client.round_trip() >= 0.19


async def test_removing_a_proxy_closes_its_connections(proxy: ProxyUnderTest) -> None:
    with await proxy.connect() as client:
        await client.round_trip()
        assert (await proxy.api.delete("/proxies/db")).status_code == 204
        assert await client.ended() == "fin"
        with pytest.raises(ConnectionRefusedError):
            await proxy.connect()


async def test_a_client_that_leaves_ends_its_upstream_connection(played: ProxyUnderTest, upstream: Upstream) -> None:
    client: Peer = await played.connect()
    server = await upstream.accepted()
    await client.send(b"bye")
    client.close()
    assert await server.until_end() == b"bye"
