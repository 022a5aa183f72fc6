"""Every outcome, from the exceptions that the real libraries raise against a real PostgreSQL."""

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
from harness.model.wake import profile
from harness.postgres import PostgresServer
from harness.processes.messages import ProxyReady
from harness.processes.process import Child
from harness.proxy.client import ProxyClient, compute_of
from harness.service.answer import Answer
from harness.service.observation import PoolWatch
from harness.service.pools import make_pool
from harness.service.requests import Database

pytestmark = pytest.mark.anyio

QUICK = PoolConfiguration(
    pool_size=1, max_overflow=0, pool_timeout_s=0.3, connection_timeout_s=0.3, statement_timeout_s=0.3
)


@asynccontextmanager
async def database(url: str, pool: PoolConfiguration = QUICK) -> AsyncIterator[Database]:
    watch = PoolWatch()
    made = make_pool(url, pool, watch=watch)
    try:
        yield Database(made, watch)
    finally:
        await asyncio.wait_for(made.close(), 10)


@asynccontextmanager
async def asleep(
    postgres: PostgresServer, proxy: Child, pool: PoolConfiguration = QUICK, *, warm: int = 1, **behaviour: str
) -> AsyncIterator[Database]:
    """A database whose compute has just suspended and takes a minute to wake."""
    port = (await proxy.next_record(ProxyReady)).port
    async with ProxyClient(port) as client:
        wake = profile("neon").with_changes(**behaviour)
        compute = compute_of(wake, wake_latencies_s=[60.0], suspends_by_itself=False)
        host, listening = await client.create("p", upstream=f"127.0.0.1:{postgres.port}", compute=compute)
        async with database(postgres.dsn_at(host, listening, driver="postgresql+asyncpg"), pool) as sleeping:
            await sleeping.warm(warm)
            await client.suspend("p")
            yield sleeping
            await client.remove("p")


def url(postgres: PostgresServer) -> str:
    return postgres.dsn_at(postgres.host, postgres.port, driver="postgresql+asyncpg")


async def ask(database: Database, request: RequestName = RequestName.READ_TRACK, *, hold_s: float = 0.0) -> Answer:
    return await database.perform(request, 7, hold_s=hold_s)


@pytest.mark.parametrize("request_name", [one for one in RequestName if one is not RequestName.LEAK_CONNECTION])
async def test_every_request_is_ok_on_a_database_that_is_awake(
    postgres: PostgresServer, request_name: RequestName
) -> None:
    async with database(url(postgres)) as awake:
        first = await ask(awake, request_name, hold_s=0.01)
        again = await ask(awake, request_name, hold_s=0.01)
    assert (first.outcome, first.error) == (Outcome.OK, None)
    assert first.body
    # The first makes the connection, the second pings it.
    assert first.connect_s > 0 == again.connect_s
    assert again.ping_s > 0 == first.ping_s
    assert again.query_s > 0


async def test_a_leaked_connection_is_answered_for_and_never_comes_back(postgres: PostgresServer) -> None:
    async with database(url(postgres)) as leaking:
        first = await ask(leaking, RequestName.LEAK_CONNECTION)
        second = await ask(leaking)
        await leaking.close_leaked()
        third = await ask(leaking)
    assert [one.outcome for one in (first, second, third)] == [Outcome.OK, Outcome.POOL_TIMEOUT, Outcome.OK]


@pytest.mark.parametrize(
    ("client_s", "server_s", "error"), [(0.3, 0.0, "TimeoutError"), (5.0, 0.3, "QueryCanceledError")]
)
async def test_a_slow_query_ends_by_whichever_limit_is_shorter(
    postgres: PostgresServer, client_s: float, server_s: float, error: str
) -> None:
    limits = replace(QUICK, statement_timeout_s=client_s, server_statement_timeout_s=server_s)
    async with database(url(postgres), limits) as slow:
        answer = await ask(slow, RequestName.SLOW_QUERY, hold_s=3.0)
    assert (answer.outcome, answer.error) == (Outcome.STATEMENT_TIMEOUT, error)
    assert 0.25 < answer.query_s < 1.5


