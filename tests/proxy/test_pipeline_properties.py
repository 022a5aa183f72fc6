"""Whatever the chunks and whatever the toxics, as long as none of them loses anything: every byte, in order."""

import asyncio
import random
from collections.abc import AsyncIterator
from itertools import count, zip_longest
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.proxy.conftest import our_server
from tests.proxy.wire import OurServer, Peer, ProxyUnderTest, Upstream

pytestmark = pytest.mark.anyio

NAMES = count()
STREAM = st.sampled_from(["upstream", "downstream"])
SIZES = st.lists(st.integers(1, 400) | st.integers(1, 150_000), max_size=30)
SEEDS = st.integers(0, 2**32)
"""Chunks are drawn as their sizes and a seed: a failing example stays readable."""


def toxic(type_: str, **attributes: st.SearchStrategy[int]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "type": st.just(type_),
            "stream": STREAM,
            "toxicity": st.sampled_from([0.0, 0.5, 1.0]),
            "attributes": st.fixed_dictionaries(attributes),
        }
    )


LOSSLESS = st.one_of(
    toxic("latency", latency=st.integers(0, 15), jitter=st.integers(0, 15)),
    toxic("slicer", average_size=st.integers(200, 5000), size_variation=st.integers(0, 199), delay=st.integers(0, 40)),
    toxic("bandwidth", rate=st.integers(50_000, 10**9)),
    toxic("slow_close", delay=st.integers(0, 30)),
)
TOXICS = st.lists(LOSSLESS, max_size=4).map(
    lambda toxics: [{**one, "name": f"toxic {number}"} for number, one in enumerate(toxics)]
)


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OurServer]:
    """One server for every example."""
    async with our_server(tmp_path_factory.mktemp("proxy") / "log") as server:
        yield server


def chunks(sizes: list[int], seed: int) -> list[bytes]:
    random_bytes = random.Random(seed).randbytes
    return [random_bytes(size) for size in sizes]


async def send_all(peer: Peer, chunks: list[bytes]) -> None:
    for chunk in chunks:
        await peer.send(chunk)
    peer.half_close()


@settings(max_examples=120, deadline=None)
@given(up=SIZES, down=SIZES, seed=SEEDS, toxics=TOXICS)
async def test_every_byte_arrives_in_order_in_both_directions(
    server: OurServer, up: list[int], down: list[int], seed: int, toxics: list[dict[str, Any]]
) -> None:
    name, to_upstream, to_client = f"p{next(NAMES)}", chunks(up, seed), chunks(down, seed + 1)
    async with Upstream.running() as upstream:
        proxy = await ProxyUnderTest.create(server.http, upstream.address, name=name, toxics=toxics)
        with await proxy.connect() as client:
            peer = await upstream.accepted()
            *_, at_upstream, at_client = await asyncio.gather(
                send_all(client, to_upstream), send_all(peer, to_client), peer.until_end(), client.until_end()
            )
        await server.http.delete(f"/proxies/{name}")
    assert at_upstream == b"".join(to_upstream)
    assert at_client == b"".join(to_client)


async def come_and_go(proxy: ProxyUnderTest, toxics: list[dict[str, Any]]) -> None:
    """Add each toxic, change it, and take it away while the next one is there."""
    path = f"/proxies/{proxy.name}/toxics"
    for one, before in zip_longest(toxics, [None, *toxics]):
        if one is not None:
            assert (await proxy.api.post(path, json=one)).status_code == 200
            assert (await proxy.api.patch(f"{path}/{one['name']}", json={"toxicity": 1})).status_code == 200
        if before is not None:
            assert (await proxy.api.delete(f"{path}/{before['name']}")).status_code == 204


@settings(max_examples=80, deadline=None)
@given(up=SIZES, down=SIZES, seed=SEEDS, toxics=TOXICS)
async def test_every_byte_arrives_in_order_while_toxics_come_and_go(
    server: OurServer, up: list[int], down: list[int], seed: int, toxics: list[dict[str, Any]]
) -> None:
    name, to_upstream, to_client = f"p{next(NAMES)}", chunks(up, seed), chunks(down, seed + 1)
    async with Upstream.running() as upstream:
        proxy = await ProxyUnderTest.create(server.http, upstream.address, name=name)
        with await proxy.connect() as client:
            peer = await upstream.accepted()
            *_, at_upstream, at_client, _ = await asyncio.gather(
                send_all(client, to_upstream),
                send_all(peer, to_client),
                peer.until_end(),
                client.until_end(),
                come_and_go(proxy, toxics),
            )
        await server.http.delete(f"/proxies/{name}")
    assert at_upstream == b"".join(to_upstream)
    assert at_client == b"".join(to_client)
