"""slow_close: the end of the stream goes on `delay` ms late."""

from dataclasses import dataclass
from typing import ClassVar

from harness.proxy.toxics.base import Stub, Toxic


@dataclass
class SlowClose(Toxic):
    type: ClassVar[str] = "slow_close"
    delay: int = 0

    async def pipe(self, stub: Stub) -> None:
        while (chunk := await stub.read()) is not None:
            if chunk.ends:
                await stub.sleep(self.delay / 1000)
            stub.write(chunk)
