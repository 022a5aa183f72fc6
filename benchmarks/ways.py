"""The ways to a database that the proxy's benchmarks compare: direct, through the real Toxiproxy, through ours."""

import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.errors import StackError, UserError
from harness.postgres import PostgresServer, embedded_postgres
from harness.process import Child
from harness.proxy.client import ProxyClient
from harness.proxy.toxiproxy import ToxiproxyServer

BUILT = Path(__file__).parent.parent / ".tools" / "toxiproxy-server"


@dataclass(frozen=True, slots=True)
class Ways:
    """A PostgreSQL, the addresses it is reached at by name, and our proxy's process."""

    postgres: PostgresServer
    addresses: dict[str, tuple[str, int]]
    ours_pid: int


@asynccontextmanager
async def ways(*, max_connections: int = 200) -> AsyncIterator[Ways]:
    """All of them at once; leaving stops them. Raises `UserError` without the real Toxiproxy."""
    with tempfile.TemporaryDirectory(prefix="coldstart-bench-") as folder:
        async with AsyncExitStack() as stack:
            server, _ = await stack.enter_async_context(
                embedded_postgres(log=Path(folder) / "postgres.log", max_connections=max_connections)
            )
            upstream = f"{server.host}:{server.port}"
            argv = [sys.executable, "-m", "harness.proxy", "0"]
            child = await stack.enter_async_context(Child.running("toxiproxy", argv, log=Path(folder) / "ours.log"))
            client = await stack.enter_async_context(ProxyClient((await child.next_record("ready"))["port"]))
            ours = await client.create("bench", upstream=upstream)
            reading = asyncio.create_task(_ignore(child))
            stack.callback(reading.cancel)
            real = await asyncio.to_thread(_real, upstream, stack)
            addresses = {"direct": (server.host, server.port), "real": real, "ours": ours}
            yield Ways(server, addresses, child.pid)


async def _ignore(child: Child) -> None:
    async for _ in child.records():
        pass


def _real(upstream: str, stack: AsyncExitStack) -> tuple[str, int]:
    program = shutil.which("toxiproxy-server") or str(BUILT)
    if not Path(program).is_file():
        raise UserError("no toxiproxy-server to compare with", where="benchmark", allowed="make toxiproxy builds it")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [program, "-host", "127.0.0.1", "-port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    stack.callback(process.wait)
    stack.callback(process.terminate)
    server = ToxiproxyServer(port)
    for _ in range(500):
        try:
            return server.create("bench", upstream=upstream)
        except StackError:
            if process.poll() is not None:
                raise
    raise UserError("the real Toxiproxy does not answer", where="benchmark")
