"""latency: every chunk goes on `latency` ± `jitter` ms after it was read."""

import asyncio
import random
from dataclasses import dataclass
from typing import ClassVar

from harness.proxy.toxics.base import Stub, Toxic


@dataclass
class Latency(Toxic):
    type: ClassVar[str] = "latency"
    latency: int = 0
    jitter: int = 0

    async def pipe(self, stub: Stub) -> None:
        loop = asyncio.get_running_loop()
        while (chunk := await stub.read()) is not None:
            if not chunk.ends:
                due_s = chunk.at_s + self._delay_ms() / 1000
                await stub.sleep(due_s - loop.time())
                chunk.at_s = due_s
            stub.write(chunk)

    def _delay_ms(self) -> int:
        return self.latency + (random.randrange(2 * self.jitter) - self.jitter if self.jitter > 0 else 0)
