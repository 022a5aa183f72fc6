"""Pool configurations: what can be built, what is refused, and that every form reads back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model.driver import Driver
from harness.model.errors import UserError
from harness.model.pool import (
    MEANINGS,
    SETTINGS,
    PoolConfiguration,
    after_change,
    after_change_psycopg,
    before_change,
    before_change_psycopg,
)
from harness.model.scenario import pool as pool_of

of_any_driver = {
    "pool_size": st.integers(1, 100),
    "max_overflow": st.integers(0, 100),
    "pool_timeout_s": st.none() | st.floats(0.001, 1e4),
    "pool_recycle_s": st.floats(0, 1e6),
    "pool_pre_ping": st.booleans(),
    "use_lifo": st.booleans(),
}
configurations = st.builds(
    PoolConfiguration,
    **of_any_driver,
    connection_timeout_s=st.floats(0, 1e4),
    statement_timeout_s=st.none() | st.floats(0, 1e4),
) | st.builds(
    PoolConfiguration,
    **of_any_driver,
    driver=st.just(Driver.PSYCOPG),
    connection_timeout_s=st.just(0.0) | st.integers(2, 10_000).map(float),
    statement_timeout_s=st.sampled_from([None, 0.0]),
)


def test_defaults_are_those_of_the_reference_service() -> None:
    assert after_change.to_environment() == {
        "DATABASE_POOL_SIZE": "10",
        "DATABASE_MAX_OVERFLOW": "5",
        "DATABASE_POOL_LIBRARY": "sqlalchemy",
        "DATABASE_DRIVER": "asyncpg",
        "DATABASE_POOL_TIMEOUT": "10",
        "DATABASE_CONNECTION_TIMEOUT": "10",
        "DATABASE_STATEMENT_TIMEOUT": "10",
        "DATABASE_POOL_RECYCLE": "7200",
        "DATABASE_POOL_PRE_PING": "true",
        "DATABASE_USE_LIFO": "true",
        "DATABASE_MAX_IDLE": "0",
        "DATABASE_RECONNECT_TIMEOUT": "0",
        "DATABASE_SERVER_STATEMENT_TIMEOUT": "0",
    }


def test_before_the_change_the_pool_was_5_plus_0_with_a_patient_queue() -> None:
    assert (before_change.short, before_change.capacity, before_change.queue_timeout_s) == ("5+0", 5, 30.0)


@pytest.mark.parametrize("text", ["5", "0+0", "0+5", "x+y", "5+", "+5", "-1+5", "5+-1", "5.0+1", "5 + 1", "٥+٠", ""])
def test_a_wrong_short_form_is_refused_in_one_line_that_says_what_is_allowed(text: str) -> None:
    with pytest.raises(UserError) as refused:
        PoolConfiguration.from_short(text)
    assert "pool_size+max_overflow" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("pool_timeout", "0"), ("pool_timeout", "-1"), ("connection_timeout", "-1"), ("statement_timeout", "nan"),
     ("pool_recycle", "inf"), ("pool_pre_ping", "maybe"), ("pool_size", "2.5"), ("pool_size", "0"), ("speed", "1")],
)  # fmt: skip
def test_a_wrong_setting_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(UserError, match=name):
        after_change.with_settings({name: value})


def test_the_pool_timeout_follows_the_connection_timeout_until_it_is_set() -> None:
    assert after_change.with_settings({"connection_timeout": "5"}).queue_timeout_s == 5.0
    assert before_change.with_settings({"connection_timeout": "5"}).queue_timeout_s == 30.0
    assert after_change.with_settings({"connection_timeout": "5", "pool_timeout": "7"}).queue_timeout_s == 7.0
    assert PoolConfiguration.from_environment({"DATABASE_CONNECTION_TIMEOUT": "4"}).queue_timeout_s == 4.0
    assert replace(after_change, connection_timeout_s=15.0).queue_timeout_s == 15.0


def test_a_pool_timeout_that_was_given_stays_even_where_it_equals_the_connection_timeout() -> None:
    given = PoolConfiguration.from_short("5+0").with_settings({"pool_timeout": "10"})
    assert given.connection_timeout_s == 10.0
    assert given.with_settings({"connection_timeout": "20"}).queue_timeout_s == 10.0


def test_what_follows_and_what_is_given_make_the_same_pool() -> None:
    given = after_change.with_settings({"pool_timeout": "10"})
    assert given.resolved == after_change.resolved
    assert (given.label, given.to_json()) == (after_change.label, after_change.to_json())
    assert after_change.to_json()["pool_timeout"] == 10.0


@given(configurations)
def test_the_environment_reads_back(pool: PoolConfiguration) -> None:
    assert PoolConfiguration.from_environment(pool.to_environment()).to_environment() == pool.to_environment()


@given(configurations, configurations)
def test_different_configurations_have_different_labels(one: PoolConfiguration, other: PoolConfiguration) -> None:
    assert (one.to_environment() == other.to_environment()) == (one.label == other.label)


def test_every_setting_has_a_meaning() -> None:
    assert list(MEANINGS) == list(SETTINGS)


# The driver:


def test_psycopg_has_no_statement_timeout_and_the_same_connection_timeout_by_default() -> None:
    psycopg = pool_of("5+0", driver="psycopg")
    assert (psycopg.driver, psycopg.label) == (Driver.PSYCOPG, "5+0 driver=psycopg")
    assert (psycopg.client_statement_timeout_s, psycopg.connection_timeout_s, psycopg.queue_timeout_s) == (0, 10, 10)
    assert psycopg.to_environment()["DATABASE_STATEMENT_TIMEOUT"] == "0"
    assert psycopg.to_json()["driver"] == "psycopg"


def test_the_statement_timeout_follows_the_driver_until_it_is_set() -> None:
    assert after_change.with_settings({"driver": "psycopg"}).client_statement_timeout_s == 0
    assert pool_of("5+0", driver="psycopg").with_settings({"driver": "asyncpg"}).client_statement_timeout_s == 10
    assert pool_of("5+0", statement_timeout=4).client_statement_timeout_s == 4
    with pytest.raises(UserError, match=r"statement_timeout must be 0 with driver=psycopg, got 4.*server_statement_"):
        pool_of("5+0", statement_timeout=4).with_settings({"driver": "psycopg"})
    assert not pool_of("5+0", statement_timeout=4).accepts({"driver": "psycopg"})
    assert pool_of("5+0", statement_timeout=4).accepts({"driver": "psycopg", "statement_timeout": "0"})


@pytest.mark.parametrize("seconds", ["1", "0.5", "1.9", "2.5"])
def test_a_connection_timeout_that_psycopg_would_round_is_refused_by_name(seconds: str) -> None:
    with pytest.raises(UserError, match=r"connection_timeout must be whole seconds with driver=psycopg.*130 s"):
        after_change.with_settings({"driver": "psycopg", "connection_timeout": seconds})
    assert after_change.with_settings({"connection_timeout": seconds}).connection_timeout_s == float(seconds)


def test_a_wrong_driver_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UserError, match="asyncpg or psycopg"):
        after_change.with_settings({"driver": "psycopg2"})
    with pytest.raises(UserError, match="no driver 'psycopg'"):
        PoolConfiguration(driver="psycopg")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("environment", "driver"),
    [
        ({}, Driver.ASYNCPG),
        ({"DATABASE_URL": "postgresql://h/d"}, Driver.ASYNCPG),
        ({"DATABASE_URL": "mysql+aiomysql://h/d"}, Driver.ASYNCPG),
        ({"DATABASE_URL": "postgresql+psycopg://h/d"}, Driver.PSYCOPG),
        ({"DATABASE_URL": "postgresql+psycopg_async://h/d"}, Driver.PSYCOPG),
        ({"DATABASE_URL": "postgresql+psycopg://h/d", "DATABASE_DRIVER": "asyncpg"}, Driver.ASYNCPG),
        ({"DATABASE_URL": "postgresql+asyncpg://h/d", "DATABASE_DRIVER": "psycopg"}, Driver.PSYCOPG),
    ],
)
def test_the_environment_names_the_driver_in_a_variable_or_in_the_url(
    environment: dict[str, str], driver: Driver
) -> None:
    assert PoolConfiguration.from_environment(environment).runs_on is driver


def test_a_url_of_another_driver_is_refused_without_showing_it() -> None:
    with pytest.raises(UserError) as refused:
        PoolConfiguration.from_environment({"DATABASE_URL": "postgresql+psycopg2://u:secret@h/d"})
    assert str(refused.value) == "DATABASE_URL: no driver 'psycopg2' (allowed: asyncpg, psycopg)"


@pytest.mark.parametrize("reference", [before_change_psycopg, after_change_psycopg])
def test_on_psycopg_none_of_the_reference_services_timeouts_applies(reference: PoolConfiguration) -> None:
    assert (reference.queue_timeout_s, reference.client_statement_timeout_s) == (30, 0)
    assert (reference.connection_timeout_s, reference.connection_limit_s) == (0, 130)
    assert reference.label == f"{reference.short} driver=psycopg pool_timeout=30 connection_timeout=0"
