"""`python -m harness.service`: the service as a child of the harness, its settings from the environment.

DATABASE_URL and the DATABASE_* settings; see harness/model/pool.py. What it writes and understands is in
harness/processes/messages.py.
"""

import asyncio
import gc
import json
import os
import sys
from typing import NoReturn

import uvicorn

from harness.converter import from_json
from harness.heartbeat import beating
from harness.model.errors import UserError
from harness.model.listener import QueueListener
from harness.model.pool import PoolConfiguration
from harness.model.rows import ListenerEvent, PoolSample
from harness.model.story import SERVICE_PART, OnDisconnect, ServicePart
from harness.processes.child import commands, emit
from harness.processes.http_server import HttpServer, listening_socket
from harness.processes.messages import (
    ListenerReported,
    LoopStalled,
    PoolNotWarmed,
    PoolReplaced,
    PoolSampled,
    PoolWarmed,
    ReplacePool,
    ServiceReady,
    WarmPool,
)
from harness.service.app import create_app
from harness.service.instance import Instance
from harness.service.listener import listening
from harness.service.sampling import Timeline
from harness.service.telemetry import telemetry

HOST = "127.0.0.1"
BACKLOG = 4096
"""A burst of clients that connect at once all get in."""


async def serve() -> NoReturn:
    """Serve until stdin ends; then the process ends, whatever is under way."""
    pool = PoolConfiguration.from_environment(os.environ)
    listener = QueueListener.from_environment(os.environ)
    timeline = Timeline(_emit_sample)
    url = os.environ["DATABASE_URL"]
    exporter = telemetry(os.environ, pool, timeline.watch)
    part = from_json(json.loads(os.environ.get(SERVICE_PART, "{}")), ServicePart, where=SERVICE_PART)
    instance = Instance(
        url,
        pool,
        timeline.watch,
        shapes=part.shapes,
        telemetry=exporter,
        transaction_pooler=part.transaction_pooler,
    )
    http_socket = listening_socket(os.environ.get("HOST", HOST), int(os.environ.get("PORT", "0")), backlog=BACKLOG)
    config = uvicorn.Config(
        create_app(instance, cancels=part.on_disconnect is OnDisconnect.CANCEL, telemetry=exporter),
        log_level="warning",
        access_log=False,
        lifespan="off",
        loop="none",
        timeout_keep_alive=600,
        timeout_graceful_shutdown=0,
    )
    async with asyncio.TaskGroup() as running:
        running.create_task(HttpServer(config).serve([http_socket]))
        running.create_task(timeline.run())
        running.create_task(beating(_emit_stall))
        gc.freeze()
        emit(ServiceReady(port=http_socket.getsockname()[1]))
        async with listening(listener, url, _emit_listener_event):
            await _obey(instance)
        if exporter is not None:
            exporter.shutdown()
        # Nobody waits for the answers any more. Leaving the loop would cancel what is under way, and a statement on a
        # connection that hangs takes its time: psycopg gives the server 5 s to take the cancellation, and 5 s more.
        sys.stdout.flush()
        os._exit(0)


async def _obey(instance: Instance) -> None:
    """Carry out the commands, until there will be no more."""
    async for command in commands():
        match command:
            case WarmPool(ages_s=ages_s):
                await _warm(instance, ages_s)
            case ReplacePool():
                instance.replace_pool()
                emit(PoolReplaced())
            case _:
                raise AssertionError(f"{type(command).__name__} is not for a service")


async def _warm(instance: Instance, ages_s: tuple[float, ...]) -> None:
    try:
        await instance.warm(ages_s)
    except* Exception as group:  # noqa: BLE001 - reported to the parent, which decides
        first = group.exceptions[0]
        emit(PoolNotWarmed(error=f"{type(first).__name__}: {first}"))
    else:
        emit(PoolWarmed(at_s=asyncio.get_running_loop().time(), connections=len(ages_s)))


def _emit_sample(sample: PoolSample) -> None:
    emit(PoolSampled(sample=sample))


def _emit_stall(at_s: float, for_s: float) -> None:
    emit(LoopStalled(at_s=at_s, for_s=for_s))


def _emit_listener_event(event: ListenerEvent) -> None:
    emit(ListenerReported(event=event))


if __name__ == "__main__":
    try:
        asyncio.run(serve())
    except UserError as error:
        sys.exit(str(error))
