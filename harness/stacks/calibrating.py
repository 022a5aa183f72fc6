"""Measures the embedded stack's times: through asyncpg and the proxy, to a PostgreSQL that is awake."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import asyncpg
import httpx

from harness.model.pool import PoolConfiguration
from harness.model.scenario import Scenario
from harness.model.timeline import Burst, Warm
from harness.model.times import Calibration
from harness.model.trial import Trial
from harness.model.wake import profile
from harness.postgres import embedded_postgres
from harness.processes.messages import ProxyReady, ServiceReady
from harness.processes.process import Child
from harness.proxy.client import ProxyClient
from harness.service.catalogue import create_catalogue
from harness.service.statements import READ_TRACK, WRITE_PLAY
from harness.stacks.driving import LOOPBACK, running_service

SAMPLES = 300
CONNECTS = 60
WARM_UP = 50
ROUNDS = 3
"""Of what is measured many at once."""
CLIENTS = 20
"""HTTP connections at once: more than the pool has, so that the service always has work."""
REQUESTS_OF_EACH = 20
"""Browsing, as a burst asks for unless its scenario says otherwise."""
CONNECTS_AT_ONCE = 30
CALIBRATED_POOL = PoolConfiguration(pool_size=10, max_overflow=0)
CONNECT_ROUND_TRIPS = 4
"""The connection request, the startup, and two for SCRAM."""
# The service's own, as asyncpg sends them; each takes two round trips: prepare, then execute.
STATEMENTS = (READ_TRACK.sql.replace(":id", "$1"), WRITE_PLAY.sql.replace(":track_id", "$1"))
STATEMENT_ROUND_TRIPS = 2


async def calibrate(logs: Path) -> Calibration:
    """Measure for some seconds. Raises `StackError` when PostgreSQL or the proxy does not start."""
    async with embedded_postgres(log=logs / "postgres.log") as (server, _):
        await create_catalogue(server.dsn)
        argv = [sys.executable, "-m", "harness.proxy", "0"]
        async with AsyncExitStack() as stack:
            proxy = await stack.enter_async_context(Child.running("toxiproxy", argv, log=logs / "toxiproxy.log"))
            client = await stack.enter_async_context(ProxyClient((await proxy.next_record(ProxyReady)).port))
            address = await client.create("calibrate", upstream=f"{server.host}:{server.port}")
            source = f"embedded PostgreSQL {server.version}"
            return await _measure(server.dsn_at(*address), source, logs / "service.log")


async def _measure(dsn: str, source: str, log: Path) -> Calibration:
    connection = await asyncpg.connect(dsn, ssl=False, statement_cache_size=0)
    try:
        round_trips_s = await _timed(SAMPLES, lambda: connection.execute("SELECT 1"))
        statements_s = [
            statement_s
            for sql in STATEMENTS
            for statement_s in await _timed(SAMPLES // len(STATEMENTS), lambda sql=sql: connection.fetch(sql, 7))  # type: ignore[misc]
        ]
    finally:
        await connection.close()
    connects_s = await _timed(CONNECTS, lambda: _connect_and_close(dsn), warm_up=3)
    round_trip_s = median(round_trips_s)
    return Calibration(
        round_trip_s=tuple(round_trips_s),
        service_s=tuple(max(0.0, statement_s - STATEMENT_ROUND_TRIPS * round_trip_s) for statement_s in statements_s),
        connect_s=tuple(max(0.0, connect_s - CONNECT_ROUND_TRIPS * round_trip_s) for connect_s in connects_s),
        source=source,
        request_at_once_s=tuple(await _requests_at_once(dsn, log)),
        connect_at_once_s=tuple([await _connects_at_once(dsn) for _ in range(ROUNDS)]),
    )


async def _requests_at_once(dsn: str, log: Path) -> list[float]:
    """For each round, what one of many requests to the service took of the time that all of them took."""
    scenario = Scenario(
        name="calibrate", wake=profile("always-on"), pools=(CALIBRATED_POOL,), timeline=(Warm(), Burst(1, 1))
    )
    trial = Trial(number=0, story=scenario, pool=CALIBRATED_POOL, wake=None, seed=1)
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(running_service(dsn, trial, log=log))
        port = (await service.next_record(ServiceReady)).port
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", timeout=60))

        arrivals = Burst(CLIENTS * REQUESTS_OF_EACH, 1.0).schedule(seed=1)

        async def ask(number: int) -> None:
            for arrival in arrivals[number::CLIENTS]:
                (await client.request(arrival.request.method, arrival.url)).raise_for_status()

        # The first round connects the pool.
        rounds_s = [await _each_at_once(CLIENTS, ask) for _ in range(1 + ROUNDS)]
        return [round_s / REQUESTS_OF_EACH for round_s in rounds_s[1:]]


async def _connects_at_once(dsn: str) -> float:
    return await _each_at_once(CONNECTS_AT_ONCE, lambda _: _connect_and_close(dsn))


async def _each_at_once(count: int, operation: Callable[[int], Awaitable[Any]]) -> float:
    """What one of `count` operations at once takes of the time that all of them take, in seconds."""
    start_s = perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(_awaited(operation(number)))
    return (perf_counter() - start_s) / count


async def _awaited(operation: Awaitable[Any]) -> None:
    await operation


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
