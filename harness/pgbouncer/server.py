"""The parent's side of PgBouncer: an async context that is one running PgBouncer in front of a server."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from harness.converter import to_json
from harness.model.server import PgBouncer
from harness.pgbouncer.settings import HOST
from harness.postgres import PostgresServer
from harness.processes.messages import PgBouncerReady, ServePgBouncer
from harness.processes.process import Child


@asynccontextmanager
async def running_pgbouncer(
    pooler: PgBouncer, server: PostgresServer, *, log: Path
) -> AsyncIterator[tuple[PostgresServer, Child]]:
    """A PgBouncer of its own on a free port of loopback; its log is `log`.

    Yields the server as its clients reach it, and the child that supervises it (for `Child.watch`). The pid is
    PgBouncer's. Raises `StackError` when it can't start.
    """
    async with Child.running("pgbouncer", [sys.executable, "-m", "harness.pgbouncer.supervisor"], log=log) as child:
        await child.send(
            ServePgBouncer(
                pooler=to_json(pooler),
                host=server.host,
                port=server.port,
                user=server.user,
                password=server.password,
                database=server.database,
            )
        )
        ready = await child.next_record(PgBouncerReady)
        yield replace(server, host=HOST, port=ready.port, pid=ready.pid), child
