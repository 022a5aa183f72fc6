"""Everything at once in random order: toxics, suspends, outages, losses, restarts, and clients that come and go."""

import asyncio
import random
from typing import Any

import pytest

from tests.proxy.wire import OurServer, Peer, ProxyUnderTest, Upstream

pytestmark = pytest.mark.anyio

FOR_S = 5.0
CLIENTS = 8
NOWHERE = "127.0.0.1:1"
ENDS = ("close", "terminate", "reset", "freeze", "vanish")
MEANWHILE = ("hold", "drop", "refuse", "error")
TOXICS: tuple[tuple[str, dict[str, int]], ...] = (
    ("latency", {"latency": 20, "jitter": 5}),
    ("bandwidth", {"rate": 0}),
    ("bandwidth", {"rate": 50}),
    ("slicer", {"average_size": 3}),
    ("slicer", {"average_size": 50, "delay": 100}),
    ("timeout", {"timeout": 0}),
    ("timeout", {"timeout": 30}),
    ("reset_peer", {"timeout": 10}),
    ("limit_data", {"bytes": 20}),
    ("slow_close", {"delay": 30}),
    ("noop", {}),
)
SAID = (b"x", b"y" * 1000, b"\0\0\0\x09\0\x03\0\0\0", b"z" * 200_000)

Request = tuple[str, str, dict[str, Any] | None]


def drawn(choices: random.Random, upstream: str) -> Request:
    """One request of the API, of any kind."""
    type_, attributes = choices.choice(TOXICS)
    toxic = {"name": f"{choices.randrange(3)}", "type": type_, "toxicity": choices.choice((1, 0.5))}
    toxic |= {"stream": choices.choice(("upstream", "downstream")), "attributes": attributes}
    compute = {"on_suspend": choices.choice((*ENDS, "keep")), "while_waking": choices.choice(MEANWHILE)}
    sleeps_by_itself = {"suspend_after_s": choices.uniform(0.02, 0.2)} if choices.random() < 0.5 else {}
    loss = {"share": 1 - choices.random(), "how": choices.choice(ENDS)}
    where = {"enabled": True, "upstream": choices.choice((upstream, upstream, NOWHERE))}
    coldstart = "/coldstart/proxies/db"
    kinds: tuple[Request, ...] = (
        *[("POST", "/proxies/db/toxics", toxic)] * 4,
        *[("DELETE", f"/proxies/db/toxics/{toxic['name']}", None)] * 3,
        ("PATCH", f"/proxies/db/toxics/{toxic['name']}", {"toxicity": choices.random(), "attributes": {"latency": 5}}),
        ("POST", f"{coldstart}/suspend", None),
        ("POST", f"{coldstart}/wake", None),
        ("POST", f"{coldstart}/outage", {"for_s": choices.uniform(0, 0.2), **compute}),
        ("POST", f"{coldstart}/lose", loss),
        ("PUT", f"{coldstart}/compute", {"wake_latency_s": choices.uniform(0, 0.2), **compute, **sleeps_by_itself}),
        ("DELETE", f"{coldstart}/compute", None),
        ("POST", "/reset", None),
        ("PATCH", "/proxies/db", {"enabled": choices.random() < 0.7}),
        ("PATCH", "/proxies/db", where),
    )
    return choices.choice(kinds)


async def come_and_go(port: int, choices: random.Random, until_s: float) -> None:
    """Clients one after the other, each of which says something, reads or does not, and leaves in some way."""
    while asyncio.get_running_loop().time() < until_s:
        try:
            peer = await Peer.to(port, patience_s=0.5)
        except (OSError, TimeoutError):
            await asyncio.sleep(0.01)
            continue
        try:
            async with asyncio.timeout(choices.uniform(0.001, 0.5)):
                for _ in range(choices.randrange(5)):
                    await peer.send(choices.choice(SAID))
                    if choices.random() < 0.7:
                        await peer._read(1000)
                if choices.random() < 0.4:
                    peer.half_close()
                    await peer.until_end()
        except (OSError, TimeoutError):
            pass
        (peer.reset if choices.random() < 0.4 else peer.close)()


async def descriptors(server: OurServer) -> int:
    lines = (await server.http.get("/metrics")).text.splitlines()
    found = next((line.split()[1] for line in lines if line.startswith("process_open_fds ")), "0")
    return int(float(found))


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_is_refused_with_a_traceback_nothing_hangs_and_nothing_is_left(
    ours: OurServer, echo: Upstream, seed: int
) -> None:
    choices = random.Random(seed)
    before = await descriptors(ours)
    proxy = await ProxyUnderTest.create(ours.http, echo.address, compute={"wake_latency_s": 0.1})
    until_s = asyncio.get_running_loop().time() + FOR_S
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(come_and_go(proxy.port, choices, until_s))
        while asyncio.get_running_loop().time() < until_s:
            method, path, body = drawn(choices, echo.address)
            answer = await ours.http.request(method, path, json=body)
            # 409 without a compute or with such a toxic already, 404 without it.
            assert answer.status_code in {200, 204, 404, 409}, (method, path, body, answer.text)
            await asyncio.sleep(choices.choice((0, 0.01, 0.05)))
    # Whatever state that left it in, it is a proxy again when its compute and its toxics are taken away.
    assert (await ours.http.delete("/coldstart/proxies/db/compute")).status_code == 204
    await ours.http.patch("/proxies/db", json={"enabled": True, "upstream": echo.address})
    await ours.http.post("/reset")
    with await proxy.connect() as peer:
        await peer.round_trip()
    assert (await ours.http.delete("/proxies/db")).status_code == 204
    async with asyncio.timeout(5):
        while await descriptors(ours) > before:
            await asyncio.sleep(0.05)
    assert ours.child.log.read_text() == ""
