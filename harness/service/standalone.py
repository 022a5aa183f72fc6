"""`python -m harness.service.standalone`: the service under test by itself, until SIGTERM; docker-compose.yml runs it.

Settings from the environment: DATABASE_URL, the DATABASE_* settings of harness/model/pool.py, HOST and PORT. It makes
its catalogue at the start, which empties one that is there.
"""

import asyncio
import os
import sys

import uvicorn
from sqlalchemy import make_url

from harness.model.errors import StackError, UserError
from harness.model.pool import PoolConfiguration
from harness.service.app import create_app
from harness.service.catalogue import create_catalogue
from harness.service.instance import Instance
from harness.service.observation import PoolWatch
from harness.service.telemetry import telemetry


async def serve() -> None:
    """Serve until asked to stop."""
    url = make_url(os.environ["DATABASE_URL"])
    plain_url = url.set(drivername="postgresql", query={})
    await create_catalogue(plain_url.render_as_string(hide_password=False))
    watch, pool = PoolWatch(), PoolConfiguration.from_environment(os.environ)
    exporter = telemetry(os.environ, pool, watch)
    instance = Instance(url, pool, watch, telemetry=exporter)
    config = uvicorn.Config(
        create_app(instance, telemetry=exporter),
        host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", "8000")),
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    await uvicorn.Server(config).serve()
    if exporter is not None:
        exporter.shutdown()


if __name__ == "__main__":
    try:
        asyncio.run(serve())
    except (StackError, UserError) as error:
        sys.exit(str(error))
