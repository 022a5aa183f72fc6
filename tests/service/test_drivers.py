"""The driver is the pool's setting; both can be in one service, and only what is used is imported."""

import asyncio
import subprocess
import sys
import time
import uuid
from pathlib import Path

import httpx
import psycopg.conninfo
import pytest
from sqlalchemy import make_url

from harness.model.arrivals import RequestName
from harness.model.driver import PSYCOPG_DEFAULT_CONNECT_TIMEOUT_S, Driver
from harness.model.events import Event
from harness.model.outcomes import Outcome
from harness.model.pool import PoolConfiguration
from harness.model.rows import ListenerEvent
from harness.model.shape import Checkout, Query, RequestShape
from harness.model.wake import profile
from harness.postgres import PostgresServer
from harness.processes.messages import ProxyReady, ServiceReady
from harness.processes.process import Child
from harness.proxy.client import ProxyClient, compute_of
from harness.scenario import QueueListener
from harness.service.drivers import driver_named, libpq_version
from harness.service.drivers.asyncpg_driver import connect_arguments
from harness.service.instance import Instance
from harness.service.listener import listening
from harness.service.observation import PoolWatch
from harness.service.pools.sqlalchemy_pool import SqlalchemyConnection, SqlalchemyPool, create_engine

pytestmark = pytest.mark.anyio

PSYCOPG = PoolConfiguration(driver=Driver.PSYCOPG)


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+asyncpg", "postgresql+psycopg"])
@pytest.mark.parametrize("driver", list(Driver))
def test_the_pools_setting_chooses_the_driver_and_the_url_does_not(scheme: str, driver: Driver) -> None:
    url = make_url(f"{scheme}://u:p@h/d")
    engine = create_engine(url, PoolConfiguration(driver=driver), transaction_pooler=False)
    assert engine.dialect.driver == driver
    assert engine.pool.size() == 10  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("url", "asyncpgs", "psycopgs"),
    [
        ("postgresql://u:p@127.0.0.1/d", {"ssl": False}, {"sslmode": "disable", "gssencmode": "disable"}),
        ("postgresql://u:p@db.example/d", {}, {}),
        ("postgresql://u:p@db.example/d?ssl=disable", {"ssl": False}, {"sslmode": "disable", "gssencmode": "disable"}),
        ("postgresql://u:p@127.0.0.1/d?sslmode=require", {"ssl": "require"}, {"sslmode": "require"}),
    ],
)
def test_loopback_is_without_tls_unless_the_url_says_otherwise_in_either_drivers_words(
    url: str, asyncpgs: dict[str, object], psycopgs: dict[str, object]
) -> None:
    for driver, expected in ((Driver.ASYNCPG, asyncpgs), (Driver.PSYCOPG, psycopgs)):
        made = driver_named(driver)
        arguments = made.connect_args(
            make_url(url), PoolConfiguration(driver=driver), made.connection_class, transaction_pooler=False
        )
        assert {name: arguments[name] for name in ("ssl", "sslmode", "gssencmode") if name in arguments} == expected
    assert ("sslmode" in connect_arguments(make_url(url)), connect_arguments(make_url(url)).get("ssl")) == (
        False,
        asyncpgs.get("ssl"),
    )


def test_behind_a_pooler_in_transaction_mode_psycopg_prepares_nothing() -> None:
    driver, url = driver_named(Driver.PSYCOPG), make_url("postgresql://h/d")
    behind = driver.connect_args(url, PSYCOPG, driver.connection_class, transaction_pooler=True)
    direct = driver.connect_args(url, PSYCOPG, driver.connection_class, transaction_pooler=False)
    assert behind["prepare_threshold"] is None
    assert "prepare_threshold" not in direct


def test_options_of_the_url_stay_beside_the_servers_statement_timeout() -> None:
    driver = driver_named(Driver.PSYCOPG)
    pool = PSYCOPG.with_settings({"server_statement_timeout": "1.5"})
    url = make_url("postgresql://h/d?options=-c%20geqo%3Doff")
    arguments = driver.connect_args(url, pool, driver.connection_class, transaction_pooler=False)
    assert arguments["options"] == "-c geqo=off -c statement_timeout=1500"


@pytest.mark.parametrize(
    ("given", "used_s"), [("0", 130), ("-1", 130), ("0.9", 130), ("1", 2), ("1.9", 2), ("2", 2), ("2.9", 2), ("10", 10)]
)
def test_psycopg_rounds_a_connect_timeout_which_is_why_most_values_are_refused(given: str, used_s: int) -> None:
    assert psycopg.conninfo.timeout_from_conninfo({"connect_timeout": given}) == used_s
    assert psycopg.conninfo.timeout_from_conninfo({}) == PSYCOPG_DEFAULT_CONNECT_TIMEOUT_S


