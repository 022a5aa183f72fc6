"""A client's kernel on an open connection whose other end is gone, and what a socket is asked for about that.

Made when the other end goes: a healthy connection has none of this, and no timer of it.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Callable

from harness.model.kernel import Keepalive, Kernel, Silence
from harness.simulation.loop import VirtualLoop

OWN_ADDRESS = ("198.51.100.254", 40000)


def never() -> bool:
    """What `is_back` is where nobody ever answers for the other end: the way there is dead."""
    return False


class Socket:
    """As much of a socket as clients ask their transport for: keepalives, by Linux's options, and its addresses."""

    family = socket.AF_INET
    type = socket.SOCK_STREAM

    def __init__(self, keeping_alive: Callable[[], None], peer: tuple[str, int]) -> None:
        """`keeping_alive` is called when somebody asks for keepalives for the first time."""
        self._keeping_alive = keeping_alive
        self._peer = peer
        self._options: dict[tuple[int, int], int] = {}

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """SO_KEEPALIVE and its times are kept; TCP_NODELAY and the like change nothing here."""
        self._options[level, option] = value
        if (level, option) == (socket.SOL_SOCKET, socket.SO_KEEPALIVE) and value:
            self._keeping_alive()

    def getpeername(self) -> tuple[str, int]:
        """The address of the other end."""
        return self._peer

    def fileno(self) -> int:
        """The system has no such socket: what a closed one says, and HTTP clients connect anew."""
        return -1

    def getsockname(self) -> tuple[str, int]:
        """Its own, of which there is only one."""
        return OWN_ADDRESS

    @property
    def keepalive(self) -> Keepalive | None:
        """None: nobody asked for any."""
        options, default = self._options, Keepalive()
        if not options.get((socket.SOL_SOCKET, socket.SO_KEEPALIVE)):
            return None
        return Keepalive(
            idle_s=options.get((socket.IPPROTO_TCP, socket.TCP_KEEPIDLE), default.idle_s),
            every_s=options.get((socket.IPPROTO_TCP, socket.TCP_KEEPINTVL), default.every_s),
            probes=options.get((socket.IPPROTO_TCP, socket.TCP_KEEPCNT), default.probes),
        )


class Retransmission:
    """Sends again what nobody acknowledges: RST is the answer of a machine that is back, and without one it gives up.

    What has been acknowledged before is not sent again: a client that waits for an answer, and has sent nothing
    since, hears nothing, unless it asked for keepalives.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        kernel: Kernel,
        *,
        draw_way_s: Callable[[], float],
        is_back: Callable[[], bool],
        ended: Callable[[OSError], None],
        keepalive: Keepalive | None,
        heard_s: float,
    ) -> None:
        """`is_back` says whether the machine at the other end is there again; it knows nothing of the connection."""
        self._loop = loop
        self._kernel = kernel
        self._draw_way_s = draw_way_s
        self._is_back = is_back
        self._ended = ended
        self._unacknowledged = False
        self._timer: asyncio.TimerHandle | None = None
        self._under_way: list[asyncio.TimerHandle] = []
        """What has been sent and not arrived, either way."""
        if keepalive is not None:
            # Until now every probe had its answer.
            heard_s += (loop.time() - heard_s) // keepalive.idle_s * keepalive.idle_s
            self._wait(kernel.keepalives(heard_s, keepalive), 0)

    def sent(self) -> None:
        """The client wrote something. While earlier data is unacknowledged it goes along with that."""
        if self._unacknowledged:
            return
        self._unacknowledged = True
        if self._timer is not None:
            # No keepalives while there is data to be acknowledged.
            self._timer.cancel()
        round_trip_s = self._draw_way_s() + self._draw_way_s()
        self._wait(self._kernel.data(self._loop.time(), round_trip_s=round_trip_s), 0)
        self._send()

    def stop(self) -> None:
        """The client's end is gone: what its kernel still sends nobody notices."""
        for timer in (self._timer, *self._under_way):
            if timer is not None:
                timer.cancel()

    def _wait(self, silence: Silence, number: int) -> None:
        """For the moment of the retransmission of this number, from 0, and of giving up after the last."""
        if number < len(silence.again_s):
            self._timer = self._loop.call_at(silence.again_s[number], self._again, silence, number)
        else:
            self._timer = self._loop.call_at(silence.gives_up_s, self._end, errno.ETIMEDOUT)

    def _again(self, silence: Silence, number: int) -> None:
        self._wait(silence, number + 1)
        self._send()

    def _send(self) -> None:
        # Never at once, even without a delay: asyncio does not answer a protocol inside its own write().
        self._under_way = [self._loop.call_later(self._draw_way_s(), self._arrive)]

    def _arrive(self) -> None:
        if self._is_back():
            self._under_way = [self._loop.call_later(self._draw_way_s(), self._end, errno.ECONNRESET)]

    def _end(self, number: int) -> None:
        self.stop()
        self._ended(OSError(number, os.strerror(number)))
