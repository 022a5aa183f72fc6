"""What happened on the proxies, as it happens: to anyone who listens, and never held up by one who is slow."""

import asyncio
from collections.abc import AsyncIterator, Callable

from harness.processes.messages import to_line
from harness.processes.proxy_messages import AnyProxyEvent

BACKLOG = 100_000
"""Events kept for a listener that does not read; when it is full the stream to that listener ends."""


class EventStream:
    """Publishes what happens on the proxies."""

    def __init__(self, forward: Callable[[AnyProxyEvent], None] | None = None) -> None:
        self._forward = forward
        self._listeners: set[asyncio.Queue[AnyProxyEvent | None]] = set()

    def publish(self, event: AnyProxyEvent) -> None:
        if self._forward is not None:
            self._forward(event)
        for queue in list(self._listeners):
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                # Better a stream that ends than one that silently leaves events out.
                self._listeners.discard(queue)
                queue.get_nowait()
                queue.put_nowait(None)

    async def listen(self) -> AsyncIterator[bytes]:
        """Events from now on, as JSON lines."""
        queue: asyncio.Queue[AnyProxyEvent | None] = asyncio.Queue(BACKLOG)
        self._listeners.add(queue)
        try:
            yield b'{"event":"listening"}\n'
            while (event := await queue.get()) is not None:
                yield to_line(event)
        finally:
            self._listeners.discard(queue)

    def close(self) -> None:
        """End every stream."""
        for queue in self._listeners:
            while queue.full():
                queue.get_nowait()
            queue.put_nowait(None)
