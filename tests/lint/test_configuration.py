"""What is read from variables, what of it holds, and how a change of it is written down."""

from pathlib import Path

import pytest
from linted import pool, variables

from harness.application.env_file import EnvFile
from harness.lint.configuration import Configuration, of_variables
from harness.model.driver import Driver
from harness.model.errors import UserError
from harness.model.pool import PoolConfiguration


def test_the_reference_services_variables_are_read_as_it_reads_them() -> None:
    text = "DATABASE_POOL_SIZE=3 DATABASE_CONNECTION_TIMEOUT=4 DATABASE_POOL_PRE_PING=false OTHER=x"
    configuration = variables(text)
    assert configuration.pool.resolved == PoolConfiguration(
        pool_size=3, connection_timeout_s=4, pool_timeout_s=4, pool_pre_ping=False
    ).resolved  # fmt: skip


def test_what_an_application_does_not_set_is_what_the_libraries_have() -> None:
    found = variables("DB=postgresql+asyncpg://h/db SIZE=7", env="url=DB,pool_size=SIZE").pool
    assert (found.pool_size, found.max_overflow, found.queue_timeout_s, found.connection_timeout_s) == (7, 10, 30, 60)
    assert (found.client_statement_timeout_s, found.of_library.pool_recycle_s) == (0, 0)
    assert (found.of_library.pool_pre_ping, found.of_library.use_lifo) == (False, False)


def test_what_stands_in_an_applications_code_is_set_beside_its_variables() -> None:
    configuration = variables("SIZE=7", env="pool_size=SIZE", settings={"pool_pre_ping": "true", "driver": "psycopg"})
    assert (configuration.pool.runs_on, configuration.pool.of_library.pool_pre_ping) == (Driver.PSYCOPG, True)


@pytest.mark.parametrize(
    ("configuration", "changes", "lines"),
    [
        (variables("DATABASE_POOL_SIZE=5"), {"connection_timeout": "15"}, ["DATABASE_CONNECTION_TIMEOUT=15"]),
        (
            variables("DATABASE_URL=postgresql+psycopg://u:secret@h/db"),
            {"connection_timeout": "15"},
            ["DATABASE_URL=postgresql+asyncpg://…", "DATABASE_CONNECTION_TIMEOUT=15"],
        ),
        (
            variables("DATABASE_URL=postgresql+psycopg://u:secret@h/db"),
            {"pool_recycle": "240"},
            ["DATABASE_POOL_RECYCLE=240"],
        ),
        (variables("WAIT=9000", env="pool_timeout=WAIT:ms"), {"pool_timeout": "15"}, ["WAIT=15000"]),
        (
            variables("SIZE=5", env="pool_size=SIZE"),
            {"pool_timeout": "15", "pool_pre_ping": "true", "connection_timeout": "20", "statement_timeout": "10"},
            [
                "create_async_engine(pool_timeout=15)",
                "create_async_engine(pool_pre_ping=True)",
                'create_async_engine(connect_args={"timeout": 20})',
                'create_async_engine(connect_args={"command_timeout": 10})',
            ],
        ),
        (
            variables("DB=postgresql+psycopg://u:secret@h/db", env="url=DB"),
            {"connection_timeout": "20", "driver": "asyncpg"},
            ['create_async_engine(connect_args={"connect_timeout": 20})', "DB=postgresql+asyncpg://…"],
        ),
        (pool("10+5"), {"pool_timeout": "15", "driver": "psycopg"}, ["pool_timeout=15", "driver=psycopg"]),
    ],
    ids=lambda value: value.source if isinstance(value, Configuration) else "",
)
def test_a_change_is_written_by_the_names_that_one_types(
    configuration: Configuration, changes: dict[str, str], lines: list[str]
) -> None:
    assert configuration.lines(changes) == lines
    if configuration.accepts(changes):
        assert configuration.with_changes(changes).written.items() >= changes.items()


