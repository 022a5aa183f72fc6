"""The library of a pool: what follows it, what it refuses, and that every form says it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cli.questions import read_pool
from harness.model.driver import Driver
from harness.model.errors import UserError
from harness.model.pool import PoolConfiguration
from harness.model.pool_library import PoolLibrary
from harness.model.scenario import pool

ASYNCPG, PSYCOPG_POOL = PoolLibrary.ASYNCPG, PoolLibrary.PSYCOPG_POOL


def test_the_library_brings_its_driver_and_its_defaults() -> None:
    own, other = pool("5+0", pool_library="asyncpg"), read_pool("5+0,pool_library=psycopg_pool")
    assert (own.runs_on, other.runs_on) == (Driver.ASYNCPG, Driver.PSYCOPG)
    assert (own.of_library.pool_pre_ping, other.of_library.pool_pre_ping) == (False, True)
    assert (own.of_library.use_lifo, other.of_library.use_lifo) == (True, False)
    assert (own.of_library.max_idle_s, other.of_library.max_idle_s) == (300.0, 600.0)
    assert (own.of_library.pool_recycle_s, other.of_library.reconnect_timeout_s) == (0.0, 300.0)
    assert (own.label, other.label) == ("5+0 pool_library=asyncpg", "5+0 pool_library=psycopg_pool")


def test_what_follows_the_library_goes_on_following_it() -> None:
    changed = pool("5+0").with_settings({"pool_library": "psycopg_pool"})
    assert changed.resolved == pool("5+0", pool_library="psycopg_pool").resolved
    assert changed.with_settings({"pool_library": "sqlalchemy"}).resolved == pool("5+0").resolved


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"pool_library": "asyncpg", "driver": "psycopg"}, "driver must be asyncpg with pool_library=asyncpg"),
        ({"pool_library": "psycopg_pool", "driver": "asyncpg"}, "driver must be psycopg"),
        ({"pool_library": "asyncpg", "pool_pre_ping": "true"}, "pool_pre_ping must be false"),
        ({"pool_library": "asyncpg", "pool_recycle": "240"}, "pool_recycle must be 0"),
        ({"pool_library": "asyncpg", "use_lifo": "false"}, "use_lifo must be true"),
        ({"pool_library": "asyncpg", "reconnect_timeout": "5"}, "reconnect_timeout must be 0"),
        ({"pool_library": "psycopg_pool", "use_lifo": "true"}, "use_lifo must be false"),
        ({"pool_library": "psycopg_pool", "max_idle": "0"}, "max_idle must be positive"),
        ({"max_idle": "60"}, "max_idle must be 0 with pool_library=sqlalchemy"),
        ({"reconnect_timeout": "60"}, "reconnect_timeout must be 0"),
        ({"pool_library": "hikari"}, "pool_library"),
    ],
)
def test_what_a_library_would_ignore_is_refused_by_name(settings: dict[str, str], what: str) -> None:
    with pytest.raises(UserError, match=what):
        pool("5+0", **settings)


def test_what_is_said_and_is_so_anyway_is_no_contradiction() -> None:
    said = pool("5+0", pool_library="asyncpg", driver="asyncpg", pool_pre_ping=False, pool_recycle=0, use_lifo=True)
    assert said.resolved == pool("5+0", pool_library="asyncpg").resolved


def test_the_environment_names_a_library() -> None:
    read = PoolConfiguration.from_environment({"DATABASE_POOL_LIBRARY": "psycopg_pool", "DATABASE_MAX_IDLE": "30"})
    assert (read.pool_library, read.runs_on, read.of_library.max_idle_s) == (PSYCOPG_POOL, Driver.PSYCOPG, 30.0)
    url = "postgresql+asyncpg://u@h/d"
    with pytest.raises(UserError, match="driver must be psycopg"):
        PoolConfiguration.from_environment({"DATABASE_POOL_LIBRARY": "psycopg_pool", "DATABASE_URL": url})


def test_an_idle_connection_of_the_overflow_stays_open_where_max_idle_closes_it() -> None:
    assert pool("10+5").most_idle == 10
    assert pool("10+5", pool_library="asyncpg").most_idle == 15


def test_asyncpgs_acquire_limits_connecting_where_the_connections_own_limit_is_not_shorter() -> None:
    assert pool("5+0", pool_library="asyncpg").acquire_limit_s == 10.0
    assert pool("5+0", pool_library="asyncpg", connection_timeout=0, pool_timeout=7).acquire_limit_s == 7.0
    assert pool("5+0", pool_library="asyncpg", connection_timeout=5, pool_timeout=7).acquire_limit_s is None
    assert pool("5+0").acquire_limit_s is None


any_library = st.builds(
    PoolConfiguration,
    pool_size=st.integers(1, 100),
    max_overflow=st.integers(0, 100),
    pool_library=st.sampled_from(PoolLibrary),
    pool_timeout_s=st.none() | st.floats(0.001, 1e4),
)


@given(any_library)
def test_the_environment_reads_back(one: PoolConfiguration) -> None:
    assert PoolConfiguration.from_environment(one.to_environment()).to_environment() == one.to_environment()


@given(any_library, any_library)
def test_different_configurations_have_different_labels(one: PoolConfiguration, other: PoolConfiguration) -> None:
    assert (one.resolved.to_environment() == other.resolved.to_environment()) == (one.label == other.label)
