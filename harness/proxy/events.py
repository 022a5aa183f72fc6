"""What happened on the proxies, as it happens: to anyone who listens, and never held up by one who is slow."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Any

BACKLOG = 100_000
"""Events kept for a listener that does not read; when it is full the stream to that listener ends."""


class EventStream:
    """Publishes events: dictionaries with `event`, `proxy` and `at_s` (the monotonic clock, in seconds)."""

    def __init__(self, also: Callable[[dict[str, Any]], None] | None = None) -> None:
        self._also = also
        self._listeners: set[asyncio.Queue[dict[str, Any] | None]] = set()

    def publish(self, event: str, proxy: str, *, at_s: float | None = None, **detail: Any) -> None:  # noqa: ANN401 - JSON
        if self._also is None and not self._listeners:
            return
        record = {"event": event, "proxy": proxy, "at_s": monotonic() if at_s is None else at_s, **detail}
        if self._also is not None:
            self._also(record)
        for queue in list(self._listeners):
            try:
                queue.put_nowait(record)
            except asyncio.QueueFull:
                # Better a stream that ends than one that silently leaves events out.
                self._listeners.discard(queue)
                queue.get_nowait()
                queue.put_nowait(None)

    async def listen(self) -> AsyncIterator[bytes]:
        """Events from now on, as JSON lines."""
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(BACKLOG)
        self._listeners.add(queue)
        try:
            yield b'{"event":"listening"}\n'
            while (record := await queue.get()) is not None:
                yield json.dumps(record).encode() + b"\n"
        finally:
            self._listeners.discard(queue)

    def close(self) -> None:
        """End every stream."""
        for queue in self._listeners:
            while queue.full():
                queue.get_nowait()
            queue.put_nowait(None)
