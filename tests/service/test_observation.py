"""The pool's timeline counts what its columns say."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
import pytest
from sqlalchemy import Pool, event

from harness.model.arrivals import RequestName
from harness.model.outcomes import Outcome
from harness.model.pool import PoolConfiguration
from harness.model.rows import PoolSample
from harness.postgres import PostgresServer
from harness.service.drivers.asyncpg_driver import ObservedAsyncpgConnection
from harness.service.observation import PoolWatch
from harness.service.pools import make_pool
from harness.service.pools.sqlalchemy_pool import SqlalchemyPool
from harness.service.requests import Database
from harness.service.sampling import Timeline

pytestmark = pytest.mark.anyio

LIMIT_S = 10.0
"""A pool that does not get there in this time never will."""


@asynccontextmanager
async def watched(
    postgres: PostgresServer, *, pre_ping: bool = False, changed: Callable[[], None] = lambda: None
) -> AsyncIterator[Database]:
    """A pool of 2+1 connections."""
    watch = PoolWatch(changed)
    dsn = postgres.dsn_at(postgres.host, postgres.port, driver="postgresql+asyncpg")
    pool = make_pool(dsn, PoolConfiguration(pool_size=2, max_overflow=1, pool_pre_ping=pre_ping), watch=watch)
    yield Database(pool, watch)
    await pool.close()


def queue_of(database: Database) -> Pool:
    """SQLAlchemy's own pool."""
    assert isinstance(database.pool, SqlalchemyPool)
    return database.pool.engine.sync_engine.pool


@pytest.fixture
async def two_plus_one(postgres: PostgresServer) -> AsyncIterator[Database]:
    async with watched(postgres) as database:
        yield database


def counts(sample: PoolSample) -> dict[str, int]:
    return {name: value for name, value in sample.to_record().items() if name != "at_s"}


async def test_a_pool_that_was_never_used_holds_nothing(two_plus_one: Database) -> None:
    assert set(counts(two_plus_one.watch.sample()).values()) == {0}


async def test_a_sample_is_of_now_or_of_the_moment_it_is_given(two_plus_one: Database) -> None:
    now_s = asyncio.get_running_loop().time()
    assert now_s <= two_plus_one.watch.sample().at_s <= now_s + 1
    assert two_plus_one.watch.sample(at_s=7.5).at_s == 7.5


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
    async with asyncio.timeout(LIMIT_S):
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
    pool = make_pool(dsn, PoolConfiguration(pool_size=1, max_overflow=0), watch=timeline.watch)
    await Database(pool, timeline.watch).perform(RequestName.HOLD_CONNECTION, 1, hold_s=0.05)
    async with asyncio.timeout(LIMIT_S):
        while not (samples and samples[-1].idle):
            await asyncio.sleep(0.005)
    await pool.close()
    steps = list(dict.fromkeys((sample.connecting, sample.checked_out, sample.idle) for sample in samples))
    assert steps == [(1, 1, 0), (0, 1, 0), (0, 0, 1)]


async def test_requests_that_connect_at_once_are_all_counted_and_none_of_them_waits(postgres: PostgresServer) -> None:
    samples: list[PoolSample] = []
    async with watched(postgres, changed=lambda: samples.append(database.watch.sample())) as database:
        # A request before them: what it took must have been given back.
        await database.perform(RequestName.READ_TRACK, 0)
        samples.clear()
        await asyncio.gather(*[database.perform(RequestName.HOLD_CONNECTION, key, hold_s=0.1) for key in range(3)])
        assert max(sample.connecting for sample in samples) == 2
        assert next(sample.waiting for sample in samples if sample.connecting == 2) == 0
        # The first of the three to end leaves an idle connection, beside which the third is still one too many.
        assert any((sample.checked_out, sample.idle, sample.overflow) == (2, 1, 1) for sample in samples)


async def test_a_connection_whose_ping_failed_was_not_held(postgres: PostgresServer) -> None:
    async with watched(postgres, pre_ping=True) as database:
        await database.perform(RequestName.READ_TRACK, 0)
        pool = queue_of(database)
        await _end_other_sessions(postgres)
        event.listen(pool, "connect", _lose, insert=True)
        assert (await database.perform(RequestName.READ_TRACK, 0)).outcome is Outcome.CONNECT_ERROR
        event.remove(pool, "connect", _lose)
        replaced = await database.perform(RequestName.READ_TRACK, 0)
        assert (replaced.outcome, replaced.idle_s) == (Outcome.OK, None)
        assert replaced.connect_s > 0
        asking = [
            asyncio.create_task(database.perform(RequestName.HOLD_CONNECTION, key, hold_s=0.5)) for key in range(5)
        ]
        async with asyncio.timeout(LIMIT_S):
            while (sample := database.watch.sample()).connecting or sample.checked_out < 3:
                await asyncio.sleep(0.002)
        assert sample.waiting == 2
        await asyncio.gather(*asking)


def _lose(*_: object) -> None:
    raise ConnectionResetError


async def _end_other_sessions(postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(postgres.dsn, ssl=False)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()


async def test_a_connection_that_is_closed_in_the_pool_is_a_change(postgres: PostgresServer) -> None:
    changes: list[None] = []
    async with watched(postgres, changed=lambda: changes.append(None)) as database:
        await database.warm(1)
        changes.clear()
        await database.pool.close()
        assert changes


async def test_only_the_ping_before_a_checkout_is_counted_as_one(postgres: PostgresServer) -> None:
    async with watched(postgres, pre_ping=True) as database:
        new, used = [await database.perform(RequestName.READ_TRACK, 0) for _ in range(2)]
        assert (new.ping_s, used.connect_s) == (0.0, 0.0)
        assert used.ping_s > 0 < new.connect_s


async def test_a_connection_knows_how_long_it_was_idle(two_plus_one: Database) -> None:
    new = await two_plus_one.perform(RequestName.READ_TRACK, 0)
    await asyncio.sleep(0.05)
    used = await two_plus_one.perform(RequestName.READ_TRACK, 0)
    assert new.idle_s is None
    assert used.idle_s == pytest.approx(0.05, abs=0.04)


async def test_a_connection_that_is_lost_while_it_is_prepared_is_a_connect_that_failed(two_plus_one: Database) -> None:
    event.listen(queue_of(two_plus_one), "connect", _lose, insert=True)
    assert (await two_plus_one.perform(RequestName.READ_TRACK, 0)).outcome is Outcome.CONNECT_ERROR
    assert two_plus_one.watch.sample().connecting == 0


async def test_a_server_that_refuses_is_a_connect_that_failed(postgres: PostgresServer) -> None:
    async with watched(replace(postgres, port=1)) as database:
        assert (await database.perform(RequestName.READ_TRACK, 0)).outcome is Outcome.CONNECT_ERROR
        assert database.watch.sample().connecting == 0


async def test_a_watched_connection_passes_everything_on(postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(postgres.dsn, ssl=False, connection_class=ObservedAsyncpgConnection)
    try:
        assert (await connection.fetchrow("SELECT $1::int", 7))[0] == 7
        assert await connection.execute("SELECT generate_series(1, $1)", 3) == "SELECT 3"
        for ask in (connection.fetchrow, connection.execute):
            with pytest.raises(TimeoutError):
                await ask("SELECT pg_sleep(10)", timeout=0.05)
    finally:
        connection.terminate()
