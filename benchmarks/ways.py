"""The ways to a database that the proxy's benchmarks compare: direct, through the real Toxiproxy, through ours."""

import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.model.errors import StackError, UserError
from harness.postgres import PostgresServer, embedded_postgres
from harness.proxy.toxiproxy import ToxiproxyServer

BUILT = Path(__file__).parent.parent / ".tools" / "toxiproxy-server"


@dataclass(frozen=True, slots=True)
class Ways:
    """A PostgreSQL, the addresses it is reached at by name, and the processes of the proxies among them."""

    postgres: PostgresServer
    addresses: dict[str, tuple[str, int]]
    pids: dict[str, int]


@asynccontextmanager
async def ways(*, max_connections: int = 200) -> AsyncIterator[Ways]:
    """All of them at once; leaving stops them. Raises `UserError` without the real Toxiproxy."""
    with tempfile.TemporaryDirectory(prefix="coldstart-bench-") as folder:
        async with AsyncExitStack() as stack:
            server, _ = await stack.enter_async_context(
                embedded_postgres(log=Path(folder) / "postgres.log", max_connections=max_connections)
            )
            upstream = f"{server.host}:{server.port}"
            program = shutil.which("toxiproxy-server") or str(BUILT)
            if not await asyncio.to_thread(Path(program).is_file):
                raise UserError("no toxiproxy-server to compare with", where="benchmark", allowed="make toxiproxy")
            real_pid, real = await asyncio.to_thread(_served, [program, "-host", "127.0.0.1", "-port"], upstream, stack)
            command = [sys.executable, "-m", "harness", "toxiproxy", "--port"]
            ours_pid, ours = await asyncio.to_thread(_served, command, upstream, stack)
            addresses = {"direct": (server.host, server.port), "real": real, "ours": ours}
            yield Ways(server, addresses, {"real": real_pid, "ours": ours_pid})


def _served(command: list[str], upstream: str, stack: AsyncExitStack) -> tuple[int, tuple[str, int]]:
    """A Toxiproxy server as a user starts it, and a proxy without toxics on it: its process and where it listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([*command, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    server = ToxiproxyServer(port)
    deadline_s = time.monotonic() + 20
    while True:
        try:
            return process.pid, server.create("bench", upstream=upstream)
        except StackError:
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise
            time.sleep(0.02)
