"""The parent's side of embedded PostgreSQL: an async context that is one running server."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import asdict

from harness.postgres.folder import sweep
from harness.postgres.kept import KeptFolder
from harness.postgres.shared_memory import remove_segment
from harness.processes.messages import PostgresReady
from harness.processes.process import Child


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """How to reach a running server. The password stays out of its repr."""

    host: str
    port: int
    user: str
    database: str
    version: str
    password: str = field(repr=False)
    pid: int = 0
    is_new: bool = True
    """Whether its data was made by this start."""

    @property
    def dsn(self) -> str:
        """For asyncpg and libpq."""
        return self.dsn_at(self.host, self.port)

    @property
    def environment(self) -> dict[str, str]:
        """The same for a program of PostgreSQL's: no password on a command line."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": self.database,
        }

    def dsn_at(self, host: str, port: int, *, driver: str = "postgresql", database: str | None = None) -> str:
        """The same server reached through another address, such as a proxy in front of it; or another database."""
        return f"{driver}://{self.user}:{self.password}@{host}:{port}/{database or self.database}"


@asynccontextmanager
async def embedded_postgres(
    *, log: Path, max_connections: int = 200, kept: KeptFolder | None = None
) -> AsyncIterator[tuple[PostgresServer, Child]]:
    """A PostgreSQL of its own on a free port of 127.0.0.1, its data thrown away at the end unless it is `kept`.

    Yields the server and the child that supervises it (for `Child.watch`). Raises `StackError` when it can't start.
    Who makes a kept database calls `KeptFolder.finish` when everything is in it.
    """
    argv = [sys.executable, "-m", "harness.postgres.supervisor", str(max_connections)]
    if kept is not None:
        argv.append(str(kept.path))
    # The supervisor has the folder's lock too: killed or not, nobody starts on data whose server is still ending.
    inherits = () if kept is None else (kept.lock,)
    child = await Child.start("postgres", argv, log=log, inherits=inherits)
    try:
        ready = await child.next_record(PostgresReady)
        yield PostgresServer(**asdict(ready)), child
    finally:
        if await child.stop() < 0:
            # The supervisor could tidy nothing up.
            sweep()
            if kept is not None:
                remove_segment(kept.data)
