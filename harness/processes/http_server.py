"""What the processes that serve HTTP share: uvicorn without signal handlers of its own, on a socket we have bound."""

import contextlib
import socket
from collections.abc import Iterator

import uvicorn


class HttpServer(uvicorn.Server):
    """A uvicorn server whose process decides when it stops, by `should_exit` or by cancelling `serve`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: uvicorn would raise them again after its shutdown, which ends in a traceback."""
        yield


def listening_socket(host: str, port: int, *, backlog: int) -> socket.socket:
    """A socket that listens on host and port; port 0 is any free one. Raises `OSError`."""
    # asyncio turns Nagle's algorithm off only where the socket names its protocol; else answers come 40 ms late.
    handle = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, proto=socket.IPPROTO_TCP)
    try:
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        handle.bind((host, port))
        handle.listen(backlog)
    except OSError:
        handle.close()
        raise
    return handle
