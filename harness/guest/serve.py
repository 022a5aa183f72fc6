"""The application in real time: on a port of loopback, by its own uvicorn, as a child of the harness.

It speaks as the service under test does (harness/processes/messages.py): `ServiceReady`, samples of its pool, and
`WarmPool` and `ReplacePool` are carried out on its engines.
"""

import asyncio
import os
import sys
from contextlib import suppress
from time import monotonic, process_time
from typing import TYPE_CHECKING, Any

from harness.guest.application import NoApplicationError, find_application
from harness.guest.holding import Holding
from harness.guest.orders import Orders
from harness.guest.protocol import Pipes, stop
from harness.heartbeat import beating
from harness.model.errors import UserError
from harness.model.rows import PoolSample
from harness.service.sampling import Timeline

if TYPE_CHECKING:
    from harness.guest.engines import Engines

HOST = "127.0.0.1"
BACKLOG = 4096
"""A burst of clients that connect at once all get in."""


def main() -> None:
    """Serve until the parent wants it to stop."""
    pipes = Pipes()
    try:
        import sqlalchemy  # noqa: F401 - here to say so in words
        import uvicorn  # noqa: F401 - here to say so in words
    except ModuleNotFoundError as error:
        stop(pipes, f"{sys.executable} has no {error.name}: the application's environment must have it (--python)")
    asyncio.run(_serve(pipes, Orders.from_environment(os.environ)))


async def _serve(pipes: Pipes, orders: Orders) -> None:
    # Not before main() has found what they need.
    from harness.guest.asgi import ObservedApplication
    from harness.guest.engines import Engines
    from harness.guest.uvicorn_server import StartedServer

    loop = asyncio.get_running_loop()
    commands = pipes.commands()
    is_ready = False

    def emit_sample(sample: PoolSample) -> None:
        # What the application does as it starts is before the story.
        if is_ready:
            pipes.emit("pool_sampled", sample=sample.to_record())

    timeline = Timeline(emit_sample)
    changed = timeline.watch.changed
    # An application may use its engine in worker threads; the timeline is the loop's.

    def changed_somewhere() -> None:
        loop.call_soon_threadsafe(changed)

    timeline.watch.changed = changed_somewhere
    engines = Engines(orders, timeline.watch, now_s=monotonic)
    engines.take_part()
    holding = Holding()
    engines.checked_out, engines.given_back = holding.checked_out, holding.given_back
    try:
        application = find_application(orders.app)
    except NoApplicationError as error:
        stop(pipes, str(error))
    server = StartedServer(ObservedApplication(application), host=HOST, backlog=BACKLOG)
    serving = asyncio.create_task(server.serve())
    await server.until_started(serving)
    if not server.is_up:
        stop(pipes, f"{orders.app}: its startup failed; its own words are above in this log")
    is_ready = True
    pipes.emit("service_ready", port=server.port)
    sampling = asyncio.create_task(_sample(engines, timeline))
    beats = asyncio.create_task(beating(lambda at_s, for_s: pipes.emit("loop_stalled", at_s=at_s, for_s=for_s)))
    async for command in commands:
        await _obey(command, engines, holding, pipes)
    sampling.cancel()
    beats.cancel()


async def _sample(engines: "Engines", timeline: Timeline) -> None:
    """From the moment at which there is an engine to sample: some applications make theirs with the first request."""
    await engines.watched.wait()
    await timeline.run()


async def _obey(command: dict[str, Any], engines: "Engines", holding: Holding, pipes: Pipes) -> None:
    match command["command"]:
        case "warm_pool":
            try:
                engines.check()
                await engines.warm(command["ages_s"])
            except UserError as error:
                pipes.emit("pool_refused", what=error.what, where=error.where, allowed=error.allowed)
            except Exception as error:  # noqa: BLE001 - reported to the parent, which decides
                pipes.emit("pool_not_warmed", error=_first(error))
            else:
                pipes.emit("pool_warmed", at_s=asyncio.get_running_loop().time(), connections=len(command["ages_s"]))
        case "replace_pool":
            with suppress(Exception):
                await engines.dispose()
            pipes.emit("pool_replaced")
        case "report_cpu":
            first_s, held_s = holding.report()
            pipes.emit("cpu_reported", cpu_s=process_time(), checked_out_at_cpu_s=first_s, held_cpu_s=held_s)
        case other:
            raise AssertionError(f"{other} is not for an application")


def _first(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
