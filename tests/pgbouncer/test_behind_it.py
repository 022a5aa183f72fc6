"""What the service meets behind a real PgBouncer: which outcome its errors become, and what prepared statements do."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from harness.model.arrivals import RequestName
from harness.model.driver import Driver
from harness.model.pool import PoolConfiguration
from harness.model.scenario import pool
from harness.model.server import PgBouncer
from harness.pgbouncer import running_pgbouncer
from harness.pgbouncer.program import program
from harness.postgres import PostgresServer
from harness.service.answer import Answer
from harness.service.classify import driver_exception
from harness.service.observation import PoolWatch
from harness.service.pools import make_pool
from harness.service.pools.sqlalchemy_pool import create_engine
from harness.service.requests import Database
from tests.conftest import needs_pgbouncer

pytestmark = [pytest.mark.anyio, needs_pgbouncer]

POOL = PoolConfiguration(pool_size=3, max_overflow=0, connection_timeout_s=5.0, statement_timeout_s=5.0)
CLIENTS, ROUNDS = 8, 10
STATEMENTS = (
    text("SELECT id FROM tracks WHERE id = :id"),
    text("SELECT title FROM tracks WHERE id = :id"),
    text("SELECT artist_id FROM tracks WHERE id = :id"),
)
SHARED_BY_TWO = PgBouncer(mode="transaction", default_pool_size=1, query_wait_timeout_s=0.4)


@pytest.fixture
def nobody(postgres: PostgresServer) -> PostgresServer:
    """Where no server listens."""
    return replace(postgres, port=1)


@asynccontextmanager
async def url(pooler: PgBouncer, server: PostgresServer, log: Path) -> AsyncIterator[str]:
    async with running_pgbouncer(pooler, server, log=log) as (reached, _):
        yield reached.dsn_at(reached.host, reached.port, driver="postgresql+asyncpg")


async def asked(
    pooler: PgBouncer,
    server: PostgresServer,
    log: Path,
    *,
    times: int,
    request: RequestName = RequestName.READ_TRACK,
    pool: PoolConfiguration = POOL,
) -> list[Answer]:
    """What becomes of so many requests at once."""
    watch = PoolWatch()
    async with url(pooler, server, log) as address:
        made = make_pool(address, pool, watch=watch)
        database = Database(made, watch)
        answers = await asyncio.gather(*(database.perform(request, 7, hold_s=0.8) for _ in range(times)))
        await made.close()
    return list(answers)


def outcomes(answers: list[Answer]) -> list[tuple[str, str | None]]:
    return sorted((str(answer.outcome), answer.error) for answer in answers)


async def test_one_client_too_many_is_a_connect_error(postgres: PostgresServer, tmp_path: Path) -> None:
    pooler = PgBouncer(mode="transaction", max_client_conn=2)
    answers = await asked(pooler, postgres, tmp_path / "log", times=3, request=RequestName.HOLD_CONNECTION)
    *served, refused = sorted(answers, key=lambda answer: answer.outcome == "connect_error")
    assert [answer.outcome for answer in served] == ["ok", "ok"]
    # 08P01 of 1.18; 53300 is PostgreSQL's own for the same.
    assert (refused.outcome, refused.error) in [
        ("connect_error", name) for name in ("ProtocolViolationError", "TooManyConnectionsError")
    ]


@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_a_wait_that_query_wait_timeout_ends_is_a_lost_connection(
    postgres: PostgresServer, tmp_path: Path, mode: str
) -> None:
    pooler = replace(SHARED_BY_TWO, mode=mode)
    answers = await asked(pooler, postgres, tmp_path / "log", times=2, request=RequestName.SLOW_QUERY)
    assert outcomes(answers) == [("connection_lost", "ConnectionDoesNotExistError"), ("ok", None)]
    assert "query_wait_timeout" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("limit", ["query_wait_timeout_s", "client_login_timeout_s"])
async def test_a_login_without_a_server_is_a_connect_error(nobody: PostgresServer, tmp_path: Path, limit: str) -> None:
    pooler = replace(PgBouncer(mode="transaction"), **{limit: 0.5})
    answers = await asked(pooler, nobody, tmp_path / "log", times=2)
    assert {answer.outcome for answer in answers} == {"connect_error"}


async def test_a_login_that_takes_longer_than_the_service_waits_is_a_connect_timeout(
    nobody: PostgresServer, tmp_path: Path
) -> None:
    pool = replace(POOL, connection_timeout_s=0.3)
    answers = await asked(PgBouncer(), nobody, tmp_path / "log", times=1, pool=pool)
    assert outcomes(answers) == [("connect_timeout", "TimeoutError")]


async def test_a_servers_statement_timeout_is_a_startup_parameter_that_it_refuses_or_drops(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    pool = replace(POOL, server_statement_timeout_s=0.3)
    slow = RequestName.SLOW_QUERY
    refusing = PgBouncer(mode="transaction")
    refused = await asked(refusing, postgres, tmp_path / "log", times=1, request=slow, pool=pool)
    assert outcomes(refused) == [("connect_error", "ProtocolViolationError")]
    dropping = replace(refusing, ignore_startup_parameters=("statement_timeout",))
    dropped = await asked(dropping, postgres, tmp_path / "log", times=1, request=slow, pool=pool)
    # Dropped means that there is no limit: the statement takes its 0.8 s.
    assert outcomes(dropped) == [("ok", None)]


async def errors_of(engine: AsyncEngine, *, rounds: int = ROUNDS, commits: bool = False) -> Counter[str]:
    """The errors of several clients that ask the same few statements, by the driver's names."""
    found = Counter[str]()

    async def client(number: int) -> None:
        for turn in range(rounds):
            statement = STATEMENTS[turn % len(STATEMENTS)]
            try:
                async with engine.connect() as connection:
                    await connection.execute(statement, {"id": number})
                    if commits:
                        await connection.commit()
            except DBAPIError as error:
                found[type(driver_exception(error)).__name__] += 1

    await asyncio.gather(*map(client, range(CLIENTS)))
    await engine.dispose()
    return found


