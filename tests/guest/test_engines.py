"""The application's engines: the settings they get, what they are refused for, and what their pools tell."""

import asyncio
import gc
import socket
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import Engine, NullPool, QueuePool, StaticPool, engine_from_config, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, async_engine_from_config, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from harness.guest.engines import Engines
from harness.model.driver import Driver
from harness.model.errors import UserError
from harness.model.pool import PoolConfiguration
from harness.postgres import PostgresServer
from harness.service.observation import PoolWatch
from tests.guest.conftest import QUICK, TakePart

pytestmark = pytest.mark.anyio

ONE = text("SELECT 1")
OTHERS: dict[str, Any] = {
    "pool_size": 7, "max_overflow": 8, "pool_timeout": 9, "pool_recycle": 10, "pool_pre_ping": False,
    "pool_use_lifo": False,
}  # fmt: skip
"""What an application has in its code."""
SETTINGS = PoolConfiguration(
    pool_size=2, max_overflow=1, pool_timeout_s=3, connection_timeout_s=4, statement_timeout_s=5, pool_recycle_s=6,
    pool_pre_ping=True, use_lifo=True, server_statement_timeout_s=7,
)  # fmt: skip


def url(server: PostgresServer, driver: str = "asyncpg") -> str:
    return server.dsn_at(server.host, server.port, driver=f"postgresql+{driver}")


def has(engine: AsyncEngine | Engine) -> dict[str, Any]:
    """The settings by which its pool works."""
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    return {
        "pool_size": pool.size(), "max_overflow": pool._max_overflow, "pool_timeout": pool.timeout(),
        "pool_recycle": pool._recycle, "pool_pre_ping": pool._pre_ping, "pool_use_lifo": pool._pool.use_lifo,
    }  # fmt: skip


