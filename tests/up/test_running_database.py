"""A PostgreSQL that really sleeps, as Python code runs it: it sleeps when it is quiet, and wakes for whoever comes."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import asyncpg
import psutil
import psycopg
import pytest

from harness.model.errors import StackError, UserError
from harness.model.wake import WakeProfile, profile
from harness.postgres import PostgresServer
from harness.up import RunningDatabase, running_database
from tests.up.conftest import QUIET_S, WAKE_S, names

pytestmark = pytest.mark.anyio
PATIENCE_S = 15.0
LATE_S = 0.5
"""By which a machine that is busy with other tests may be late."""


async def until(database: RunningDatabase, state: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while database.state != state:
            await asyncio.sleep(0.01)


async def by_asyncpg(database: RunningDatabase) -> asyncpg.Connection:
    connection = await asyncpg.connect(database.url, server_settings={"application_name": "shop"})
    assert await connection.fetchval("SELECT 1") == 1
    return connection


def by_psycopg(database: RunningDatabase, **options: str) -> psycopg.Connection:
    connection = psycopg.connect(database.libpq_url, autocommit=True, application_name="till", **options)
    assert connection.execute("SELECT 1").fetchone() == (1,)
    return connection


async def test_both_drivers_wait_for_the_wake_and_idle_pools_do_not_keep_it_awake(short: WakeProfile) -> None:
    async with running_database(wake=short) as database:
        # A pool of asyncpg's with a min_size opens connections anew as soon as they are closed: that wakes it.
        pool = await asyncpg.create_pool(database.url, min_size=0, max_size=3)
        await asyncio.gather(*(pool.fetchval("SELECT pg_sleep(0.1)") for _ in range(3)))
        assert pool.get_idle_size() == database.connections == 3
        kept = []
        for number in range(3):
            await until(database, "suspended")
            assert (len(database.wakes), database.suspends) == (number, number + 1)
            began_at_s = time.monotonic()
            if number % 2:
                kept.append(await asyncio.to_thread(by_psycopg, database))
            else:
                kept.append(await by_asyncpg(database))
            assert WAKE_S <= time.monotonic() - began_at_s < WAKE_S + LATE_S
            assert database.connections >= 1
        assert [wake.by for wake in database.wakes] == ["shop as coldstart", "till as coldstart", "shop as coldstart"]
        assert all(WAKE_S <= (wake.took_s or 0) < WAKE_S + LATE_S for wake in database.wakes)
        assert [wake.latency_s for wake in database.wakes] == pytest.approx([WAKE_S] * 3)
        assert database.suspends == 3
        for connection in kept:
            connection.close() if isinstance(connection, psycopg.Connection) else connection.terminate()
        pool.terminate()


async def test_a_statement_that_runs_and_an_open_transaction_keep_it_awake(short: WakeProfile) -> None:
    async with running_database(wake=short) as database:
        connection = await by_asyncpg(database)
        await connection.execute(f"SELECT pg_sleep({3 * QUIET_S})")
        async with connection.transaction():
            await connection.execute("SELECT 1")
            await asyncio.sleep(3 * QUIET_S)
            assert (await database.now()).changes_in_s is None
        assert database.suspends == 0
        await until(database, "suspended")
        connection.terminate()


async def test_it_suspends_and_wakes_on_command_with_its_latency() -> None:
    async with running_database(wake=profile("neon", latency_s=WAKE_S)) as database:
        await database.wake()
        assert (database.state, database.wakes) == ("active", ())
        await database.suspend()
        assert database.state == "suspended"
        began_at_s = time.monotonic()
        await database.wake()
        assert time.monotonic() - began_at_s >= WAKE_S
        assert (database.state, [wake.by for wake in database.wakes]) == ("active", ["coldstart wake"])


async def test_tls_that_is_preferred_is_declined_and_tls_that_is_required_fails_clearly(short: WakeProfile) -> None:
    async with running_database(wake=short) as database:
        (await asyncio.to_thread(by_psycopg, database, sslmode="prefer")).close()
        with pytest.raises(psycopg.OperationalError, match="server does not support SSL, but SSL was required"):
            await asyncio.to_thread(by_psycopg, database, sslmode="require")
        with pytest.raises(ConnectionError, match="rejected SSL upgrade"):
            await asyncpg.connect(database.url, ssl="require")


async def test_what_happens_inside_is_raised_as_it_is_and_everything_has_ended(runtime: Path) -> None:
    seen: list[RunningDatabase] = []

    async def fail_inside() -> None:
        async with running_database() as database:
            seen.append(database)
            assert [name.startswith("coldstart-up-") for name in names(runtime)] == [True]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_inside()
    assert names(runtime) == []
    with pytest.raises(ConnectionRefusedError):
        await asyncpg.connect(seen[0].url)


async def kill_the_server() -> None:
    async with running_database() as database:
        connection = await by_asyncpg(database)
        server = psutil.Process(await connection.fetchval("SELECT pg_backend_pid()")).parent()
        connection.terminate()
        assert server is not None
        server.kill()
        await asyncio.sleep(PATIENCE_S)


async def test_a_server_that_dies_ends_it_with_a_line_and_keeps_its_log(runtime: Path) -> None:
    with pytest.raises(StackError, match=r"postgres: .*\(log: ") as failed:
        await kill_the_server()
    log = failed.value.log
    assert log is not None
    assert [log.parent.name] == names(runtime)
    assert log.name in names(log.parent)
    async with running_database():
        assert log.parent.name not in names(runtime), "swept by the next start"


async def test_in_front_of_another_database_it_sleeps_just_so(short: WakeProfile, postgres: PostgresServer) -> None:
    async with running_database(wake=short, upstream=postgres.dsn) as database:
        assert database.url == database.libpq_url == postgres.dsn_at("127.0.0.1", database.port)
        await until(database, "suspended")
        connection = await by_asyncpg(database)
        assert len(database.wakes) == 1
        connection.terminate()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"upstream": "postgresql://a:secret@b:99999/c"}, "upstream: has a port that is none"),
        ({"upstream": "postgresql://a:secret@b,c/d"}, "upstream: has several hosts"),
        ({"upstream": "postgresql://a:secret@/d?host=/tmp"}, "upstream: is a socket in a folder"),
        ({"upstream": "postgres//secret"}, "upstream: is not a DSN"),
        ({"upstream": "postgresql://a:secret@127.0.0.1:1/b"}, "upstream: 127.0.0.1:1 can't be reached: "),
        ({"upstream": "postgresql://b/c", "data": Path("d")}, "data: belongs to a database of its own"),
        ({"upstream": "postgresql://b/c", "init": Path("d")}, "init: belongs to a database of its own"),
        ({"init": Path("nothing.sql")}, "nothing.sql: can't be read: No such file or directory"),
        ({"host": "192.0.2.1"}, r"port 0 of 192\.0\.2\.1: Cannot assign requested address"),
    ],
)
async def test_what_cannot_be_is_refused_in_a_line(wrong: dict[str, object], says: str, runtime: Path) -> None:
    with pytest.raises(UserError, match=says) as refused:
        async with running_database(**wrong):  # type: ignore[arg-type]
            pass
    assert "secret" not in str(refused.value)
    assert names(runtime) == []


async def test_a_port_that_is_taken_is_refused_before_anything_starts() -> None:
    async with running_database() as database:
        with pytest.raises(UserError, match=f"port {database.port} of 127.0.0.1: Address already in use"):
            async with running_database(port=database.port):
                pass


async def test_connections_that_are_open_keep_it_awake_where_the_profile_says_so(short: WakeProfile) -> None:
    async with running_database(wake=replace(short, open_connections_prevent_suspend=True)) as database:
        connection = await by_asyncpg(database)
        await asyncio.sleep(3 * QUIET_S)
        assert (database.state, database.suspends) == ("active", 0)
        await connection.close()
        await until(database, "suspended")


def texts(runtime: Path) -> list[str]:
    return [file.read_text() for file in runtime.glob("*/*")]


def modes(runtime: Path) -> list[int]:
    return [folder.stat().st_mode & 0o777 for folder in runtime.iterdir()]


async def test_no_password_is_in_its_folder_or_on_a_command_line(runtime: Path) -> None:
    async with running_database() as database:
        (await by_asyncpg(database)).terminate()
        password = database.url.partition("coldstart:")[2].partition("@")[0]
        assert not any(password in text for text in texts(runtime))
        assert modes(runtime) == [0o700]
        command_lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
        assert not any(password in line for line in command_lines)
