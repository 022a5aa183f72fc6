"""What an application says of itself: its process imports it, and serves nothing."""

import asyncio
from pathlib import Path

from harness.application.starting import environment_of, interpreter, orders_of
from harness.guest import enter
from harness.model.application import Application
from harness.model.errors import StackError
from harness.model.pool import PoolConfiguration
from harness.postgres import PostgresServer
from harness.processes.messages import ApplicationDescribed
from harness.processes.process import Child
from harness.simulation.virtual_driver import DATABASE, HOST, PASSWORD, PORT, USER

LIMIT_S = 120.0
"""A large application takes many seconds to import."""


async def describe(application: Application, *, log: Path) -> str:
    """Its OpenAPI document, as JSON. Raises `StackError` where it can't be imported, or has none.

    Its variables lead to a database that is nowhere: what only imports it has no business with a real one.
    """
    nowhere = PostgresServer(host=HOST, port=PORT, user=USER, database=DATABASE, version="", password=PASSWORD)
    pool = PoolConfiguration()
    environment = {
        **environment_of(application, nowhere, pool),
        **orders_of(application, pool, (HOST, PORT)).to_environment(),
    }
    argv = [interpreter(application.python), str(Path(enter.__file__)), "describe"]
    folder = Path(application.folder)
    async with Child.running("application", argv, log=log, environment=environment, folder=folder) as child:
        try:
            return (await asyncio.wait_for(child.next_record(ApplicationDescribed), LIMIT_S)).document
        except TimeoutError:
            raise StackError("application", f"had not described itself after {LIMIT_S:g} s", log=log) from None
