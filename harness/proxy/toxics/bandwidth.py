"""bandwidth: at most `rate` KB/s; 0 holds for ever."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from harness.proxy.toxics.base import Chunk, Stub, Toxic

PIECE_S = 0.1
"""A chunk that takes longer than this goes on in pieces."""


@dataclass
class Bandwidth(Toxic):
    type: ClassVar[str] = "bandwidth"
    rate: int = 0

    async def pipe(self, stub: Stub) -> None:
        loop = asyncio.get_running_loop()
        free_at_s = loop.time()
        while (chunk := await stub.read()) is not None:
            if chunk.ends:
                stub.write(chunk)
                continue
            if self.rate <= 0:
                await stub.interruption()
                stub.write(chunk)
                return
            free_at_s = max(free_at_s, loop.time())
            piece = int(self.rate * 1000 * PIECE_S)
            while chunk.data:
                data = chunk.data[:piece]
                free_at_s += len(data) / (self.rate * 1000)
                if not await stub.sleep(free_at_s - loop.time()):
                    stub.write(chunk)
                    return
                stub.write(Chunk(data, chunk.at_s))
                chunk.data = chunk.data[piece:]