def connects_with(engine: AsyncEngine | Engine) -> dict[str, Any]:
    """The arguments that its driver would get, the address left out."""
    given: dict[str, Any] = {}

    def see(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        given.update(parameters)
        raise ConnectionRefusedError

    at = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    event.listen(at, "do_connect", see)
    with pytest.raises(ConnectionRefusedError):
        at.raw_connection()
    event.remove(at, "do_connect", see)
    address = {"host", "port", "user", "password", "database", "dbname"}
    return {name: value for name, value in given.items() if name not in address}


def refusal(engines: Engines) -> str:
    with pytest.raises(UserError) as caught:
        engines.check()
    return str(caught.value)


async def test_an_engine_gets_the_settings_in_place_of_its_own(take_part: TakePart, postgres: PostgresServer) -> None:
    engines = take_part(SETTINGS)
    asked = {
        "pool_size": 2, "max_overflow": 1, "pool_timeout": 3, "pool_recycle": 6, "pool_pre_ping": True,
        "pool_use_lifo": True,
    }  # fmt: skip
    made = [
        create_async_engine(url(postgres)),
        create_async_engine(url(postgres), **OTHERS),
        create_async_engine(sqlalchemy.make_url(url(postgres)), poolclass=AsyncAdaptedQueuePool, **OTHERS),
        async_engine_from_config({"db.url": url(postgres), "db.pool_size": "7"}, prefix="db."),
        sqlalchemy.create_engine(url(postgres, "psycopg"), **OTHERS),
        engine_from_config({"db.url": url(postgres, "psycopg"), "db.pool_size": "7"}, prefix="db."),
    ]
    assert [has(engine) for engine in made] == [asked] * len(made)
    engines.check()
    assert connects_with(made[0]) == {
        "timeout": 4, "command_timeout": 5, "server_settings": {"statement_timeout": "7000"},
    }  # fmt: skip
    for engine in made:
        at = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
        at.dispose()


async def test_what_the_application_gives_its_driver_stays_beside_the_timeouts(
    take_part: TakePart, postgres: PostgresServer
) -> None:
    take_part(SETTINGS)
    own = {"server_settings": {"application_name": "shop"}, "statement_cache_size": 0, "timeout": 60}
    made = create_async_engine(url(postgres), connect_args=own)
    assert connects_with(made) == {
        "timeout": 4, "command_timeout": 5, "statement_cache_size": 0,
        "server_settings": {"application_name": "shop", "statement_timeout": "7000"},
    }  # fmt: skip
    psycopg = sqlalchemy.create_engine(
        url(postgres, "psycopg"), connect_args={"options": "-c search_path=shop", "connect_timeout": 60}
    )
    assert connects_with(psycopg) == {
        "connect_timeout": 4, "options": "-c search_path=shop -c statement_timeout=7000",
    } | {name: value for name, value in connects_with(psycopg).items() if name == "context"}  # fmt: skip
    assert own["timeout"] == 60


async def test_what_is_set_elsewhere_is_left_to_the_application(take_part: TakePart, postgres: PostgresServer) -> None:
    settings = ("pool_size", "max_overflow", "pool_timeout", "pool_recycle", "pool_pre_ping", "use_lifo")
    timeouts = ("connection_timeout", "statement_timeout", "server_statement_timeout")
    take_part(SETTINGS, set_elsewhere=("url", *settings, *timeouts))
    made = create_async_engine(url(postgres), connect_args={"timeout": 60}, **OTHERS)
    assert has(made) == OTHERS
    assert connects_with(made) == {"timeout": 60}


async def test_a_variable_that_the_application_ignores_is_refused_by_its_setting(
    take_part: TakePart, postgres: PostgresServer
) -> None:
    engines = take_part(SETTINGS, set_elsewhere=("url", "pool_size"))
    create_async_engine(url(postgres), pool_size=20)
    assert refusal(engines) == (
        "application main:app: its pool has pool_size 20 and not 2: the setting did not reach it "
        "(allowed: --env pool_size=VARIABLE for the variable that it reads, or none for pool_size)"
    )


@pytest.mark.parametrize("poolclass", [NullPool, StaticPool])
async def test_an_engine_without_a_queue_is_refused_by_the_name_of_its_pool(
    take_part: TakePart, postgres: PostgresServer, poolclass: type[Any]
) -> None:
    engines = take_part()
    create_async_engine(url(postgres), poolclass=poolclass)
    assert refusal(engines) == (
        f"application main:app: its engine has a {poolclass.__name__}, which no setting reaches (allowed: a QueuePool)"
    )


@pytest.mark.parametrize("elsewhere", [{"host": "db.example.com"}, {"port": 1}, {"driver": "sqlite"}])
async def test_an_engine_that_leads_elsewhere_is_left_alone_and_does_not_count(
    take_part: TakePart, postgres: PostgresServer, elsewhere: dict[str, Any]
) -> None:
    if elsewhere == {"driver": "sqlite"}:
        engines = take_part()
        sqlalchemy.create_engine("sqlite://")
    else:
        engines = take_part(**elsewhere)
        assert has(create_async_engine(url(postgres), **OTHERS)) == OTHERS
    assert refusal(engines).startswith(
        "application main:app: it has made no engine of SQLAlchemy whose URL leads to the trial's database"
    )


async def test_a_host_in_the_urls_query_leads_here_too(take_part: TakePart, postgres: PostgresServer) -> None:
    take_part()
    query = f"postgresql+psycopg://{postgres.user}@/{postgres.database}?host={postgres.host}&port={postgres.port}"
    made = sqlalchemy.create_engine(query)
    assert has(made)["pool_size"] == QUICK.pool_size


async def test_the_pools_timeline_has_who_holds_who_waits_and_who_connects(
    take_part: TakePart, postgres: PostgresServer, watch: PoolWatch
) -> None:
    take_part(PoolConfiguration(pool_size=1, max_overflow=1, pool_timeout_s=5))
    engine = create_async_engine(url(postgres))

    def now() -> dict[str, int]:
        sample = watch.sample()
        return {
            name: getattr(sample, name) for name in ("size", "idle", "checked_out", "overflow", "waiting", "connects")
        }

    assert now() == {"size": 0, "idle": 0, "checked_out": 0, "overflow": 0, "waiting": 0, "connects": 0}
    async with engine.connect(), engine.connect():
        assert now() == {"size": 2, "idle": 0, "checked_out": 2, "overflow": 1, "waiting": 0, "connects": 2}

        async def third() -> None:
            async with engine.connect():
                pass

        waiting = asyncio.create_task(third())
        async with asyncio.timeout(5):
            while watch.sample().waiting == 0:
                await asyncio.sleep(0.01)
        assert now() == {"size": 2, "idle": 0, "checked_out": 2, "overflow": 1, "waiting": 1, "connects": 2}
    await waiting
    assert now() == {"size": 1, "idle": 1, "checked_out": 0, "overflow": 0, "waiting": 0, "connects": 2}
    await engine.dispose()


async def test_a_new_pool_after_dispose_is_watched_as_the_old_one_was(
    take_part: TakePart, postgres: PostgresServer, watch: PoolWatch
) -> None:
    engines = take_part()
    engine = create_async_engine(url(postgres))
    await engines.warm((0.0,))
    before = engine.pool
    assert (watch.sample().idle, watch.sample().connects) == (1, 1)
    await engines.dispose()
    assert engine.pool is not before
    assert (watch.sample().size, watch.sample().idle) == (0, 0)
    async with engine.connect() as connection:
        await connection.execute(ONE)
        sample = watch.sample()
        assert (sample.checked_out, sample.connects, sample.connecting) == (1, 2, 0)
    engines.check()
    await engines.dispose()


async def test_a_failed_connect_is_counted_and_none_stays_under_way(
    take_part: TakePart, postgres: PostgresServer, watch: PoolWatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    engines = take_part(port=port)
    create_async_engine(postgres.dsn_at(postgres.host, port, driver="postgresql+asyncpg"))
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - a group around whatever the driver raises
        await engines.warm((0.0,))
    assert "refused" in str(caught.value) or isinstance(caught.value, BaseExceptionGroup)
    sample = watch.sample()
    assert (sample.connects, sample.connects_failed, sample.connecting, sample.waiting) == (0, 1, 0, 0)


async def test_a_synchronous_engine_is_warmed_and_watched_in_threads(
    take_part: TakePart, postgres: PostgresServer, watch: PoolWatch
) -> None:
    engines = take_part(PoolConfiguration(pool_size=3, max_overflow=0, driver=Driver.PSYCOPG))
    engine = sqlalchemy.create_engine(url(postgres, "psycopg"))
    await engines.warm((0.0, 0.0, 0.0))
    assert (watch.sample(at_s=0.0).idle, watch.sample(at_s=0.0).connects) == (3, 3)

    def ask() -> int:
        with engine.connect() as connection:
            return int(connection.execute(ONE).scalar_one())

    assert await asyncio.gather(*(asyncio.to_thread(ask) for _ in range(12))) == [1] * 12
    sample = watch.sample(at_s=0.0)
    assert (sample.idle, sample.checked_out, sample.waiting, sample.connects) == (3, 0, 0, 3)
    await engines.dispose()
    assert watch.sample(at_s=0.0).size == 0
    assert engines.threads is not None
    engines.threads.shutdown()


async def test_an_application_may_forget_its_engine_and_make_another_one(
    take_part: TakePart, postgres: PostgresServer, watch: PoolWatch
) -> None:
    engines = take_part()
    for _ in range(3):
        create_async_engine(url(postgres))
        gc.collect()
    engines.check()
    await engines.warm((0.0,))
    assert watch.sample().idle == 3
    await engines.dispose()
