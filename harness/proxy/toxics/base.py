"""What a toxic is: a few whole-number attributes and one method that pipes chunks through.

    source ──▶ Stub(toxic 1) ──▶ Stub(toxic 2) ──▶ … ──▶ destination

A toxic reads chunks from its stub and writes them on, late, slowly, in pieces or not at all. `read` answers None and
`sleep` returns early when the toxic is changed, removed or followed by a new one: what it holds goes on at once.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self


class BadAttributeError(Exception):
    """An attribute that is not a whole number."""


@dataclass(slots=True)
class Chunk:
    """Some bytes and when they were read (loop time); `ends` marks the end of the stream, with no bytes."""

    data: bytes
    at_s: float
    ends: bool = False


class Stub:
    """One toxic's place in one direction of one connection."""

    def __init__(self, write: Callable[[Chunk], None], close: Callable[[], None], taken: Callable[[int], None]) -> None:
        self.write = write
        """Pass a chunk on."""
        self.close = close
        """End the connection."""
        self._taken = taken
        self.transmitted = 0
        """Bytes passed on so far, for toxics that count; survives interruptions."""
        self.waiting: deque[Chunk] = deque()
        self._arrived = asyncio.Event()
        self._interrupted = asyncio.Event()

    def put(self, chunk: Chunk) -> None:
        self.waiting.append(chunk)
        self._arrived.set()

    def interrupt(self) -> None:
        """Make the toxic let go of what it holds and return."""
        self._interrupted.set()
        self._arrived.set()

    def resume(self) -> None:
        self._interrupted.clear()

    @property
    def is_interrupted(self) -> bool:
        return self._interrupted.is_set()

    async def read(self) -> Chunk | None:
        """The next chunk; None: interrupted."""
        while not self.is_interrupted:
            if self.waiting:
                chunk = self.waiting.popleft()
                self._taken(len(chunk.data))
                return chunk
            self._arrived.clear()
            await self._arrived.wait()
        return None

    async def sleep(self, seconds: float) -> bool:
        """Wait; False when interrupted before the time was over."""
        if seconds > 0:
            # Not wait_for: on Python 3.11 it loses a cancellation that comes together with the interruption, and the
            # task would wait for ever on a connection that is closed.
            try:
                async with asyncio.timeout(seconds):
                    await self._interrupted.wait()
            except TimeoutError:
                return True
        return not self.is_interrupted

    async def interruption(self) -> None:
        """Wait until interrupted."""
        await self._interrupted.wait()


class Toxic(ABC):
    """Base of all toxics; subclasses are dataclasses whose fields are the attributes of Toxiproxy's API."""

    type: ClassVar[str]

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> Self:
        toxic = cls()
        toxic.update(attributes)
        return toxic

    def update(self, attributes: Mapping[str, Any]) -> None:
        """Set the attributes given; unknown ones are accepted and ignored, as Toxiproxy does."""
        names = {field.name for field in fields(self)}  # type: ignore[arg-type]  # subclasses are dataclasses
        known = {name: value for name, value in attributes.items() if name in names and value is not None}
        for name, value in known.items():
            if type(value) is not int:
                raise BadAttributeError(f"{name} must be a whole number, got {value!r}")
        for name, value in known.items():
            setattr(self, name, value)

    def attributes(self) -> dict[str, int]:
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    @abstractmethod
    async def pipe(self, stub: Stub) -> None:
        """Move chunks until the stream ends, the connection is closed, or an interruption."""

    def removed(self, stub: Stub) -> None:  # noqa: B027 - most toxics have nothing to do
        """What is due when the toxic is taken away from a live connection."""
