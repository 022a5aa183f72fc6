"""slicer: chunks go on in pieces of `average_size` ± `size_variation` bytes, `delay` µs apart."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from harness.proxy.toxics.base import Chunk, Stub, Toxic


@dataclass
class Slicer(Toxic):
    type: ClassVar[str] = "slicer"
    average_size: int = 0
    size_variation: int = 0
    delay: int = 0

    async def pipe(self, stub: Stub) -> None:
        while (chunk := await stub.read()) is not None:
            if chunk.ends:
                stub.write(chunk)
                continue
            rest = memoryview(chunk.data)
            for size in self._sizes(len(chunk.data)):
                stub.write(Chunk(bytes(rest[:size]), chunk.at_s))
                rest = rest[size:]
                if not await stub.sleep(self.delay / 1_000_000):
                    break
                if self.delay <= 0:
                    # A large chunk in small pieces is a long loop: every other connection has its turn in between.
                    await asyncio.sleep(0)
            if rest:
                stub.write(Chunk(bytes(rest), chunk.at_s))

    def _sizes(self, total: int) -> Iterator[int]:
        while total > 0:
            variation = random.randint(-self.size_variation, self.size_variation) if self.size_variation > 0 else 0
            size = min(total, max(1, self.average_size + variation))
            yield size
            total -= size
