"""Real file descriptors on a virtual clock: what is ready now is found before time goes on.

libpq, which psycopg stands on, reads and writes a socket of the operating system by itself. Its bytes come and go at
moments of the virtual clock only (harness/simulation/libpq.py), so asking the system once for what is ready, without
waiting, always tells the truth.
"""

import asyncio
import select
from collections.abc import Callable
from typing import Any

from harness.simulation.handles import Soon

READABLE = select.POLLIN | select.POLLHUP | select.POLLERR
WRITABLE = select.POLLOUT | select.POLLERR


class Descriptors:
    """Who is to be called when a descriptor can be read or written: the `add_reader` and `add_writer` of a loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._poll = select.poll()
        self._readers: dict[int, asyncio.Handle] = {}
        self._writers: dict[int, asyncio.Handle] = {}
        self._order: dict[int, int] = {}
        """Descriptors in the order in which they were first watched: their numbers differ from process to process."""
        self._watched = 0

    def add_reader(self, fd: int, callback: Callable[..., object], *args: Any) -> None:  # noqa: ANN401 - asyncio's own
        """Call `callback` at every instant at which there is something to read, or an end."""
        self._readers[fd] = Soon(callback, args, self._loop)
        self._watch(fd)

    def remove_reader(self, fd: int) -> bool:
        reader = self._readers.pop(fd, None)
        if reader is None:
            return False
        reader.cancel()
        self._watch(fd)
        return True

    def add_writer(self, fd: int, callback: Callable[..., object], *args: Any) -> None:  # noqa: ANN401 - asyncio's own
        """Call `callback` at every instant at which there is room to write."""
        self._writers[fd] = Soon(callback, args, self._loop)
        self._watch(fd)

    def remove_writer(self, fd: int) -> bool:
        writer = self._writers.pop(fd, None)
        if writer is None:
            return False
        writer.cancel()
        self._watch(fd)
        return True

    def ready(self) -> list[asyncio.Handle]:
        """What can go on at this instant, in the order in which its descriptors were first watched."""
        if not self._order:
            return []
        handles = []
        events = self._poll.poll(0)
        if len(events) > 1:
            events.sort(key=self._place)
        for fd, event in events:
            if event & READABLE and (reader := self._readers.get(fd)) is not None:
                handles.append(reader)
            if event & WRITABLE and (writer := self._writers.get(fd)) is not None:
                handles.append(writer)
        return handles

    def _place(self, event: tuple[int, int]) -> int:
        return self._order[event[0]]

    def _watch(self, fd: int) -> None:
        wanted = (select.POLLIN if fd in self._readers else 0) | (select.POLLOUT if fd in self._writers else 0)
        if wanted:
            if fd not in self._order:
                self._watched += 1
                self._order[fd] = self._watched
            self._poll.register(fd, wanted)
        elif self._order.pop(fd, None) is not None:
            self._poll.unregister(fd)