async def test_a_subclass_of_the_observed_connection_can_be_given(postgres: PostgresServer) -> None:
    observed = driver_named(Driver.PSYCOPG).connection_class
    given = type("Given", (observed,), {})
    instance = Instance(postgres.dsn, PSYCOPG, PoolWatch(), connection_classes={Driver.PSYCOPG: given})
    async with instance.database.connection() as connection:
        assert isinstance(connection, SqlalchemyConnection)
        raw = await connection._connection.get_raw_connection()
        assert type(raw.driver_connection) is given
    await instance.database.pool.close()


async def test_a_pool_of_its_own_may_have_another_driver(postgres: PostgresServer) -> None:
    own = RequestShape("own", Checkout(Query()), pool=PoolConfiguration(pool_size=1))
    instance = Instance(postgres.dsn, PSYCOPG, PoolWatch(), shapes=[own])
    answers = [await instance.perform(request, 3) for request in (own, RequestName.READ_TRACK)]
    assert [answer.outcome for answer in answers] == [Outcome.OK, Outcome.OK]
    pools = [database.pool for database in instance.databases]
    drivers = [pool.engine.dialect.driver for pool in pools if isinstance(pool, SqlalchemyPool)]
    assert drivers == ["psycopg", "asyncpg"]
    for pool in pools:
        await pool.close()


async def test_the_queue_listener_is_on_asyncpg_beside_a_pool_on_psycopg(postgres: PostgresServer) -> None:
    heard = asyncio.Queue[ListenerEvent]()
    instance = Instance(postgres.dsn, PSYCOPG, PoolWatch())
    async with listening(QueueListener(), f"{postgres.dsn}?sslmode=disable", heard.put_nowait):
        assert (await asyncio.wait_for(heard.get(), 10)).event is Event.LISTENER_CONNECTED
        assert (await instance.perform(RequestName.READ_TRACK, 1)).outcome is Outcome.OK
    await instance.database.pool.close()


def test_a_service_on_asyncpg_does_not_import_psycopg() -> None:
    code = (
        "import sys, harness.service.__main__\n"
        "from harness.service.pools import make_pool\n"
        "from harness.service.observation import PoolWatch\n"
        "from harness.model.pool import PoolConfiguration\n"
        "make_pool('postgresql://h/d', PoolConfiguration(), watch=PoolWatch())\n"
        "sys.exit('psycopg' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_libpqs_version_says_which_it_is() -> None:
    number, where = libpq_version().split()
    assert number[0].isdigit()
    assert where in ("(binary)", "(c)", "(python)")


@pytest.mark.parametrize("driver", list(Driver))
async def test_a_service_whose_connections_are_frozen_ends_at_once(
    postgres: PostgresServer, proxy_process: Child, tmp_path: Path, driver: Driver
) -> None:
    port = (await proxy_process.next_record(ProxyReady)).port
    async with ProxyClient(port) as client:
        wake = profile("neon").with_changes(on_suspend="freeze")
        compute = compute_of(wake, wake_latencies_s=[60.0], suspends_by_itself=False)
        host, listening_port = await client.create("p", upstream=f"127.0.0.1:{postgres.port}", compute=compute)
        environment = {
            "DATABASE_URL": postgres.dsn_at(host, listening_port),
            **PoolConfiguration(pool_size=2, max_overflow=0, driver=driver).to_environment(),
        }
        argv = [sys.executable, "-m", "harness.service"]
        service = await Child.start("service", argv, log=tmp_path / "service.log", environment=environment)
        url = f"http://127.0.0.1:{(await service.next_record(ServiceReady)).port}/tracks/1"
        async with httpx.AsyncClient() as http:
            assert (await http.get(url)).status_code == 200
            await client.suspend("p")
            asking = asyncio.create_task(http.get(url, timeout=60))
            await asyncio.sleep(0.5)
            began_s = time.monotonic()
            status = await service.stop(grace_s=30)
            took_s = time.monotonic() - began_s
            with pytest.raises(httpx.HTTPError):
                await asking
        await client.remove("p")
    assert status == 0
    assert took_s < 2


def test_asyncpgs_statement_names_are_never_the_same_in_two_processes() -> None:
    say = (
        "from harness.service.drivers.asyncpg_driver import statement_name as name; print(*(name() for _ in range(9)))"
    )
    named = [subprocess.run([sys.executable, "-c", say], capture_output=True, text=True, check=True) for _ in range(2)]
    names = [name for process in named for name in process.stdout.split()]
    assert len(set(names)) == 18
    assert {len(name) for name in names} == {len(f"__asyncpg_{uuid.uuid4()}__")}
