"""The pools of asyncpg and psycopg_pool against a real PostgreSQL: the same requests, outcomes and counters."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
import pytest

from harness.model.arrivals import RequestName
from harness.model.outcomes import Outcome
from harness.model.pool import PoolConfiguration
from harness.model.pool_library import PoolLibrary
from harness.model.shape import Checkout, Commit, Query, RequestShape, Write
from harness.model.wake import profile
from harness.postgres import PostgresServer
from harness.processes.messages import ProxyReady
from harness.processes.process import Child
from harness.proxy.client import ProxyClient, compute_of
from harness.service.answer import Answer
from harness.service.instance import Instance
from harness.service.observation import PoolWatch
from harness.service.pools import make_pool
from harness.service.requests import Database
from harness.service.sampling import Timeline

pytestmark = pytest.mark.anyio

LIBRARIES = (PoolLibrary.ASYNCPG, PoolLibrary.PSYCOPG_POOL)
LIMIT_S = 10.0
either = pytest.mark.parametrize("library", LIBRARIES)


def quick(library: PoolLibrary, **changes: float) -> PoolConfiguration:
    quick_one = PoolConfiguration(
        pool_size=1, max_overflow=0, pool_library=library, pool_timeout_s=0.5, connection_timeout_s=2.0
    )
    return replace(quick_one, **changes)  # type: ignore[arg-type]


@asynccontextmanager
async def database(url: str, pool: PoolConfiguration) -> AsyncIterator[Database]:
    watch = PoolWatch()
    made = make_pool(url, pool, watch=watch)
    try:
        yield Database(made, watch)
    finally:
        await asyncio.wait_for(made.close(), LIMIT_S)


async def ask(database: Database, request: RequestName = RequestName.READ_TRACK, *, hold_s: float = 0.0) -> Answer:
    return await database.perform(request, 7, hold_s=hold_s)


@either
@pytest.mark.parametrize("request_name", [one for one in RequestName if one is not RequestName.LEAK_CONNECTION])
async def test_every_request_is_ok_and_answers_what_sqlalchemys_pool_answers(
    postgres: PostgresServer, library: PoolLibrary, request_name: RequestName
) -> None:
    async with database(postgres.dsn, quick(library)) as awake:
        answer = await ask(awake, request_name, hold_s=0.01)
    async with database(postgres.dsn, quick(PoolLibrary.SQLALCHEMY)) as other:
        expected = await ask(other, request_name, hold_s=0.01)
    assert (answer.outcome, answer.error) == (Outcome.OK, None)
    assert answer.body == expected.body


@either
async def test_the_second_request_has_the_first_ones_connection(postgres: PostgresServer, library: PoolLibrary) -> None:
    async with database(postgres.dsn, quick(library)) as awake:
        new, used = await ask(awake), await ask(awake)
        sample = awake.watch.sample()
    assert new.idle_s is None
    assert used.idle_s is not None
    # Only psycopg_pool has a pre-ping, and neither connects in a request when it has just opened.
    assert (new.connect_s, used.connect_s) == (0.0, 0.0)
    assert (used.ping_s > 0) is (library is PoolLibrary.PSYCOPG_POOL)
    assert (sample.size, sample.idle, sample.checked_out, sample.waiting) == (1, 1, 0, 0)
    assert (sample.connects, sample.connects_failed, sample.pings_failed) == (1, 0, 0)


@either
async def test_a_pool_holds_nothing_until_its_first_use_and_then_its_size(
    postgres: PostgresServer, library: PoolLibrary
) -> None:
    async with database(postgres.dsn, quick(library, pool_size=3, max_overflow=2)) as awake:
        before = awake.watch.sample()
        await awake.warm(1)
        after = awake.watch.sample()
    assert (before.size, before.connects) == (0, 0)
    assert (after.size, after.idle, after.connects, after.overflow) == (3, 3, 3, 0)


@either
async def test_a_connection_that_the_pool_makes_by_itself_tells_how_long_it_took(
    postgres: PostgresServer, library: PoolLibrary
) -> None:
    took_s: list[float] = []
    async with database(postgres.dsn, quick(library)) as awake:
        awake.watch.connected_by_pool = took_s.append
        await ask(awake)
    assert len(took_s) == 1
    assert took_s[0] > 0


@either
async def test_a_queue_that_runs_out_is_a_pool_timeout(postgres: PostgresServer, library: PoolLibrary) -> None:
    async with database(postgres.dsn, quick(library)) as awake:
        await awake.warm(1)
        holding = asyncio.create_task(ask(awake, RequestName.HOLD_CONNECTION, hold_s=1.5))
        async with asyncio.timeout(LIMIT_S):
            while awake.watch.sample().checked_out == 0:
                await asyncio.sleep(0.005)
        asking = asyncio.create_task(ask(awake))
        await asyncio.sleep(0.1)
        during = awake.watch.sample()
        late = await asking
        assert (await holding).outcome is Outcome.OK
    assert (during.checked_out, during.waiting) == (1, 1)
    assert late.outcome is Outcome.POOL_TIMEOUT
    assert late.error == ("TimeoutError" if library is PoolLibrary.ASYNCPG else "PoolTimeout")
    assert late.checkout_s == pytest.approx(0.5, abs=0.3)


@either
async def test_a_leaked_connection_never_comes_back(postgres: PostgresServer, library: PoolLibrary) -> None:
    async with database(postgres.dsn, quick(library)) as leaking:
        first, second = await ask(leaking, RequestName.LEAK_CONNECTION), await ask(leaking)
        await leaking.close_leaked()
        third = await ask(leaking)
    assert [one.outcome for one in (first, second, third)] == [Outcome.OK, Outcome.POOL_TIMEOUT, Outcome.OK]


@either
async def test_a_server_that_refuses_is_an_error_of_asyncpg_and_a_wait_of_psycopg_pool(library: PoolLibrary) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://u:p@127.0.0.1:{taken.getsockname()[1]}/d"
        async with database(url, quick(library)) as nowhere:
            answers = [await ask(nowhere) for _ in range(2)]
            failed = nowhere.watch.sample().connects_failed
    expected = Outcome.CONNECT_ERROR if library is PoolLibrary.ASYNCPG else Outcome.POOL_TIMEOUT
    assert {answer.outcome for answer in answers} == {expected}
    assert failed >= 1


async def test_a_connect_that_asyncpgs_acquire_ran_out_on_is_a_connect_timeout(
    postgres: PostgresServer, proxy_process: Child
) -> None:
    pool = quick(PoolLibrary.ASYNCPG, pool_timeout_s=0.3, max_overflow=1)
    port = (await proxy_process.next_record(ProxyReady)).port
    async with ProxyClient(port) as client:
        wake = profile("neon").with_changes(on_suspend="keep")
        compute = compute_of(wake, wake_latencies_s=[60.0], suspends_by_itself=False)
        host, listening = await client.create("p", upstream=f"127.0.0.1:{postgres.port}", compute=compute)
        async with database(postgres.dsn_at(host, listening, driver="postgresql"), pool) as sleeping:
            await sleeping.warm(1)
            holding = asyncio.create_task(ask(sleeping, RequestName.HOLD_CONNECTION, hold_s=1.0))
            async with asyncio.timeout(LIMIT_S):
                while sleeping.watch.sample().checked_out == 0:
                    await asyncio.sleep(0.005)
            await asyncio.sleep(0.1)
            await client.suspend("p")
            answer = await ask(sleeping)
            await holding
        await client.remove("p")
    assert (answer.outcome, answer.error) == (Outcome.CONNECT_TIMEOUT, "TimeoutError")
    assert answer.connect_s == pytest.approx(0.3, abs=0.2)


@either
async def test_what_a_shape_commits_is_there_and_what_it_does_not_is_the_librarys_own_way(
    postgres: PostgresServer, library: PoolLibrary
) -> None:
    shapes = (
        RequestShape("committed", Checkout(Write(), Commit(), Query())),
        RequestShape("left", Checkout(Write(), Query())),
    )
    instance = Instance(postgres.dsn, quick(library), PoolWatch(), shapes=shapes)
    counts = []
    for shape in shapes:
        before = await plays(postgres)
        assert (await instance.perform(shape, 7)).outcome is Outcome.OK
        counts.append(await plays(postgres) - before)
    await instance.abandon()
    # `async with pool.connection()` of psycopg_pool commits at its end.
    assert counts == [1, 0 if library is PoolLibrary.ASYNCPG else 1]


async def plays(postgres: PostgresServer) -> int:
    connection = await asyncpg.connect(postgres.dsn, ssl=False)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM plays"))
    finally:
        await connection.close()


@either
async def test_a_replaced_pool_closes_and_the_new_one_answers(postgres: PostgresServer, library: PoolLibrary) -> None:
    timeline = Timeline(lambda _: None)
    instance = Instance(postgres.dsn, quick(library), timeline.watch)
    assert (await instance.perform(RequestName.READ_TRACK, 1)).outcome is Outcome.OK
    instance.replace_pool()
    assert (await instance.perform(RequestName.READ_TRACK, 1)).outcome is Outcome.OK
    async with asyncio.timeout(LIMIT_S):
        while timeline.watch.sample().size != 1:
            await asyncio.sleep(0.01)
    assert timeline.watch.sample().connects == 2
    await instance.abandon()


@either
async def test_a_cancelled_request_gives_its_slot_back(postgres: PostgresServer, library: PoolLibrary) -> None:
    async with database(postgres.dsn, quick(library)) as awake:
        asking = asyncio.create_task(ask(awake, RequestName.HOLD_CONNECTION, hold_s=60))
        async with asyncio.timeout(LIMIT_S):
            while awake.watch.sample().idle or not awake.watch.sample().connects or awake.watch.sample().waiting:
                await asyncio.sleep(0.005)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await ask(awake)).outcome is Outcome.OK
        after = awake.watch.sample()
    assert (after.checked_out, after.waiting, after.connecting) == (0, 0, 0)