def not_following(mode: str) -> PgBouncer:
    """Fewer server connections than clients in transaction mode, and no help with prepared statements."""
    off = 0 if program().follows_prepared_statements else None
    size = CLIENTS if mode == "session" else 3
    return replace(PgBouncer(default_pool_size=size, max_prepared_statements=off), mode=mode)


async def test_the_drivers_defaults_fail_in_transaction_mode(postgres: PostgresServer, tmp_path: Path) -> None:
    async with url(not_following("transaction"), postgres, tmp_path / "log") as address:
        found = await errors_of(create_async_engine(address, pool_size=CLIENTS, connect_args={"ssl": False}))
    # A statement is prepared on one server connection and asked for, or prepared again, on another.
    assert found
    assert set(found) <= {"InvalidSQLStatementNameError", "DuplicatePreparedStatementError"}


@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_the_services_settings_do_not(postgres: PostgresServer, tmp_path: Path, mode: str) -> None:
    pool = PoolConfiguration(pool_size=CLIENTS, max_overflow=0)
    async with url(not_following(mode), postgres, tmp_path / "log") as address:
        assert await errors_of(create_engine(address, pool)) == {}


@pytest.mark.parametrize("transaction_pooler", [False, True])
async def test_psycopg_prepares_statements_unless_it_is_told_of_the_pooler(
    postgres: PostgresServer, tmp_path: Path, transaction_pooler: bool
) -> None:
    pool = PoolConfiguration(pool_size=CLIENTS, max_overflow=0, driver=Driver.PSYCOPG)
    async with url(not_following("transaction"), postgres, tmp_path / "log") as address:
        engine = create_engine(address, pool, transaction_pooler=transaction_pooler)
        # It prepares what it has executed five times, and begins to count anew with every rollback.
        found = await errors_of(engine, rounds=8 * len(STATEMENTS), commits=True)
    if transaction_pooler:
        assert found == {}
    else:
        assert found
        assert set(found) <= {"InvalidSqlStatementName", "DuplicatePreparedStatement"}


async def test_psycopg_sends_a_servers_statement_timeout_in_options_which_it_refuses_or_drops(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    pool = PoolConfiguration(driver=Driver.PSYCOPG, server_statement_timeout_s=0.3)
    slow = RequestName.SLOW_QUERY
    refusing = PgBouncer(mode="transaction")
    refused = await asked(refusing, postgres, tmp_path / "log", times=1, request=slow, pool=pool)
    assert outcomes(refused) == [("connect_error", "OperationalError")]
    dropping = replace(refusing, ignore_startup_parameters=("options",))
    dropped = await asked(dropping, postgres, tmp_path / "log", times=1, request=slow, pool=pool)
    assert outcomes(dropped) == [("ok", None)]


async def test_psycopg_keeps_a_word_of_a_pooler_that_ends_a_statement(postgres: PostgresServer, tmp_path: Path) -> None:
    pool = PoolConfiguration(driver=Driver.PSYCOPG, pool_size=3)
    answers = await asked(SHARED_BY_TWO, postgres, tmp_path / "log", times=2, request=RequestName.SLOW_QUERY, pool=pool)
    assert [outcome for outcome, _ in outcomes(answers)] == ["connection_lost", "ok"]
    assert outcomes(answers)[0][1] == "ProtocolViolation"


async def test_the_drivers_defaults_are_right_in_session_mode(postgres: PostgresServer, tmp_path: Path) -> None:
    async with url(not_following("session"), postgres, tmp_path / "log") as address:
        engine = create_async_engine(address, pool_size=CLIENTS, connect_args={"ssl": False})
        assert await errors_of(engine) == {}


@pytest.mark.parametrize("library", ["asyncpg", "psycopg_pool"])
async def test_the_pools_of_other_libraries_meet_no_error_behind_transactions(
    postgres: PostgresServer, tmp_path: Path, library: str
) -> None:
    settings = pool(f"{CLIENTS}+0", pool_library=library)
    watch = PoolWatch()
    async with url(not_following("transaction"), postgres, tmp_path / "log") as address:
        plain = make_url(address).set(drivername="postgresql")
        made = make_pool(plain, settings, watch=watch, transaction_pooler=True)
        database = Database(made, watch)
        names = (RequestName.READ_TRACK, RequestName.WRITE_PLAY) * (CLIENTS * ROUNDS // 2)
        answers = await asyncio.gather(*(database.perform(name, number) for number, name in enumerate(names)))
        await made.close()
    assert outcomes(list(answers)) == [("ok", None)] * CLIENTS * ROUNDS
