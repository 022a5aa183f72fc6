"""Locust as the harness starts it, aimed at an HTTP server that remembers what it was asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

from harness.converter import to_json
from harness.library import load_scenario
from harness.model.load_share import LoadShare
from harness.model.rows import RequestRow
from harness.model.timeline import Burst
from harness.processes.messages import BurstFinished, LoadReady, RequestEnded, StartBurst
from harness.processes.process import Child
from harness.stacks.driving import running_load

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
async def listening(server: Server) -> AsyncIterator[str]:
    """The server's URL, while it listens."""
    socket = await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=1000)
    try:
        yield f"http://127.0.0.1:{socket.sockets[0].getsockname()[1]}"
    finally:
        socket.close()


@asynccontextmanager
async def driven(
    server: Server, tmp_path: Path, *, client_timeout_s: float = 30.0, workers: int | None = None
) -> AsyncIterator[Child]:
    """Locust, aimed at the server and ready."""
    scenario = replace(load_scenario("cold_burst"), client_timeout_s=client_timeout_s)
    async with (
        listening(server) as url,
        running_load(url, scenario, log=tmp_path / "locust.log", workers=workers) as load,
    ):
        await load.next_record(LoadReady)
        yield load


async def burst(load: Child, burst: Burst, *, seed: int = 1) -> list[RequestRow]:
    await load.send(StartBurst(at_s=monotonic() + 0.2, share=to_json(LoadShare(load=burst, seed=seed))))
    rows = []
    async for record in load.records():
        if isinstance(record, BurstFinished):
            break
        assert isinstance(record, RequestEnded)
        rows.append(record.row)
    return sorted(rows, key=lambda row: row.number)
