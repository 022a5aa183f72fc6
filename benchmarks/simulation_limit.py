"""How near virtual time is to its limit: the client libraries alone on canned answers, beside the whole.

Both do the same: each instance's pool opens its connections, then 200 requests arrive over 20 s, on a database that is
awake. A round does both, one after the other, in requests per second of CPU; the order changes from round to round.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import cycle
from statistics import median, quantiles
from typing import Any

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.canned import CannedNetwork, Table
from benchmarks.report import write_table
from harness.model.arrivals import Arrival, RequestName
from harness.model.distribution import Constant
from harness.model.scenario import Scenario, pool
from harness.model.timeline import Burst, Warm
from harness.model.times import Times
from harness.model.trial import Trial
from harness.model.wake import profile
from harness.service.pools.sqlalchemy_pool import create_engine
from harness.service.statements import LIST_TRACKS, READ_TRACK, TRY, WRITE_PLAY, track_id
from harness.service.warming import warm_at_once
from harness.simulation.backend import SimulatedPostgres
from harness.simulation.loop import VirtualLoop, run
from harness.simulation.trial import simulate
from harness.simulation.virtual_driver import URL

BURST = Burst(requests=200, over_s=20)
POOL = pool("10+5")
INSTANCES = {1: 21, 10: 11, 100: 5}
"""Instances of the service, each with a pool of its own, and rounds."""
TIMES = Times(service=Constant(0.002))
NAMES = [f"__asyncpg_00000000-0000-4000-8000-{number:012}__" for number in range(4)]
"""Of each connection's prepared statements on canned answers, in turn: as long as the service's own, and so few that
their answers can be learned. asyncpg closes a statement after it has prepared the next one."""
READ, LIST, WRITE, TRIED = (text(statement.sql) for statement in (READ_TRACK, LIST_TRACKS, WRITE_PLAY, TRY))


def whole(instances: int, seed: int) -> None:
    """One trial, with its rows and its pools' timelines."""
    wake = profile("neon")
    scenario = Scenario(name="limit", wake=wake, pools=(POOL,), timeline=(Warm(), BURST), instances=instances)
    rows = simulate(Trial(number=0, story=scenario, pool=POOL, wake=wake, seed=seed), TIMES)
    assert all(row["outcome"] == "ok" for row in rows.requests)


def libraries_alone(instances: int, seed: int, table: Table, *, learn: bool = False) -> None:
    """The same requests as a program without a harness makes them: SQLAlchemy, its pool and asyncpg."""

    async def main(loop: VirtualLoop) -> None:
        CannedNetwork(loop, table, SimulatedPostgres(loop=loop, max_connections=10_000) if learn else None)
        engines = [create_engine(URL, POOL, connection_class=asyncpg.Connection) for _ in range(instances)]
        for engine in engines:
            event.listen(engine.sync_engine, "do_connect", _name_statements)
            await warm_at_once(partial(_tried, engine), POOL.pool_size)
        start_s = loop.time()
        under_way = []
        for arrival in BURST.schedule(seed):
            await asyncio.sleep(start_s + arrival.at_s - loop.time())
            under_way.append(loop.create_task(_perform(engines[arrival.number % instances], arrival)))
        await asyncio.gather(*under_way)
        for engine in engines:
            await engine.dispose()

    run(main)


def _name_statements(_dialect: object, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
    parameters["prepared_statement_name_func"] = cycle(NAMES).__next__


@asynccontextmanager
async def _tried(engine: AsyncEngine) -> AsyncIterator[None]:
    async with engine.connect() as connection:
        await connection.execute(TRIED)
        yield


async def _perform(engine: AsyncEngine, arrival: Arrival) -> None:
    track = track_id(arrival.key)
    async with engine.connect() as connection:
        match arrival.request:
            case RequestName.READ_TRACK:
                (row,) = (await connection.execute(READ, {"id": track})).mappings()
                dict(row)
            case RequestName.LIST_TRACKS:
                rows = (await connection.execute(LIST, {"after": track})).mappings()
                [dict(row) for row in rows]
            case _:
                async with connection.begin():
                    await connection.execute(WRITE, {"track_id": track})


def requests_per_cpu_s(play: Callable[[], None]) -> float:
    began_s = time.process_time()
    play()
    return BURST.requests / (time.process_time() - began_s)


def measured(instances: int, rounds: int) -> list[str]:
    """One line of the table."""
    table: Table = {}
    alone, together, shares = [], [], []
    for seed in range(rounds + 1):
        libraries_alone(instances, seed, table, learn=True)
        plays = {
            "alone": lambda seed=seed: libraries_alone(instances, seed, table),
            "whole": lambda seed=seed: whole(instances, seed),
        }
        found = {name: requests_per_cpu_s(plays[name]) for name in sorted(plays, reverse=bool(seed % 2))}
        # The first round imports what it needs.
        if seed:
            alone.append(found["alone"])
            together.append(found["whole"])
            shares.append(found["whole"] / found["alone"])
    lower, middle, upper = quantiles(shares, n=4)
    return [
        str(instances),
        str(rounds),
        f"{median(alone):,.0f}",
        f"{median(together):,.0f}",
        f"{middle:.2f} ({lower:.2f} to {upper:.2f})",
    ]


def main() -> None:
    """Measure, and write the table."""
    write_table(
        "simulation-limit",
        ("instances", "rounds", "libraries alone", "the whole", "the whole / libraries alone"),
        [measured(instances, rounds) for instances, rounds in INSTANCES.items()],
    )


if __name__ == "__main__":
    main()