async def test_a_queue_that_runs_out_is_a_pool_timeout(postgres: PostgresServer) -> None:
    async with database(url(postgres)) as awake:
        holding = asyncio.create_task(ask(awake, RequestName.HOLD_CONNECTION, hold_s=1.0))
        while awake.watch.sample().checked_out == 0:
            await asyncio.sleep(0.005)
        late = await ask(awake)
        assert (await holding).outcome is Outcome.OK
    assert (late.outcome, late.error) == (Outcome.POOL_TIMEOUT, "TimeoutError")
    assert late.checkout_s == pytest.approx(0.3, abs=0.15)
    assert late.outcome.http_status == 503


async def test_a_connect_that_is_held_is_a_connect_timeout(postgres: PostgresServer, proxy_process: Child) -> None:
    async with asleep(postgres, proxy_process, while_waking="hold") as sleeping:
        answer = await ask(sleeping)
    assert (answer.outcome, answer.error) == (Outcome.CONNECT_TIMEOUT, "TimeoutError")
    assert answer.connect_s == pytest.approx(0.3, abs=0.15)
    assert answer.checkout_s < 0.15


async def test_a_connect_that_is_refused_is_a_connect_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with database(f"postgresql+asyncpg://u:p@127.0.0.1:{taken.getsockname()[1]}/d") as nowhere:
            answer = await ask(nowhere)
    assert (answer.outcome, answer.error) == (Outcome.CONNECT_ERROR, "ConnectionRefusedError")


async def test_an_error_response_to_a_connect_is_a_connect_error(
    postgres: PostgresServer, proxy_process: Child
) -> None:
    async with asleep(postgres, proxy_process, while_waking="error") as sleeping:
        answer = await ask(sleeping)
    assert (answer.outcome, answer.error) == (Outcome.CONNECT_ERROR, "InternalServerError")


async def test_a_wrong_password_is_a_connect_error(postgres: PostgresServer) -> None:
    wrong = f"postgresql+asyncpg://{postgres.user}:wrong@{postgres.host}:{postgres.port}/{postgres.database}"
    async with database(wrong) as closed:
        answer = await ask(closed)
    assert (answer.outcome, answer.error) == (Outcome.CONNECT_ERROR, "InvalidPasswordError")


async def test_too_many_connections_is_a_connect_error(postgres: PostgresServer) -> None:
    admin = await asyncpg.connect(postgres.dsn, ssl=False)
    await admin.execute("DROP ROLE IF EXISTS narrow")
    await admin.execute("CREATE ROLE narrow LOGIN SUPERUSER PASSWORD 'narrow' CONNECTION LIMIT 0")
    await admin.execute("ALTER ROLE narrow NOSUPERUSER")
    try:
        url_ = f"postgresql+asyncpg://narrow:narrow@{postgres.host}:{postgres.port}/{postgres.database}"
        async with database(url_) as narrow:
            answer = await ask(narrow)
    finally:
        await admin.execute("DROP ROLE narrow")
        await admin.close()
    assert (answer.outcome, answer.error) == (Outcome.CONNECT_ERROR, "TooManyConnectionsError")


async def test_a_statement_that_takes_too_long_is_a_statement_timeout(postgres: PostgresServer) -> None:
    admin = await asyncpg.connect(postgres.dsn, ssl=False)
    async with database(url(postgres)) as awake:
        await awake.warm(1)
        async with admin.transaction():
            await admin.execute("LOCK TABLE plays IN ACCESS EXCLUSIVE MODE")
            answer = await ask(awake, RequestName.WRITE_PLAY)
    await admin.close()
    assert (answer.outcome, answer.error) == (Outcome.STATEMENT_TIMEOUT, "TimeoutError")
    assert answer.outcome.http_status == 504


