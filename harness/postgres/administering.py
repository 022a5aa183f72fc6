"""A connection to prepare a database by, whose failures are those of a part of the stack."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Literal

import asyncpg

from harness.asyncpg_errors import LOST
from harness.model.errors import StackError

CONNECT_LIMIT_S = 60.0
CLOSE_LIMIT_S = 10.0


@asynccontextmanager
async def administering(
    dsn: str, *, statement_cache_size: int = 100
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection to prepare a database by. Raises `StackError` for whatever goes wrong on it: the server is a part.

    (Not reached, no connection left, gone meanwhile, no memory, a full disk.)
    """
    ssl: Literal["prefer", False] = "prefer" if "sslmode" in dsn else False
    with worked_on():
        connection = await asyncpg.connect(
            dsn, ssl=ssl, timeout=CONNECT_LIMIT_S, statement_cache_size=statement_cache_size
        )
        try:
            yield connection
            await connection.close(timeout=CLOSE_LIMIT_S)
        finally:
            connection.terminate()


@contextmanager
def worked_on() -> Iterator[None]:
    """While inside, whatever goes wrong on a connection that `administering` made is a `StackError`.

    For work that is done elsewhere than in its block: in a task that outlives it by a moment, for one.
    """
    try:
        yield
    except LOST as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise StackError("postgres", f"can't be worked on: {why}") from error
