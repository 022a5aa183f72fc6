"""`python -m harness.compose.sleeping`: the `compute` service of docker-compose.yml, behind Toxiproxy.

Clients ──▶ toxiproxy ──▶ this process ──▶ postgres. It sees every connection that Toxiproxy dials and every byte, so
it knows when the database has been quiet for long enough and who comes first afterwards; it suspends and wakes it
over Toxiproxy's API. COLDSTART_WAKE is a wake profile (`neon`), seconds (`8`) or both (`neon:8`),
COLDSTART_SUSPEND_AFTER the quiet seconds.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import asyncpg

from harness.compose.sessions import DatabaseSessions
from harness.model.compute import OnSuspend
from harness.model.errors import StackError, UserError
from harness.model.wake import WakeProfile, profile, read_wake
from harness.proxy.connection import Connection
from harness.proxy.events import EventStream
from harness.proxy.proxy import Proxy
from harness.proxy.sleep import ComputeSettings
from harness.proxy.startup import IDLE
from harness.proxy.toxiproxy import ToxiproxyServer
from harness.proxy.toxiproxy_compute import ToxiproxyCompute

PROXY = "database"
PORT = 5432
DATABASE = "postgres"
LISTEN = "0.0.0.0"  # noqa: S104 - inside Toxiproxy's container; docker-compose.yml publishes it on loopback
CAN_SUSPEND = frozenset({OnSuspend.CLOSE, OnSuspend.TERMINATE})
WAKES_DRAWN = 10_000


class Doorbell:
    """Lets every connection through, and tells the compute of it."""

    watches_bytes = True

    def __init__(self, compute: ToxiproxyCompute) -> None:
        self._compute = compute

    def proxy_started(self) -> None:
        """Nothing to prepare."""

    def attempt(self, connection: Connection) -> None:
        self._compute.attempted(connection=connection)
        connection.dial()

    def opened(self, connection: Connection) -> None:
        """Nothing: an attempt is what counts."""

    def closed(self, connection: Connection) -> None:
        self._compute.closed(connection)

    def client_spoke(self, connection: Connection) -> None:
        self._compute.client_spoke(connection)

    def server_spoke(self, connection: Connection, data: bytes) -> None:
        self._compute.server_spoke(connection, idle=data.endswith(IDLE))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The compose project, as this process sees it."""

    toxiproxy: ToxiproxyServer
    postgres: str
    """`host:port`"""
    dsn: str
    """The server's own, for an administrator."""
    host: str
    """Where to listen, and the name by which Toxiproxy dials it."""
    port: int = PORT


async def serve(wake: WakeProfile, around: Surroundings) -> None:
    """Suspend and wake the database until cancelled. Raises `StackError` when Toxiproxy refuses something."""
    latencies_s = tuple(wake.latencies_s(seed=1, wakes=WAKES_DRAWN))
    admin = await asyncpg.connect(around.dsn, ssl=False)
    compute = ToxiproxyCompute(
        around.toxiproxy,
        PROXY,
        ComputeSettings(wake.behaviour(suspends_by_itself=True), latencies_s),
        said=_say,
        sessions=DatabaseSessions(admin, DATABASE),
    )
    doorbell = Proxy(PROXY, listen=f"{around.host}:{around.port}", upstream=around.postgres, events=EventStream())
    doorbell.watcher = Doorbell(compute)
    doorbell.start()
    try:
        with suppress(StackError):
            # Of one of these that was killed.
            await asyncio.to_thread(around.toxiproxy.remove, PROXY)
        await asyncio.to_thread(
            around.toxiproxy.create, PROXY, upstream=doorbell.listen, listen=f"{LISTEN}:{around.port}"
        )
        print(f"awake; suspends after {wake.suspend_after_s:g} s, wakes in {wake.latency}", flush=True)  # noqa: T201
        await compute.watch()
    finally:
        compute.stop()
        doorbell.stop()
        admin.terminate()
        with suppress(StackError):
            # What would hold connections for ever now.
            await asyncio.to_thread(around.toxiproxy.remove, PROXY)


def asked(environment: Mapping[str, str]) -> WakeProfile:
    """The wake that the COLDSTART_ variables ask for. Raises `UserError` for one that this can't play."""
    after_s = environment.get("COLDSTART_SUSPEND_AFTER", "")
    wake = read_wake(environment.get("COLDSTART_WAKE", "neon"), where="COLDSTART_WAKE").applied_to(profile("neon"))
    try:
        wake = replace(wake, suspend_after_s=float(after_s)) if after_s else wake
        wake.behaviour(suspends_by_itself=True)
    except (UserError, ValueError):
        raise UserError(
            f"{after_s!r} is not a time", where="COLDSTART_SUSPEND_AFTER", allowed="seconds, more than 0"
        ) from None
    ToxiproxyCompute.check(wake, can=CAN_SUSPEND)
    return wake


def _say(event: str, *, at_s: float, planned_at_s: float | None = None, ready_at_s: float | None = None) -> None:
    match event:
        case "first_attempt":
            words = f"first connection: awake in {(ready_at_s or at_s) - at_s:.2f} s"
        case "woken":
            words = f"awake, {(at_s - (planned_at_s or at_s)) * 1000:.0f} ms after it was meant to be"
        case _:
            words = event
    print(words, flush=True)  # noqa: T201 - this container's log


async def _until_asked_to_stop(wake: WakeProfile, around: Surroundings) -> None:
    serving = asyncio.create_task(serve(wake, around))
    for signal_ in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_, serving.cancel)
    with suppress(asyncio.CancelledError):
        await serving


def main() -> int:
    """Serve until SIGTERM; 1 when Toxiproxy or PostgreSQL is gone, 2 for a wake that can't be played."""
    around = Surroundings(
        toxiproxy=ToxiproxyServer(host="toxiproxy"),
        postgres="postgres:5432",
        dsn=f"postgresql://postgres:{os.environ['COLDSTART_POSTGRES_PASSWORD']}@postgres:5432/{DATABASE}",
        host=socket.gethostbyname(socket.gethostname()),
    )
    try:
        asyncio.run(_until_asked_to_stop(asked(os.environ), around))
    except (UserError, StackError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2 if isinstance(error, UserError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
