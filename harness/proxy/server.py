"""The server's process: the API on uvicorn and the proxies, on one plain asyncio loop.

Not uvloop: it crashed under connection churn (double free), plain asyncio never did; see docs/toxiproxy.md.
"""

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable

import uvicorn

from harness.heartbeat import Stalled, beating
from harness.model.errors import StackError
from harness.processes.cancelling import run_async
from harness.processes.child import commands, emit
from harness.processes.http_server import HttpServer, listening_socket
from harness.processes.messages import ProxyReady, ProxyReported
from harness.processes.open_files import allow_open_files
from harness.processes.proxy_messages import AnyProxyEvent, ProxyStalled
from harness.proxy.api import application
from harness.proxy.coldstart_api import routes
from harness.proxy.collection import ProxyCollection
from harness.proxy.events import EventStream
from harness.proxy.http_protocol import IDLE_LIMIT_S, TimedRequests

API_BACKLOG = 128


def serve(*, host: str, port: int) -> None:
    """Serve in the foreground until Ctrl-C or SIGTERM, and say where. Raises `StackError` for a taken port."""
    run_async(_serve(host, port, as_child=False))


def serve_as_child(*, host: str, port: int) -> None:
    """Serve until stdin ends; writes `ProxyReady` and every event on stdout."""
    run_async(_serve(host, port, as_child=True))


async def _serve(host: str, port: int, *, as_child: bool) -> None:
    allow_open_files()
    try:
        listening = listening_socket(host, port, backlog=API_BACKLOG)
    except OSError as error:
        raise StackError("toxiproxy", f"can't listen on {host}:{port}: {error.strerror or error}") from error
    events = EventStream(_emit_event if as_child else None)
    collection = ProxyCollection(events)
    config = uvicorn.Config(
        application(collection, routes()),
        log_level="warning",
        access_log=False,
        lifespan="off",
        http=TimedRequests,
        ws="none",
        timeout_keep_alive=IDLE_LIMIT_S,
        timeout_graceful_shutdown=1,
    )
    server = HttpServer(config)
    stop = asyncio.Event()
    _on_signals(stop.set)
    gc.freeze()
    serving = asyncio.create_task(server.serve([listening]))
    beats = asyncio.create_task(beating(_tell_every_proxy(collection)))
    watching = asyncio.create_task(_until_stdin_ends(stop)) if as_child else None
    bound_port = listening.getsockname()[1]
    if as_child:
        emit(ProxyReady(port=bound_port))
    else:
        print(f"Toxiproxy API on http://{host}:{bound_port}, Ctrl-C stops it", flush=True)  # noqa: T201 - the command's own words
    stopped = asyncio.create_task(stop.wait())
    besides = [stopped, beats, *([watching] if watching else [])]
    # Stdin's too: where it can't be read any more, nobody would notice that the parent is gone.
    await asyncio.wait({serving, *besides}, return_when=asyncio.FIRST_COMPLETED)
    events.close()
    server.should_exit = True
    await serving
    collection.close()
    for task in besides:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _tell_every_proxy(collection: ProxyCollection) -> Stalled:
    def stalled(at_s: float, for_s: float) -> None:
        for name in collection.proxies:
            collection.events.publish(ProxyStalled(proxy=name, at_s=at_s, for_s=for_s))

    return stalled


def _on_signals(stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for signal_ in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_, stop)


async def _until_stdin_ends(stop: asyncio.Event) -> None:
    async for _ in commands():
        pass
    stop.set()


def _emit_event(event: AnyProxyEvent) -> None:
    emit(ProxyReported(event=event))