def test_a_change_of_one_timeout_moves_the_one_that_follows_it_as_the_service_does() -> None:
    changed = variables("DATABASE_CONNECTION_TIMEOUT=10").with_changes({"connection_timeout": "15"})
    assert changed.pool.queue_timeout_s == 15
    changed = variables("DATABASE_CONNECTION_TIMEOUT=10 DATABASE_POOL_TIMEOUT=9").with_changes({"pool_size": "2"})
    assert changed.pool.queue_timeout_s == 9


def test_what_a_driver_or_library_can_not_do_is_no_mend() -> None:
    assert not pool("5+0,pool_library=asyncpg").accepts({"pool_pre_ping": "true"})
    assert not pool("5+0,driver=psycopg").accepts({"statement_timeout": "10"})
    assert pool("5+0").accepts({"statement_timeout": "10"})


@pytest.mark.parametrize(
    ("text", "env", "says"),
    [
        ("OTHER=1", None, "has no setting of a pool (allowed: DATABASE_URL, DATABASE_POOL_SIZE, "),
        ("OTHER=1", "url=DB", "has no setting of a pool (allowed: DB)"),
        ("DATABASE_POOL_SIZE=many", None, "pool_size='many' is not a whole number"),
        ("DATABASE_URL=postgresql+pg8000://u:secret@h/db", None, "no driver 'pg8000' (allowed: asyncpg, psycopg)"),
        ("DATABASE_URL=mysql+aiomysql://u:secret@h/db", None, "mysql is not PostgreSQL"),
        ("DATABASE_URL=u:secret@h/db", None, "is not a URL"),
        ("DATABASE_URL=postgresql+u:secret@h/db", None, "is not a URL"),
        ("DATABASE_URL=u:secret://h/db", None, "is not a URL"),
        ("DATABASE_DRIVER=psycopg2", None, "driver='psycopg2' is not a driver"),
        ("DB=postgresql+psycopg://h WAIT=soon", "url=DB,connection_timeout=WAIT", "is not a number of seconds"),
        ("WAIT=soon", "connection_timeout=WAIT:ms", "'soon' is not a number of ms"),
        ("DATABASE_URL=postgresql+psycopg://h?connect_timeout=x DATABASE_POOL_SIZE=5", None, "is not a number"),
    ],
)
def test_what_is_wrong_is_named_without_a_word_of_the_url(text: str, env: str | None, says: str) -> None:
    with pytest.raises(UserError) as error:
        variables(text, env=env)
    assert says in str(error.value)
    assert ".env" in str(error.value)
    assert "secret" not in str(error.value)


def test_an_env_file_is_read_with_quotes_comments_exports_and_its_own_variables(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(
        "\ufeff# a comment\nexport DATABASE_POOL_SIZE=5 # five\nHOST='db'\n"
        'DATABASE_URL="postgresql+psycopg://u:p#w@${HOST}/app"\nEMPTY=\nALONE\nDATABASE_POOL_SIZE=6\n'
    )
    found = EnvFile.read(path).values
    assert found == {"DATABASE_POOL_SIZE": "6", "HOST": "db", "DATABASE_URL": "postgresql+psycopg://u:p#w@db/app",
                     "EMPTY": ""}  # fmt: skip
    assert of_variables(found, source=".env").pool.pool_size == 6


def test_a_line_that_is_none_is_named_by_its_number_and_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\nB='secret\nC=2\n")
    with pytest.raises(UserError) as error:
        EnvFile.read(path)
    assert f"{path}, line 2: is no line of such a file" in str(error.value)
    assert "secret" not in str(error.value)
    path.write_bytes(b"A=\xff\n")
    with pytest.raises(UserError, match="is not UTF-8"):
        EnvFile.read(path)
    with pytest.raises(UserError, match="can't be read: No such file"):
        EnvFile.read(tmp_path / "nothing")
