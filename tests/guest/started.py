"""An application as the stacks start it: in a process of its own, by the guest's entry."""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from harness.guest import enter
from harness.guest.orders import Orders
from harness.model.pool import PoolConfiguration
from harness.postgres import PostgresServer
from harness.processes.process import Child

ENTRY = str(Path(enter.__file__))
APPLICATION = """
import os
from contextlib import asynccontextmanager
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

engine = create_async_engine(os.environ["DATABASE_URL"])

async def item(request):
    async with engine.connect() as connection:
        found = (await connection.execute(text("SELECT CAST(:key AS int)"), request.path_params)).scalar_one()
    return JSONResponse({"item": found})

app = Starlette(routes=[Route("/items/{key:int}", item)])
"""
"""One table a request needs none of."""


def environment_for(
    server: PostgresServer, *, app: str = "main:app", pool: PoolConfiguration | None = None
) -> dict[str, str]:
    """What the stacks give an application."""
    orders = Orders.of(
        app=app,
        pool=pool or PoolConfiguration(pool_size=2, max_overflow=0),
        set_elsewhere=("url",),
        address=(server.host, server.port),
    )
    url = server.dsn_at(server.host, server.port, driver="postgresql+asyncpg")
    return {"DATABASE_URL": url, **orders.to_environment()}


@asynccontextmanager
async def started(
    folder: Path, environment: Mapping[str, str], *, python: str = sys.executable, part: str = "serve"
) -> AsyncIterator[Child]:
    """The application in this folder, as a child; its log is `log` there."""
    argv = [python, ENTRY, part]
    async with Child.running("application", argv, log=folder / "log", environment=environment, folder=folder) as child:
        yield child
