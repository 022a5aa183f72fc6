"""What is behind the proxy: a PostgreSQL of our own from a wheel, or a database of the user's."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.model.errors import UserError
from harness.postgres import embedded_postgres
from harness.postgres.binaries import binaries
from harness.postgres.kept import kept_folder
from harness.postgres.script import check_script, run_script
from harness.processes.process import Child
from harness.up.upstream import Upstream

UrlAt = Callable[[str, int], str]


@dataclass(frozen=True, slots=True)
class Behind:
    """A database that never sleeps by itself."""

    place: str
    """`host:port`"""
    url_at: UrlAt
    """Its URL as clients reach it through another place, a host and a port."""
    libpq_url_at: UrlAt
    """The same for psql and psycopg."""
    version: str | None = None
    """PostgreSQL's; None: it is not ours."""
    is_new: bool = False
    """Whether it was made just now."""
    children: tuple[Child, ...] = ()
    """The processes that it needs."""

    @property
    def own_port(self) -> int | None:
        """Where it listens; None: it is not ours."""
        return None if self.version is None else int(self.place.rpartition(":")[2])


def check_own(init: Path | None, *, upstream: str | None, data: Path | None) -> None:
    """Raises `UserError` for what a database of the user's can't have, or ours can't."""
    for option, given in (("init", init), ("data", data)):
        if upstream is not None and given is not None:
            raise UserError("belongs to a database of its own", where=option, allowed="not together with upstream")
    if upstream is None:
        binaries()
    if init is not None:
        check_script(init)


@asynccontextmanager
async def own_server(*, init: Path | None, data: Path | None, logs: Path) -> AsyncIterator[Behind]:
    """A server whose data is thrown away at the end, or kept in the folder `data`; `init` is run as it is made.

    Raises `UserError` for a statement of `init` that fails, or a folder that can't be used; `StackError` when the
    server can't start.
    """
    async with AsyncExitStack() as stack:
        kept = None if data is None else await stack.enter_async_context(kept_folder(data))
        server, child = await stack.enter_async_context(embedded_postgres(log=logs / "postgres.log", kept=kept))
        if server.is_new and init is not None:
            await run_script(server, init)
        if server.is_new and kept is not None:
            kept.finish(server.password)
        yield Behind(
            f"{server.host}:{server.port}",
            url_at=server.dsn_at,
            libpq_url_at=server.dsn_at,
            version=server.version,
            is_new=server.is_new,
            children=(child,),
        )


@asynccontextmanager
async def their_database(dsn: str) -> AsyncIterator[Behind]:
    """A database of the user's. Raises `UserError` when nobody listens there."""
    upstream = Upstream.read(dsn)
    await asyncio.to_thread(upstream.check_it_listens)
    yield Behind(upstream.place, url_at=upstream.url_at, libpq_url_at=upstream.libpq_url_at)
