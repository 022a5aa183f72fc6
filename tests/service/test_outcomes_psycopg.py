"""Every outcome with psycopg, from the exceptions that it raises against a real PostgreSQL."""

import asyncio
import socket
from dataclasses import replace

import asyncpg
import pytest
from sqlalchemy import text

from harness.model.arrivals import RequestName
from harness.model.driver import Driver
from harness.model.outcomes import Outcome
from harness.model.pool import PoolConfiguration
from harness.postgres import PostgresServer
from harness.processes.process import Child
from harness.service.drivers.psycopg_driver import ObservedPsycopgConnection
from harness.service.pools.sqlalchemy_pool import SqlalchemyConnection
from tests.service.test_outcomes import ask, asleep, database

pytestmark = pytest.mark.anyio

QUICK = PoolConfiguration(
    pool_size=1, max_overflow=0, driver=Driver.PSYCOPG, pool_timeout_s=0.3, connection_timeout_s=2.0
)
SERVER_LIMITED = replace(QUICK, server_statement_timeout_s=0.3)


@pytest.mark.parametrize("request_name", [one for one in RequestName if one is not RequestName.LEAK_CONNECTION])
async def test_every_request_is_ok_on_a_database_that_is_awake(
    postgres: PostgresServer, request_name: RequestName
) -> None:
    async with database(postgres.dsn, QUICK) as awake:
        # From the sixth time on psycopg has the statement prepared on the server.
        first, *others = [await ask(awake, request_name, hold_s=0.01) for _ in range(7)]
    assert [(one.outcome, one.error) for one in (first, *others)] == [(Outcome.OK, None)] * 7
    assert first.body
    assert all(other.body == first.body for other in others)
    # The first makes the connection, the others ping it.
    assert first.connect_s > 0 == first.ping_s
    assert all(other.ping_s > 0 == other.connect_s for other in others)
    assert all(other.query_s > 0 for other in others)


async def test_a_leaked_connection_is_answered_for_and_never_comes_back(postgres: PostgresServer) -> None:
    async with database(postgres.dsn, QUICK) as leaking:
        first = await ask(leaking, RequestName.LEAK_CONNECTION)
        second = await ask(leaking)
        await leaking.close_leaked()
        third = await ask(leaking)
    assert [one.outcome for one in (first, second, third)] == [Outcome.OK, Outcome.POOL_TIMEOUT, Outcome.OK]


async def test_a_slow_query_ends_by_the_servers_own_limit_only(postgres: PostgresServer) -> None:
    async with database(postgres.dsn, SERVER_LIMITED) as limited:
        answer = await ask(limited, RequestName.SLOW_QUERY, hold_s=3.0)
        again = await ask(limited)
    assert (answer.outcome, answer.error) == (Outcome.STATEMENT_TIMEOUT, "QueryCanceled")
    assert 0.25 < answer.query_s < 1.5
    assert again.outcome is Outcome.OK


async def test_a_connect_that_is_held_is_a_connect_timeout(postgres: PostgresServer, proxy_process: Child) -> None:
    async with asleep(postgres, proxy_process, QUICK, while_waking="hold") as sleeping:
        answer = await ask(sleeping)
    assert (answer.outcome, answer.error) == (Outcome.CONNECT_TIMEOUT, "ConnectionTimeout")
    assert answer.connect_s == pytest.approx(2.0, abs=0.3)
    assert answer.checkout_s < 0.15


async def test_a_connect_that_is_refused_is_a_connect_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with database(f"postgresql://u:p@127.0.0.1:{taken.getsockname()[1]}/d", QUICK) as nowhere:
            answer = await ask(nowhere)
    assert (answer.outcome, answer.error) == (Outcome.CONNECT_ERROR, "OperationalError")


async def test_an_error_response_to_a_connect_is_a_connect_error(
    postgres: PostgresServer, proxy_process: Child
) -> None:
    async with asleep(postgres, proxy_process, QUICK, while_waking="error") as sleeping:
        answer = await ask(sleeping)
    assert (answer.outcome, answer.error) == (Outcome.CONNECT_ERROR, "OperationalError")


async def test_a_wrong_password_is_a_connect_error(postgres: PostgresServer) -> None:
    wrong = f"postgresql://{postgres.user}:wrong@{postgres.host}:{postgres.port}/{postgres.database}"
    async with database(wrong, QUICK) as closed:
        answer = await ask(closed)
    assert (answer.outcome, answer.error) == (Outcome.CONNECT_ERROR, "OperationalError")


