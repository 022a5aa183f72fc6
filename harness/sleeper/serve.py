"""The compute behind a real Toxiproxy that can't say who is there: a proxy of its own sees every byte in its place.

Clients ──▶ toxiproxy ──▶ this process ──▶ postgres

Toxiproxy tells of no traffic. This process sees every connection that Toxiproxy dials, and every byte, so it knows
when the database has been quiet for long enough, and who comes first afterwards; it suspends and wakes the database
over Toxiproxy's API.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import assert_never

import asyncpg

from harness.compose.sessions import DatabaseSessions
from harness.model.errors import StackError
from harness.model.wake import WakeProfile
from harness.processes.proxy_messages import ComputeSuspended, ComputeWoken, FirstAttempt
from harness.proxy.compute_settings import ComputeSettings
from harness.proxy.connection import Connection
from harness.proxy.events import EventStream
from harness.proxy.proxy import Proxy
from harness.proxy.session import Session
from harness.proxy.toxiproxy import ToxiproxyServer
from harness.proxy.toxiproxy_compute import ComputeEvent, ToxiproxyCompute

PROXY = "database"
PORT = 5432
DATABASE = "postgres"
LISTEN = "0.0.0.0"  # noqa: S104 - inside Toxiproxy's container; docker-compose.yml publishes it on loopback
WAKES_DRAWN = 10_000


class TrafficWatcher:
    """Lets every connection through, and reports it to the compute."""

    watches_bytes = True

    def __init__(self, compute: ToxiproxyCompute) -> None:
        self._compute = compute
        self._sessions: dict[Connection, Session] = {}

    def proxy_started(self) -> None:
        """Nothing to prepare."""

    def attempt(self, connection: Connection) -> None:
        self._sessions[connection] = Session()
        self._compute.attempted(connection=connection)
        connection.dial()

    def opened(self, connection: Connection) -> None:
        """Nothing: an attempt is what counts."""

    def closed(self, connection: Connection) -> None:
        self._sessions.pop(connection, None)
        self._compute.closed(connection)

    def client_sent(self, connection: Connection, data: bytes) -> None:
        self._sessions[connection].client_sent(data)
        self._compute.client_sent(connection)

    def server_sent(self, connection: Connection, data: bytes) -> None:
        self._compute.server_sent(connection, idle=self._sessions[connection].server_sent(data))

    def stop(self) -> None:
        """Nothing: whoever made the compute stops it."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The other services of the compose project, and where this one is found among them."""

    toxiproxy: ToxiproxyServer
    postgres: str
    """`host:port`"""
    dsn: str
    """The server's own, for an administrator."""
    own_host: str
    """Where to listen, and the name by which Toxiproxy dials this process."""
    own_port: int = PORT


async def serve(wake: WakeProfile, neighbours: Neighbours) -> None:
    """Suspend and wake the database until cancelled. Raises `StackError` when Toxiproxy refuses something."""
    toxiproxy = neighbours.toxiproxy
    latencies_s = tuple(wake.latencies_s(seed=1, wakes=WAKES_DRAWN))
    admin = await asyncpg.connect(neighbours.dsn, ssl=False)
    compute = ToxiproxyCompute(
        toxiproxy,
        PROXY,
        ComputeSettings(wake.behaviour(suspends_by_itself=True), latencies_s),
        report=_print_event,
        sessions=DatabaseSessions(admin, DATABASE),
    )
    watched = Proxy(
        PROXY,
        listen=f"{neighbours.own_host}:{neighbours.own_port}",
        upstream=neighbours.postgres,
        events=EventStream(),
    )
    watched.watcher = TrafficWatcher(compute)
    watched.start((neighbours.own_host, neighbours.own_port))
    try:
        with suppress(StackError):
            # A process like this one that was killed has left its proxy behind.
            await asyncio.to_thread(toxiproxy.remove, PROXY)
        await asyncio.to_thread(
            toxiproxy.create, PROXY, upstream=watched.listen, listen=f"{LISTEN}:{neighbours.own_port}"
        )
        print(f"awake; suspends after {wake.suspend_after_s:g} s, wakes in {wake.latency}", flush=True)  # noqa: T201 - this container's log
        await compute.watch()
    finally:
        compute.stop()
        watched.stop()
        admin.terminate()
        with suppress(StackError):
            # Nobody is left to release what it would hold.
            await asyncio.to_thread(toxiproxy.remove, PROXY)


def _print_event(event: ComputeEvent) -> None:
    match event:
        case FirstAttempt(at_s=at_s, ready_at_s=ready_at_s):
            words = f"first connection: awake in {ready_at_s - at_s:.2f} s"
        case ComputeWoken(at_s=at_s, planned_at_s=planned_at_s):
            words = f"awake, {(at_s - planned_at_s) * 1000:.0f} ms after it was meant to be"
        case ComputeSuspended():
            words = "suspended"
        case _:
            assert_never(event)
    print(words, flush=True)  # noqa: T201 - this container's log