async def test_the_servers_own_statement_timeout_is_one_too(postgres: PostgresServer) -> None:
    admin = await asyncpg.connect(postgres.dsn, ssl=False)
    await admin.execute(f"ALTER ROLE {postgres.user} SET statement_timeout = '100ms'")
    try:
        async with database(url(postgres), replace(QUICK, statement_timeout_s=5.0)) as awake:
            await awake.warm(1)
            async with admin.transaction():
                await admin.execute("SET LOCAL statement_timeout = 0")
                await admin.execute("LOCK TABLE plays IN ACCESS EXCLUSIVE MODE")
                answer = await ask(awake, RequestName.WRITE_PLAY)
    finally:
        await admin.execute(f"ALTER ROLE {postgres.user} RESET statement_timeout")
        await admin.close()
    assert (answer.outcome, answer.error) == (Outcome.STATEMENT_TIMEOUT, "QueryCanceledError")


async def test_a_frozen_connection_in_the_pool_is_lost_when_its_ping_runs_out(
    postgres: PostgresServer, proxy_process: Child
) -> None:
    async with asleep(postgres, proxy_process, on_suspend="freeze") as sleeping:
        answer = await ask(sleeping)
    assert (answer.outcome, answer.error) == (Outcome.CONNECTION_LOST, "TimeoutError")
    assert answer.ping_s == pytest.approx(0.3, abs=0.15)


@pytest.mark.parametrize("on_suspend", ["close", "terminate", "reset"])
async def test_without_a_pre_ping_a_connection_that_died_in_the_pool_is_lost(
    postgres: PostgresServer, proxy_process: Child, on_suspend: str
) -> None:
    without = replace(QUICK, pool_pre_ping=False)
    async with asleep(postgres, proxy_process, without, on_suspend=on_suspend) as sleeping:
        # The news travels: asyncpg learns of it when its transport does.
        await asyncio.sleep(0.1)
        answer = await ask(sleeping)
    assert answer.outcome is Outcome.CONNECTION_LOST
    assert answer.outcome.http_status == 500


async def test_a_query_whose_backend_is_terminated_is_lost(postgres: PostgresServer) -> None:
    admin = await asyncpg.connect(postgres.dsn, ssl=False)
    async with database(url(postgres), replace(QUICK, statement_timeout_s=5.0)) as awake:
        await awake.warm(1)
        async with admin.transaction():
            await admin.execute("LOCK TABLE plays IN ACCESS EXCLUSIVE MODE")
            asking = asyncio.create_task(ask(awake, RequestName.WRITE_PLAY))
            kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid <> $1"
            while not await admin.fetch(kill, admin.get_server_pid()):
                await asyncio.sleep(0.01)
            answer = await asking
    await admin.close()
    assert answer.outcome is Outcome.CONNECTION_LOST
    assert answer.error == "ConnectionDoesNotExistError"


async def test_a_statement_that_is_wrong_is_an_error_with_its_name(postgres: PostgresServer) -> None:
    admin = await asyncpg.connect(postgres.dsn, ssl=False)
    await admin.execute("ALTER TABLE plays RENAME TO plays_")
    try:
        async with database(url(postgres)) as awake:
            answer = await ask(awake, RequestName.WRITE_PLAY)
    finally:
        await admin.execute("ALTER TABLE plays_ RENAME TO plays")
        await admin.close()
    assert (answer.outcome, answer.error) == (Outcome.ERROR, "UndefinedTableError")


async def test_a_cancelled_request_is_nobodys_outcome(postgres: PostgresServer) -> None:
    async with database(url(postgres)) as awake:
        asking = asyncio.create_task(ask(awake, RequestName.HOLD_CONNECTION, hold_s=60))
        while awake.watch.sample().checked_out == 0:
            await asyncio.sleep(0.005)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await ask(awake)).outcome is Outcome.OK
        after = awake.watch.sample()
    assert (after.checked_out, after.waiting, after.connecting) == (0, 0, 0)
