"""Connections that have ended leave no object behind: what the proxy keeps of a client does not add up."""

import asyncio
import gc

import pytest

from harness.proxy.connection import Connection
from harness.proxy.descriptors import DescriptorBudget
from harness.proxy.end import End
from harness.proxy.events import EventStream
from harness.proxy.link import AttachedToxic, Link, ToxicStage
from harness.proxy.proxy import Proxy
from harness.proxy.toxics import Stub
from harness.proxy.toxics.bandwidth import Bandwidth
from harness.proxy.toxics.latency import Latency
from tests.proxy.wire import PATIENCE_S, Peer, Upstream

pytestmark = pytest.mark.anyio

KEPT_WHILE_OPEN = (Connection, End, Link, ToxicStage, Stub)
CLIENTS = 30


def kept() -> dict[str, int]:
    """How many of each there are that something still refers to."""
    gc.collect()
    alive = gc.get_objects()
    return {kind.__name__: sum(type(one) is kind for one in alive) for kind in KEPT_WHILE_OPEN}


@pytest.mark.parametrize("leave", ["close", "reset", "half_close"])
async def test_of_a_connection_that_has_ended_nothing_is_kept(echo: Upstream, leave: str) -> None:
    before = kept()
    budget = DescriptorBudget(limit=64 + 2 * CLIENTS)
    proxy = Proxy("db", listen="127.0.0.1:0", upstream=echo.address, events=EventStream(), budget=budget)
    proxy.start(("127.0.0.1", 0))
    try:
        proxy.add_toxic(AttachedToxic("slow", "downstream", 1.0, Latency(latency=1)))
        peers = [await Peer.to(proxy.listener.address[1]) for _ in range(CLIENTS)]
        await asyncio.gather(*(peer.round_trip() for peer in peers))
        assert kept()["Connection"] == before["Connection"] + CLIENTS
        assert not budget.has_room
        held = AttachedToxic("held", "upstream", 1.0, Bandwidth(rate=0))
        proxy.add_toxic(held)
        await asyncio.gather(*(peer.send(b"held") for peer in peers))
        for peer in peers:
            getattr(peer, leave)()
        proxy.remove_toxic(held)
        async with asyncio.timeout(PATIENCE_S):
            while proxy.connections:
                await asyncio.sleep(0.01)
        for peer in peers:
            peer.close()
        # The tasks that were cancelled have their turn.
        await asyncio.sleep(0.1)
        assert kept() == before
        assert budget.has_room
    finally:
        proxy.stop()
