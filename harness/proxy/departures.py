"""Notices clients that leave while nobody reads from them.

A client that has sent more than is kept of it is not read any further, so its FIN waits behind its bytes. Linux'
epoll reports the FIN all the same (EPOLLRDHUP), and a reset in any case. Elsewhere such a client is noticed when it
is read again.
"""

import asyncio
import select
import sys
from collections.abc import Callable


class Departures:
    """The sockets of one proxy that are not read, and what to do when their peer leaves."""

    def __init__(self) -> None:
        self._left: dict[int, Callable[[], None]] = {}
        self._epoll: select.epoll | None = None

    def watch(self, descriptor: int, left: Callable[[], None]) -> None:
        """Call `left` once when the peer of this socket has closed or reset it."""
        if sys.platform != "linux" or descriptor in self._left:
            return
        if self._epoll is None:
            self._epoll = select.epoll()
            asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._on_readable)
        self._left[descriptor] = left
        self._epoll.register(descriptor, select.EPOLLRDHUP)

    def forget(self, descriptor: int) -> None:
        """It is read again, or closed."""
        if self._left.pop(descriptor, None) is None or self._epoll is None:
            return
        self._epoll.unregister(descriptor)
        if not self._left:
            asyncio.get_running_loop().remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None

    def _on_readable(self) -> None:
        assert self._epoll is not None
        for descriptor, _ in self._epoll.poll(0):
            left = self._left.get(descriptor)
            self.forget(descriptor)
            if left is not None:
                left()
