"""The application's own uvicorn, on a socket that is bound before, and the moment at which it has started."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

from harness.guest.application import AsgiApplication


class StartedServer(uvicorn.Server):
    """A uvicorn server whose start can be waited for, and whose process decides when it stops."""

    def __init__(self, application: AsgiApplication, *, host: str, backlog: int) -> None:
        # As in production, but on asyncio's own loop: virtual time knows no other, and the two are compared.
        config = uvicorn.Config(
            application, loop="asyncio", log_level="warning", access_log=False, timeout_keep_alive=600
        )
        super().__init__(config)
        # asyncio turns Nagle's algorithm off only where the socket names its protocol; else answers come 40 ms late.
        self._socket = socket.socket(socket.AF_INET, proto=socket.IPPROTO_TCP)
        self._socket.bind((host, 0))
        self._socket.listen(backlog)
        self._started = asyncio.Event()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def is_up(self) -> bool:
        """Whether the application's startup succeeded."""
        return self.started and not self.should_exit

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve on the socket."""
        await super().serve(sockets or [self._socket])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """The application's own startup, and then the listening."""
        try:
            await super().startup(sockets)
        except SystemExit:
            # uvicorn leaves in this way when the application's startup fails; its older versions just return.
            self.should_exit = True
        self._started.set()

    async def until_started(self, serving: "asyncio.Task[Any]") -> None:
        """Wait until the startup is over, or the server has ended without one."""
        started = asyncio.create_task(self._started.wait())
        await asyncio.wait({started, serving}, return_when=asyncio.FIRST_COMPLETED)
        started.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: the parent stops this process."""
        yield
