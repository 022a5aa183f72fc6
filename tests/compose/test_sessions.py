"""What is done to sessions beside Toxiproxy, on a throw-away PostgreSQL of testcontainers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

import asyncpg
import pytest
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.config import testcontainers_config

from harness.compose.engine import images
from harness.compose.sessions import DatabaseSessions

pytestmark = [pytest.mark.anyio, pytest.mark.quiet]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresContainer]:
    # Its sweeper is an image of its own, and this container is stopped here.
    testcontainers_config.ryuk_disabled = True
    image = next(one for one in images() if "postgres" in one)
    with PostgresContainer(image, driver=None) as container:
        yield container


@pytest.fixture
async def connect(server: PostgresContainer) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """Connects to the server; whatever became of the connection, nothing of it is left."""
    made = []

    async def one() -> Any:
        made.append(await asyncpg.connect(server.get_connection_url(host="127.0.0.1"), ssl=False))
        return made[-1]

    yield one
    for connection in made:
        connection.terminate()
    await asyncio.sleep(0)


async def test_terminate_ends_the_databases_sessions_with_57p01_and_leaves_its_own(connect: Any) -> None:
    admin, other = await connect(), await connect()
    running = asyncio.create_task(other.execute("SELECT pg_sleep(30)"))
    await asyncio.sleep(0.1)
    await DatabaseSessions(admin, "test").terminate()
    # The words of 57P01; asyncpg gives the error a class of its own in the middle of a statement.
    with pytest.raises(asyncpg.PostgresError, match="terminating connection due to administrator command"):
        await running
    assert await admin.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname = 'test'") == 1


async def test_a_frozen_session_is_connected_and_silent_until_it_is_thawed(
    connect: Any, server: PostgresContainer
) -> None:
    def signal(name: str, pids: Sequence[int]) -> None:
        done = server.get_wrapped_container().exec_run(["sh", "-c", f"kill -{name} {' '.join(map(str, pids))}"])
        assert done.exit_code == 0

    admin, other = await connect(), await connect()
    sessions = DatabaseSessions(admin, "test", signal)
    await sessions.freeze()
    silent = asyncio.create_task(other.fetchval("SELECT 1"))
    await asyncio.sleep(0.5)
    assert not silent.done()
    # A connection made afterwards is a new one, and answers.
    assert await (await connect()).fetchval("SELECT 2") == 2
    await sessions.thaw()
    # It ends, whether or not its statement had come to be carried out.
    await asyncio.wait([silent], timeout=5)
    assert silent.done()
    silent.exception()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)):
        await other.fetchval("SELECT 4")
