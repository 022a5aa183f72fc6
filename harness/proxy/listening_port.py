"""A listening port that can do what a sleeping host does: accept, refuse, or leave connection requests unanswered.

Linux facts used here, each held by a test: `shutdown` on a listening socket refuses connections and keeps its port;
a full accept queue drops connection requests, which the client's kernel retransmits; SO_MEMINFO counts those drops.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import struct
import sys
from collections.abc import Callable

from harness.model.errors import UserError
from harness.proxy.tasks import started

BACKLOG = 4096
"""Go, and so Toxiproxy, asks for as many as the kernel allows (net.core.somaxconn, 4096): nobody is dropped sooner."""
SO_MEMINFO = 55
SK_MEMINFO_DROPS = 8
MEMINFO = struct.Struct("9I")
DROP_POLL_S = 0.01
PORT_TRIES = 20
OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
RETRY_S = 0.1
"""Between two looks for room, while there are too many connections to accept another."""

LOG = logging.getLogger("harness.proxy")


def bound(host: str, port: int) -> socket.socket:
    """A socket bound to host and port, not listening yet; port 0 is any free one. Raises `OSError`."""
    for _ in range(PORT_TRIES):
        handle = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            handle.bind((host, port or _free_port(host)))
        except OSError as error:
            handle.close()
            if port == 0 and error.errno == errno.EADDRINUSE:
                continue
            raise
        handle.setblocking(False)
        return handle
    raise OSError(errno.EADDRINUSE, f"no free port on {host}")


def _free_port(host: str) -> int:
    # Bound explicitly afterwards: a port the kernel chose itself is given up by `shutdown`.
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


class ListeningPort:
    """Accepts connections on one port and hands their sockets on, for as long as `has_room` says so."""

    def __init__(
        self, host: str, port: int, accepted: Callable[[socket.socket], None], *, has_room: Callable[[], bool]
    ) -> None:
        self._accepted = accepted
        self._has_room = has_room
        self._retry: asyncio.TimerHandle | None = None
        self._is_full = False
        self._refuses = False
        self._loop = asyncio.get_running_loop()
        self._socket = bound(host, port)
        self._filler: socket.socket | None = None
        self._polling: asyncio.Task[None] | None = None
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self.accept()

    def accept(self) -> None:
        """Accept connections, those that wait first."""
        self._stop_dropping()
        self._refuses = False
        self._socket.listen(BACKLOG)
        self._read_queue()

    def refuse(self) -> None:
        """Refuse connections; the port stays ours. Does nothing while it refuses already."""
        if self._refuses:
            return
        self._stop_dropping()
        self._on_readable()
        self._stop_reading_queue()
        self._socket.shutdown(socket.SHUT_RD)
        self._refuses = True

    def drop(self, first_attempt: Callable[[], None]) -> None:
        """Leave connection requests without an answer; tell when the first one from now on came (within 10 ms)."""
        if sys.platform != "linux":
            raise UserError("connection requests can only be dropped on Linux", where="while_waking drop")
        if self._polling is not None:
            self._polling.cancel()
        if self._filler is None:
            self._on_readable()
            self._stop_reading_queue()
            self._refuses = False
            self._socket.listen(0)
            # A queue of length 0 still takes one connection: fill it with our own. Not with more: the kernel would send
            # the request of a second one again and again, and each would count as an attempt.
            self._filler = self._fill()
        # Counted from now: a client may be quicker than the task's first step.
        self._polling = started(
            self._poll_drops(self._drops(), first_attempt), name="count of drops", on_failure=first_attempt
        )

    def close(self) -> None:
        """Unbind the port."""
        self._stop_dropping()
        self._stop_reading_queue()
        self._socket.close()

    def _read_queue(self) -> None:
        self._stop_reading_queue()
        self._loop.add_reader(self._socket, self._on_readable)
        self._on_readable()

    def _stop_reading_queue(self) -> None:
        self._loop.remove_reader(self._socket)
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _wait_for_room(self, why: str) -> None:
        # The queue stays readable: without this the loop would come back to it at once, for ever.
        self._stop_reading_queue()
        self._retry = self._loop.call_later(RETRY_S, self._read_queue)
        if not self._is_full:
            self._is_full = True
            LOG.warning("%s:%d accepts nobody for now: %s", *self.address, why)

    def _on_readable(self) -> None:
        while True:
            if not self._has_room():
                self._wait_for_room("as many connections as there are file descriptors for")
                return
            try:
                accepted, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                # Everybody who waited is in: should it fill up again, that is worth another line.
                self._is_full = False
                return
            except OSError as error:
                if error.errno in OUT_OF_DESCRIPTORS:
                    self._wait_for_room(str(error.strerror))
                elif error.errno != errno.EINVAL:  # EINVAL: it does not listen (it refuses)
                    raise
                return
            self._accepted(accepted)

    def _fill(self) -> socket.socket:
        filler = socket.socket(self._socket.family)
        filler.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            filler.connect(self.address)
        return filler

    async def _poll_drops(self, before: int, first_attempt: Callable[[], None]) -> None:
        while self._drops() == before:  # noqa: ASYNC110 - the kernel counts; there is nothing to wait on
            await asyncio.sleep(DROP_POLL_S)
        first_attempt()

    def _drops(self) -> int:
        drops: int = MEMINFO.unpack(self._socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO.size))[
            SK_MEMINFO_DROPS
        ]
        return drops

    def _stop_dropping(self) -> None:
        if self._polling is not None:
            self._polling.cancel()
            self._polling = None
        if self._filler is None:
            return
        ours = self._filler.getsockname()
        self._filler.close()
        self._filler = None
        with contextlib.suppress(BlockingIOError):
            while True:
                accepted, address = self._socket.accept()
                if address == ours:
                    accepted.close()
                else:
                    self._accepted(accepted)
