"""limit_data: the connection is closed after `bytes` bytes."""

from dataclasses import dataclass
from typing import ClassVar

from harness.proxy.toxics.base import Chunk, Stub, Toxic


@dataclass
class LimitData(Toxic):
    type: ClassVar[str] = "limit_data"
    bytes: int = 0

    async def pipe(self, stub: Stub) -> None:
        while (chunk := await stub.read()) is not None:
            if chunk.ends:
                stub.write(chunk)
                continue
            data = chunk.data[: max(0, self.bytes - stub.transmitted)]
            if data:
                stub.transmitted += len(data)
                stub.write(Chunk(data, chunk.at_s))
            if stub.transmitted >= self.bytes:
                stub.close()
                return
