"""What is known of a pooler in the path and can't be played in virtual time: facts with their source, no findings."""

from collections.abc import Iterator

from harness.lint.case import Case
from harness.model.driver import Driver
from harness.model.pool_library import PoolLibrary

PAGE = "docs/pgbouncer.md"


def known(case: Case) -> Iterator[str]:
    """One sentence each. Nothing of it was tried on this configuration, and each says so or names what to try."""
    if case.pooler is None:
        return
    yield (
        "virtual time has no pooler, so what only one shows is not played; coldstart run behind_pgbouncer --stack "
        "embedded plays it on a real PgBouncer"
    )
    if case.pooler != "transaction":
        return
    if case.pool.runs_on is Driver.PSYCOPG:
        yield (
            "psycopg prepares a statement at its sixth execution, which a pooler in transaction mode can lose: "
            f'connect_args={{"prepare_threshold": None}} prepares none ({PAGE})'
        )
    elif case.pool.pool_library is PoolLibrary.ASYNCPG:
        yield (
            "asyncpg keeps 100 prepared statements, which a pooler in transaction mode can lose: "
            "statement_cache_size=0 keeps none; PgBouncer follows them itself since 1.21, if max_prepared_statements "
            f"is not 0: 200 by default since 1.24 ({PAGE})"
        )
    else:
        yield (
            "SQLAlchemy on asyncpg prepares statements, which a pooler in transaction mode can lose: 34 of 80 requests "
            "failed behind PgBouncer 1.18 with the drivers' defaults, and none with statement_cache_size=0, "
            "prepared_statement_cache_size=0 and a prepared_statement_name_func of unique names, as the reference "
            "service has them; PgBouncer follows prepared statements itself since 1.21, if max_prepared_statements is "
            f"not 0: 200 by default since 1.24 ({PAGE})"
        )
    if case.pool.server_statement_timeout_s:
        startup = "options" if case.pool.runs_on is Driver.PSYCOPG else "statement_timeout"
        yield (
            f"server_statement_timeout is the startup parameter {startup}, with which PgBouncer refuses every "
            f"connection unless it is in ignore_startup_parameters ({PAGE})"
        )
    if case.listener:
        yield (
            "LISTEN does not outlive its transaction behind a pooler in transaction mode: the listener needs the "
            "database's own address (PgBouncer's page of features, 'LISTEN')"
        )
