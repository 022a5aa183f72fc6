"""timeout: drops what it reads; closes after `timeout` ms without data, or when removed (0: only then)."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from harness.proxy.toxics.base import Stub, Toxic


@dataclass
class Timeout(Toxic):
    type: ClassVar[str] = "timeout"
    timeout: int = 0

    async def pipe(self, stub: Stub) -> None:
        while True:
            try:
                async with asyncio.timeout(self.timeout / 1000 if self.timeout > 0 else None):
                    chunk = await stub.read()
            except TimeoutError:
                stub.close()
                return
            if chunk is None:
                return
            if chunk.ends:
                stub.write(chunk)

    def removed(self, stub: Stub) -> None:
        stub.close()
