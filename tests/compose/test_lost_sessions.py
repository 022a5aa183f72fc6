"""A PostgreSQL that is gone while its sessions are looked after: a part's failure, in one line."""

from pathlib import Path

import asyncpg
import pytest

from harness.compose.sessions import DatabaseSessions
from harness.model.errors import StackError
from harness.postgres import embedded_postgres

pytestmark = pytest.mark.anyio


async def test_sessions_of_a_server_that_is_gone_are_a_failure_of_that_part(tmp_path: Path) -> None:
    async with embedded_postgres(log=tmp_path / "postgres.log", max_connections=10) as (server, _):
        admin = await asyncpg.connect(server.dsn, ssl=False)
        sessions = DatabaseSessions(admin, server.database, lambda _name, _pids: None)
        await sessions.terminate()
    for work in (sessions.terminate, sessions.freeze):
        with pytest.raises(StackError, match=r"^postgres: can't be worked on: \S+"):
            await work()
    admin.terminate()