@pytest.mark.parametrize("on_suspend", ["close", "terminate", "reset"])
async def test_without_a_pre_ping_a_connection_that_died_in_the_pool_is_lost(
    postgres: PostgresServer, proxy_process: Child, on_suspend: str
) -> None:
    without = replace(QUICK, pool_pre_ping=False)
    async with asleep(postgres, proxy_process, without, on_suspend=on_suspend) as sleeping:
        answer = await ask(sleeping)
    assert answer.outcome is Outcome.CONNECTION_LOST
    # What the server said on its way out, where it said it; else libpq's own words, without an SQLSTATE.
    assert answer.error == ("AdminShutdown" if on_suspend == "terminate" else "OperationalError")


async def test_a_pre_ping_that_meets_a_closed_connection_counts_as_failed_and_another_is_made(
    postgres: PostgresServer, proxy_process: Child
) -> None:
    async with asleep(postgres, proxy_process, QUICK, on_suspend="close", while_waking="error") as sleeping:
        answer = await ask(sleeping)
        sample = sleeping.watch.sample()
    assert answer.outcome is Outcome.CONNECT_ERROR
    assert (sample.pings_failed, sample.connects, sample.connects_failed) == (1, 1, 1)


async def test_a_ping_on_a_frozen_connection_has_no_limit(postgres: PostgresServer, proxy_process: Child) -> None:
    async with asleep(postgres, proxy_process, SERVER_LIMITED, on_suspend="freeze") as sleeping:
        asking = asyncio.create_task(ask(sleeping))
        done, _ = await asyncio.wait({asking}, timeout=1.5)
        assert not done
        # A second cancellation ends psycopg's own attempt to cancel the statement, 5 s, and closes the connection.
        while not asking.done():
            asking.cancel()
            await asyncio.sleep(0.05)
        assert asking.cancelled()


async def test_a_query_whose_backend_is_terminated_is_lost(postgres: PostgresServer) -> None:
    admin = await asyncpg.connect(postgres.dsn, ssl=False)
    async with database(postgres.dsn, QUICK) as awake:
        await awake.warm(1)
        async with admin.transaction():
            await admin.execute("LOCK TABLE plays IN ACCESS EXCLUSIVE MODE")
            asking = asyncio.create_task(ask(awake, RequestName.WRITE_PLAY))
            kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid <> $1"
            while not await admin.fetch(kill, admin.get_server_pid()):
                await asyncio.sleep(0.01)
            answer = await asking
    await admin.close()
    assert (answer.outcome, answer.error) == (Outcome.CONNECTION_LOST, "AdminShutdown")


async def test_a_statement_that_is_wrong_is_an_error_with_its_name(postgres: PostgresServer) -> None:
    admin = await asyncpg.connect(postgres.dsn, ssl=False)
    await admin.execute("ALTER TABLE plays RENAME TO plays_")
    try:
        async with database(postgres.dsn, QUICK) as awake:
            answer = await ask(awake, RequestName.WRITE_PLAY)
    finally:
        await admin.execute("ALTER TABLE plays_ RENAME TO plays")
        await admin.close()
    assert (answer.outcome, answer.error) == (Outcome.ERROR, "UndefinedTable")


async def test_a_cancelled_request_is_nobodys_outcome(postgres: PostgresServer) -> None:
    async with database(postgres.dsn, QUICK) as awake:
        asking = asyncio.create_task(ask(awake, RequestName.SLOW_QUERY, hold_s=60))
        while awake.watch.sample().checked_out == 0 or awake.watch.sample().connecting:
            await asyncio.sleep(0.005)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await ask(awake)).outcome is Outcome.OK
        after = awake.watch.sample()
    assert (after.checked_out, after.waiting, after.connecting) == (0, 0, 0)


async def test_the_engines_connections_are_the_observed_ones_with_the_settings(postgres: PostgresServer) -> None:
    async with database(postgres.dsn, SERVER_LIMITED) as awake, awake.connection() as connection:
        assert isinstance(connection, SqlalchemyConnection)
        raw = (await connection._connection.get_raw_connection()).driver_connection
        assert isinstance(raw, ObservedPsycopgConnection)
        parameters = raw.info.get_parameters()
        limit = (await connection._connection.execute(text("SHOW statement_timeout"))).scalar_one()
    # It leaves out what is libpq's own default, as gssencmode=disable is in psycopg's binary package.
    assert (parameters["connect_timeout"], parameters["sslmode"]) == ("2", "disable")
    assert raw.prepare_threshold == 5
    assert limit == "300ms"
