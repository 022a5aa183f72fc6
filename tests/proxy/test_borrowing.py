"""A compute that a client of the API borrows: its own to change, and again as it was however that client ends."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from harness.model.errors import StackError, UserError
from harness.processes.proxy_messages import AnyProxyEvent, ComputeSuspended, ComputeWoken, FirstAttempt, ProxyStalled
from harness.proxy.client import ProxyClient
from tests.proxy.wire import PATIENCE_S, OurServer, Upstream

pytestmark = pytest.mark.anyio

OWN = {"on_suspend": "close", "wake_latency_s": [0.05, 0.06, 0.07], "suspend_after_s": 300}
BORROWED = {"on_suspend": "reset", "wake_latency_s": [60.0]}
NAME = "db"
BORROWER = """
import asyncio, sys
from harness.proxy.client import ProxyClient

async def borrow() -> None:
    async with ProxyClient(int(sys.argv[1])) as client, client.borrowed("db"):
        await client.set_compute("db", {"wake_latency_s": [60.0]})
        await client.slow("db", 0.01)
        await client.suspend("db")
        print("borrowed", flush=True)
        await asyncio.Event().wait()

asyncio.run(borrow())
"""


@pytest.fixture
async def client(ours: OurServer, echo: Upstream) -> AsyncIterator[ProxyClient]:
    async with ProxyClient(int(ours.http.base_url.port or 0)) as client:
        await client.create(NAME, upstream=echo.address, compute=OWN)
        yield client


async def compute(ours: OurServer) -> dict[str, Any]:
    answer: dict[str, Any] = (await ours.http.get(f"/coldstart/proxies/{NAME}/compute")).json()
    return answer


async def test_it_is_as_it_was_afterwards_and_awake(ours: OurServer, client: ProxyClient) -> None:
    before = await compute(ours)
    async with client.borrowed(NAME):
        await client.set_compute(NAME, BORROWED)
        await client.slow(NAME, 0.01)
        await client.suspend(NAME)
        lent = await compute(ours)
        assert lent["compute"]["lent"]
        assert lent["compute"]["state"] == "suspended"
        assert lent["compute"]["wake_latency_s"] == [60.0]
        assert len(lent["toxics"]) == 1
    assert await compute(ours) == {**before, "compute": before["compute"] | {"changes_in_s": pytest.approx(300, abs=5)}}


async def test_wakes_that_were_drawn_are_not_drawn_again(ours: OurServer, client: ProxyClient) -> None:
    await client.suspend(NAME)
    await client.wake(NAME)
    async with asyncio.timeout(PATIENCE_S):
        while (await client.state(NAME)).state != "active":
            await asyncio.sleep(0.01)
    async with client.borrowed(NAME):
        pass
    assert (await compute(ours))["compute"]["wake_latency_s"] == [0.06, 0.07]


async def test_whoever_borrows_it_hears_what_happens_there(client: ProxyClient) -> None:
    async with asyncio.timeout(PATIENCE_S), client.borrowed(NAME) as events:
        await client.suspend(NAME)
        await client.wake(NAME)
        heard: list[AnyProxyEvent] = []
        while len(heard) < 3:
            # On a busy machine the proxy's loop says that it stood still, at any moment.
            if not isinstance(event := await anext(events), ProxyStalled):
                heard.append(event)
    assert [type(event) for event in heard] == [ComputeSuspended, FirstAttempt, ComputeWoken]


async def test_others_hear_that_it_is_awake_when_it_is_given_back_asleep(ours: OurServer, client: ProxyClient) -> None:
    async with ours.events() as events:
        async with client.borrowed(NAME):
            await client.suspend(NAME)
            await events.next("suspended")
        woken = await events.next("woken")
    assert woken["at_s"] == woken["planned_at_s"]
    assert (await client.state(NAME)).state == "active"


async def test_only_one_may_borrow_it_at_a_time(client: ProxyClient) -> None:
    async with client.borrowed(NAME):
        with pytest.raises(UserError, match="coldstart up: is being used by another run"):
            async with client.borrowed(NAME):
                raise AssertionError
    async with client.borrowed(NAME):
        pass


async def test_a_proxy_without_a_compute_has_nothing_to_lend(ours: OurServer, echo: Upstream) -> None:
    async with ProxyClient(int(ours.http.base_url.port or 0)) as client:
        await client.create(NAME, upstream=echo.address)
        with pytest.raises(StackError, match=r"409 .*proxy has no compute"):
            async with client.borrowed(NAME):
                raise AssertionError


async def test_a_client_that_is_killed_gives_it_back(ours: OurServer, client: ProxyClient, tmp_path: Path) -> None:
    before = (await compute(ours))["compute"]
    port = str(ours.http.base_url.port)
    with (tmp_path / "log").open("w") as log:
        borrower = await asyncio.create_subprocess_exec(
            sys.executable, "-c", BORROWER, port, stdout=asyncio.subprocess.PIPE, stderr=log
        )
    assert borrower.stdout is not None
    assert await borrower.stdout.readline() == b"borrowed\n"
    assert (await client.state(NAME)).lent
    borrower.send_signal(signal.SIGKILL)
    await borrower.wait()
    async with asyncio.timeout(PATIENCE_S):
        while (await client.state(NAME)).lent:
            await asyncio.sleep(0.01)
    after = await compute(ours)
    assert after["compute"]["wake_latency_s"] == before["wake_latency_s"]
    assert after["compute"]["state"] == "active"
    assert after["toxics"] == []


async def test_the_stream_says_when_its_server_has_ended(ours: OurServer, client: ProxyClient) -> None:
    async with asyncio.timeout(PATIENCE_S), client.borrowed(NAME) as events:
        await ours.child.stop()
        with pytest.raises(StackError, match="its events ended"):
            await anext(events)
