"""The pool's timeline counts what its columns say."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from harness.model.arrivals import RequestName
from harness.model.pool import PoolConfiguration
from harness.model.rows import PoolSample
from harness.postgres import PostgresServer
from harness.service.database import create_engine
from harness.service.observation import PoolWatch
from harness.service.requests import Database
from harness.service.sampling import Timeline

pytestmark = pytest.mark.anyio


@pytest.fixture
async def two_plus_one(postgres: PostgresServer) -> AsyncIterator[Database]:
    watch = PoolWatch()
    dsn = postgres.dsn_at(postgres.host, postgres.port, driver="postgresql+asyncpg")
    engine = create_engine(dsn, PoolConfiguration(pool_size=2, max_overflow=1), watch=watch)
    yield Database(engine, watch)
    await engine.dispose()


def counts(sample: PoolSample) -> dict[str, int]:
    return {name: value for name, value in sample.to_record().items() if name != "at_s"}


async def test_a_pool_that_was_never_used_holds_nothing(two_plus_one: Database) -> None:
    assert set(counts(two_plus_one.watch.sample()).values()) == {0}


async def test_a_warm_pool_is_idle(two_plus_one: Database) -> None:
    await two_plus_one.warm(2)
    sample = two_plus_one.watch.sample()
    assert (sample.size, sample.idle, sample.checked_out) == (2, 2, 0)


async def test_beyond_capacity_requests_wait(two_plus_one: Database) -> None:
    asking = [
        asyncio.create_task(two_plus_one.perform(RequestName.HOLD_CONNECTION, number, hold_s=0.5))
        for number in range(5)
    ]
    seen = []
    while not (seen and seen[-1].waiting == 2 and seen[-1].connecting == 0):
        seen.append(two_plus_one.watch.sample())
        await asyncio.sleep(0.002)
    assert (seen[-1].checked_out, seen[-1].overflow, seen[-1].size) == (3, 1, 3)
    assert max(sample.connecting for sample in seen) > 0
    await asyncio.gather(*asking)
    after = two_plus_one.watch.sample()
    # The overflow connection is closed as it comes back.
    assert (after.size, after.idle, after.waiting) == (2, 2, 0)


async def test_the_timeline_has_every_step_of_a_request(postgres: PostgresServer) -> None:
    samples: list[PoolSample] = []
    timeline = Timeline(samples.append)
    dsn = postgres.dsn_at(postgres.host, postgres.port, driver="postgresql+asyncpg")
    engine = create_engine(dsn, PoolConfiguration(pool_size=1, max_overflow=0), watch=timeline.watch)
    await Database(engine, timeline.watch).perform(RequestName.HOLD_CONNECTION, 1, hold_s=0.05)
    while not (samples and samples[-1].idle):
        await asyncio.sleep(0.005)
    await engine.dispose()
    steps = list(dict.fromkeys((sample.connecting, sample.checked_out, sample.idle) for sample in samples))
    assert steps == [(1, 1, 0), (0, 1, 0), (0, 0, 1)]
