"""Client code run twice: on a real PostgreSQL through a recorder, then in virtual time from what was recorded."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection

from harness.postgres import PostgresServer
from harness.proxy.events import EventStream
from harness.proxy.proxy import Proxy
from harness.recording import Recorder, Recording
from harness.simulation.backend import SimulatedPostgres
from harness.simulation.cores import Cores
from harness.simulation.libpq import LibpqSockets
from harness.simulation.loop import VirtualLoop, run
from harness.simulation.network import Network

HOST, PORT = "localhost", 5432
DSN = f"postgresql://coldstart@{HOST}:{PORT}/catalogue"
NOW = "2026-11-27T00:00:00+00:00"


@dataclass(frozen=True)
class Place:
    """Where client code finds its database."""

    dsn: str
    psycopg: type[AsyncConnection[Any]] = AsyncConnection

    def url(self, driver: str) -> str:
        """For SQLAlchemy."""
        return self.dsn.replace("postgresql://", f"postgresql+{driver}://")


Client = Callable[[Place], Awaitable[Any]]


@asynccontextmanager
async def listened_to(
    postgres: PostgresServer, recorder: Recorder | None = None
) -> AsyncIterator[tuple[Place, Recorder]]:
    """A way to the server that is listened to."""
    recorder = recorder or Recorder()
    proxy = Proxy("database", listen="", upstream=f"{postgres.host}:{postgres.port}", events=EventStream())
    proxy.watcher = recorder
    proxy.start(("127.0.0.1", 0))
    try:
        yield Place(postgres.dsn_at(*proxy.listener.address)), recorder
    finally:
        proxy.stop()


async def recorded(postgres: PostgresServer, client: Client) -> tuple[Any, Recording]:
    """What the client code got, and the recording of it."""
    async with listened_to(postgres) as (place, recorder):
        result = await client(place)
        return result, recorder.recording(app="app:app", recorded_at=NOW)


def replayed(
    recording: Recording, client: Client, *, cores: int | None = None, **options: Any
) -> tuple[Any, SimulatedPostgres]:
    """What the client code gets in virtual time, and the server it got it from; `cores`: what its processes share."""

    async def main(loop: VirtualLoop) -> tuple[Any, SimulatedPostgres]:
        network = Network(loop)
        if cores is not None:
            options["cores"] = Cores(loop, cores)
        server = SimulatedPostgres(loop=loop, recording=recording, **options)
        network.listen(HOST, PORT, server)
        sockets = LibpqSockets(network, HOST, PORT)
        try:
            return await client(Place(DSN, sockets.connection_class(AsyncConnection))), server
        finally:
            sockets.close()
            network.sever()

    return run(main)
