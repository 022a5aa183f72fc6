"""Locust as the harness drives it: open-loop, on schedule, and every request accounted for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from harness.library import load_scenario
from harness.process import Child
from harness.scenario import Burst
from harness.stacks.driving import order, running_load

pytestmark = [pytest.mark.anyio, pytest.mark.quiet]

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer-Timing: query;dur=1\r\nContent-Length: 2\r\n\r\n{}"


class Server:
    """An HTTP server that answers after `delay_s`, or never."""

    def __init__(self, delay_s: float | None) -> None:
        self.delay_s = delay_s
        self.asked: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.asked.append(head.split(b"\r\n")[0])
                if self.delay_s is None:
                    return await asyncio.sleep(600)
                await asyncio.sleep(self.delay_s)
                writer.write(OK)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()


@asynccontextmanager
async def driven(server: Server, tmp_path: Path, *, client_timeout_s: float = 30.0) -> AsyncIterator[Child]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=1000)
    port = listening.sockets[0].getsockname()[1]
    scenario = replace(load_scenario("cold_burst"), client_timeout_s=client_timeout_s)
    async with running_load(f"http://127.0.0.1:{port}", scenario, log=tmp_path / "locust.log") as load:
        await load.next_record("ready")
        yield load
    listening.close()


async def burst(load: Child, burst: Burst, *, seed: int = 1) -> list[dict[str, Any]]:
    await load.send(order(burst, at_s=monotonic() + 0.2, seed=seed))
    rows = []
    async for record in load.records():
        if record["record"] == "finished":
            break
        rows.append(record)
    return sorted(rows, key=lambda row: row["number"])


async def test_the_schedule_alone_decides_when_a_request_starts(tmp_path: Path) -> None:
    # Every answer takes longer than the whole burst: a closed-loop user would have started one.
    async with driven(Server(delay_s=1.5), tmp_path) as load:
        rows = await burst(load, Burst(requests=50, over_s=1.0))
    planned = Burst(requests=50, over_s=1.0).schedule(1)
    assert [row["request"] for row in rows] == [arrival.request for arrival in planned]
    gaps = [row["arrival_s"] - rows[0]["arrival_s"] for row in rows]
    assert gaps == pytest.approx([arrival.at_s - planned[0].at_s for arrival in planned], abs=1e-6)
    assert max(row["start_s"] - row["arrival_s"] for row in rows) < 0.5
    assert all(row["outcome"] == "ok" and row["end_s"] - row["start_s"] > 1.4 for row in rows)


async def test_a_client_that_gives_up_is_an_outcome(tmp_path: Path) -> None:
    async with driven(Server(delay_s=None), tmp_path, client_timeout_s=0.5) as load:
        rows = await burst(load, Burst(requests=5, over_s=0.1))
    assert [row["outcome"] for row in rows] == ["client_timeout"] * 5
    assert all(0.4 < row["end_s"] - row["start_s"] < 2 for row in rows)


async def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    server = Server(delay_s=0.0)
    async with driven(server, tmp_path) as load:
        rows = await burst(load, Burst(requests=40, over_s=0.0, arrivals="at_once"))
        again = await burst(load, Burst(requests=10, over_s=0.1, arrivals="even"), seed=2)
    assert len(server.asked) == 50
    assert [row["number"] for row in rows] == list(range(40))
    assert [row["number"] for row in again] == list(range(10))
