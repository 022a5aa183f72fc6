"""Measures the embedded stack's times: through asyncpg and the proxy, to a PostgreSQL that is awake."""

import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import asyncpg

from harness.model.times import Calibration
from harness.postgres import embedded_postgres
from harness.postgres.administering import administering
from harness.processes.messages import ProxyReady
from harness.processes.process import Child
from harness.proxy.client import ProxyClient
from harness.service.catalogue import create_catalogue
from harness.service.statements import READ_TRACK, WRITE_PLAY

SAMPLES = 300
CONNECTS = 60
WARM_UP = 50
CONNECT_ROUND_TRIPS = 4
"""The connection request, the startup, and two for SCRAM."""
# The service's own, as asyncpg sends them; each takes two round trips: prepare, then execute.
STATEMENTS = (READ_TRACK.sql.replace(":id", "$1"), WRITE_PLAY.sql.replace(":track_id", "$1"))
STATEMENT_ROUND_TRIPS = 2


async def calibrate(logs: Path) -> Calibration:
    """Measure for some seconds. Raises `StackError` when PostgreSQL or the proxy does not start."""
    async with embedded_postgres(log=logs / "postgres.log") as (server, postgres):
        async with postgres.answerable():
            await create_catalogue(server.dsn)
        argv = [sys.executable, "-m", "harness.proxy", "0"]
        async with AsyncExitStack() as stack:
            proxy = await stack.enter_async_context(Child.running("toxiproxy", argv, log=logs / "toxiproxy.log"))
            client = await stack.enter_async_context(ProxyClient((await proxy.next_record(ProxyReady)).port))
            address = await client.create("calibrate", upstream=f"{server.host}:{server.port}")
            return await _measure(server.dsn_at(*address), f"embedded PostgreSQL {server.version}")


async def _measure(dsn: str, source: str) -> Calibration:
    async with administering(dsn, statement_cache_size=0) as connection:
        round_trips_s = await _timed(SAMPLES, lambda: connection.execute("SELECT 1"))
        statements_s = [
            statement_s
            for sql in STATEMENTS
            for statement_s in await _timed(SAMPLES // len(STATEMENTS), lambda sql=sql: connection.fetch(sql, 7))  # type: ignore[misc]
        ]
    connects_s = await _timed(CONNECTS, lambda: _connect_and_close(dsn), warm_up=3)
    round_trip_s = median(round_trips_s)
    return Calibration(
        round_trip_s=tuple(round_trips_s),
        service_s=tuple(max(0.0, statement_s - STATEMENT_ROUND_TRIPS * round_trip_s) for statement_s in statements_s),
        connect_s=tuple(max(0.0, connect_s - CONNECT_ROUND_TRIPS * round_trip_s) for connect_s in connects_s),
        source=source,
    )


async def _connect_and_close(dsn: str) -> None:
    connection = await asyncpg.connect(dsn, ssl=False)
    connection.terminate()


async def _timed(count: int, operation: Callable[[], Awaitable[Any]], *, warm_up: int = WARM_UP) -> list[float]:
    """How long each of `count` runs of the operation took, in seconds."""
    for _ in range(warm_up):
        await operation()
    durations_s = []
    for _ in range(count):
        start_s = perf_counter()
        await operation()
        durations_s.append(perf_counter() - start_s)
    return durations_s
