"""A recommendation as one types it: variables, the call, the diff of an env file."""

import ast

import pytest

from harness.application.variables import read_variables
from harness.model.application import Application
from harness.model.application_request import ApplicationRequest
from harness.model.arrivals import RequestMix
from harness.model.pool import PoolConfiguration
from harness.model.scenario import pool
from harness.recommend.paste import call, changed, diff, environment

ENV = """# of production
export DATABASE_URL=postgresql+asyncpg://app:secret@db/app
DATABASE_POOL_SIZE=5
SECRET_KEY='hush'
DATABASE_POOL_SIZE = 10

UNRELATED="a # b"
"""


def test_the_lines_are_those_that_the_service_reads() -> None:
    lines = environment(pool("2+0", connection_timeout=12))
    assert lines == {
        "DATABASE_POOL_SIZE": "2", "DATABASE_MAX_OVERFLOW": "0", "DATABASE_CONNECTION_TIMEOUT": "12",
        "DATABASE_POOL_TIMEOUT": "12", "DATABASE_STATEMENT_TIMEOUT": "10",
    }  # fmt: skip
    for configuration in (
        pool("5+0", pool_timeout=30, use_lifo=False),
        pool("5+0", driver="psycopg", pool_pre_ping=False),
    ):
        assert PoolConfiguration.from_environment(environment(configuration)).resolved == configuration.resolved


def application(*variables: str) -> Application:
    mix = RequestMix(((ApplicationRequest(name="home", method="GET", target="/"), 1.0),))
    return Application(app="main:app", mix=mix, variables=read_variables(variables))


def test_an_application_has_its_own_names_and_units_and_no_others() -> None:
    own = application("url=DB_URL,pool_size=DB_POOL,pool_timeout=DB_WAIT:ms")
    assert environment(pool("2+0", connection_timeout=12), own) == {"DB_POOL": "2", "DB_WAIT": "12000"}
    assert environment(pool("2+0"), application("url")) == {}, "its engine is made by its code: the call says how"


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        (
            pool("2+1", connection_timeout=12),
            [
                "create_async_engine", "pool_size=2", "max_overflow=1", "pool_timeout=12", '"timeout": 12',
                '"command_timeout": 10',
            ],
        ),
        (pool("5+0", driver="psycopg", connection_timeout=10), ["create_async_engine", '{"connect_timeout": 10}']),
        (pool("5+0", pool_recycle=0, statement_timeout=0), ["pool_recycle=-1", '"command_timeout": None']),
        (
            pool("5+5", pool_library="asyncpg"),
            ["asyncpg.create_pool", "min_size=5", "max_size=10", "pool.acquire(timeout=10)"],
        ),
        (pool("5+5", pool_library="psycopg_pool"), ["AsyncConnectionPool", "min_size=5", "max_size=10", "timeout=10"]),
        (pool("5+0", server_statement_timeout=5), ['"server_settings": {"statement_timeout": "5000"}']),
        (pool("5+0", driver="psycopg", server_statement_timeout=5), ['"options": "-c statement_timeout=5000"']),
    ],
)  # fmt: skip
def test_the_call_is_python_with_the_librarys_names(configuration: PoolConfiguration, words: list[str]) -> None:
    made = call(configuration)
    ast.parse(made)
    for word in words:
        assert word in made


def test_an_env_file_keeps_every_other_line() -> None:
    after = changed(ENV, {"DATABASE_POOL_SIZE": "2", "DATABASE_MAX_OVERFLOW": "0"})
    assert after.splitlines() == [
        "# of production", "export DATABASE_URL=postgresql+asyncpg://app:secret@db/app", "DATABASE_POOL_SIZE=2",
        "SECRET_KEY='hush'", "DATABASE_POOL_SIZE=2", "", 'UNRELATED="a # b"', "DATABASE_MAX_OVERFLOW=0",
    ]  # fmt: skip


def test_a_value_of_several_lines_and_a_file_without_a_last_newline_stay_whole() -> None:
    text = 'KEY="first\nDATABASE_POOL_SIZE=9\n"\nDATABASE_POOL_SIZE=5'
    after = changed(text, {"DATABASE_POOL_SIZE": "2", "DATABASE_MAX_OVERFLOW": "0"})
    assert after == 'KEY="first\nDATABASE_POOL_SIZE=9\n"\nDATABASE_POOL_SIZE=2\nDATABASE_MAX_OVERFLOW=0\n'
    assert changed("# only a comment", {"A": "1"}) == "# only a comment\nA=1\n"
    assert changed("", {"A": "1"}) == "A=1\n"


def test_the_diff_shows_no_secret() -> None:
    shown = diff(".env", ENV, {"DATABASE_POOL_SIZE": "2", "DATABASE_MAX_OVERFLOW": "0"})
    assert "-DATABASE_POOL_SIZE=5" in shown
    assert "+DATABASE_POOL_SIZE=2" in shown
    assert "+DATABASE_MAX_OVERFLOW=0" in shown
    assert "secret" not in shown
    assert "hush" not in shown
    assert diff(".env", "DATABASE_POOL_SIZE=2\n", {"DATABASE_POOL_SIZE": "2"}) == ""
