"""The server's process: the API on uvicorn and the proxies beside it, on one plain asyncio loop.

Not uvloop: it crashed under connection churn (double free), plain asyncio never did; see docs/toxiproxy.md.
"""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Callable

import uvicorn

from harness.model.errors import StackError
from harness.processes.child import commands, emit
from harness.processes.messages import AnyProxyEvent, ProxyReady, ProxyReported
from harness.proxy.api import application
from harness.proxy.coldstart_api import routes
from harness.proxy.collection import ProxyCollection
from harness.proxy.events import EventStream


def serve(*, host: str, port: int) -> None:
    """Serve in the foreground until Ctrl-C or SIGTERM, and say where. Raises `StackError` for a taken port."""
    asyncio.run(_serve(host, port, as_child=False))


def serve_as_child(*, host: str, port: int) -> None:
    """Serve until stdin ends; writes `ProxyReady` and every event on stdout."""
    asyncio.run(_serve(host, port, as_child=True))


async def _serve(host: str, port: int, *, as_child: bool) -> None:
    listening = _listening(host, port)
    events = EventStream(_emit_event if as_child else None)
    collection = ProxyCollection(events)
    config = uvicorn.Config(
        application(collection, routes()),
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    # Our own signals: uvicorn would raise them again after the shutdown, as a traceback.
    stop = asyncio.Event()
    _on_signals(stop.set)
    gc.freeze()
    serving = asyncio.create_task(server._serve([listening]))  # noqa: SLF001 - serve() without its signal handlers
    watching = asyncio.create_task(_until_stdin_ends(stop)) if as_child else None
    bound_port = listening.getsockname()[1]
    if as_child:
        emit(ProxyReady(port=bound_port))
    else:
        print(f"Toxiproxy API on http://{host}:{bound_port}, Ctrl-C stops it", flush=True)  # noqa: T201 - the command's own words
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({stopped, serving}, return_when=asyncio.FIRST_COMPLETED)
    events.close()
    server.should_exit = True
    await serving
    collection.close()
    for task in (watching, stopped):
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def _listening(host: str, port: int) -> socket.socket:
    # The protocol is named so that asyncio turns Nagle's algorithm off on what it accepts.
    handle = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, proto=socket.IPPROTO_TCP)
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        handle.bind((host, port))
        handle.listen(128)
    except OSError as error:
        handle.close()
        raise StackError("toxiproxy", f"can't listen on {host}:{port}: {error.strerror or error}") from error
    return handle


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
