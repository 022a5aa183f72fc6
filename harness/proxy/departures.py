"""Notices clients that leave while nobody reads from them.

When a client has sent more than the proxy keeps, its socket is not read any more, so its FIN waits behind its bytes.
Linux' epoll reports the FIN all the same (EPOLLRDHUP), and a reset in any case. On other systems such a client is
noticed when it is read again.
"""

import asyncio
import select
import sys
from collections.abc import Callable


class Departures:
    """The sockets of one proxy that are not read, and what to do when their peer leaves."""

    def __init__(self) -> None:
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._epoll: select.epoll | None = None

    def watch(self, descriptor: int, on_left: Callable[[], None]) -> None:
        """Call `on_left` once when the peer of this socket has closed or reset it."""
        if sys.platform != "linux" or descriptor in self._callbacks:
            return
        if self._epoll is None:
            self._epoll = select.epoll()
            asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._on_readable)
        self._callbacks[descriptor] = on_left
        self._epoll.register(descriptor, select.EPOLLRDHUP)

    def forget(self, descriptor: int) -> None:
        """Watch this socket no more: it is read again, or closed."""
        if self._callbacks.pop(descriptor, None) is None or self._epoll is None:
            return
        self._epoll.unregister(descriptor)
        if not self._callbacks:
            asyncio.get_running_loop().remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None

    def _on_readable(self) -> None:
        assert self._epoll is not None
        for descriptor, _ in self._epoll.poll(0):
            on_left = self._callbacks.get(descriptor)
            self.forget(descriptor)
            if on_left is not None:
                on_left()
