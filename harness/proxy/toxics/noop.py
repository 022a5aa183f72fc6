"""noop: everything passes through as it came."""

from dataclasses import dataclass
from typing import ClassVar

from harness.proxy.toxics.base import Stub, Toxic


@dataclass
class Noop(Toxic):
    type: ClassVar[str] = "noop"

    async def pipe(self, stub: Stub) -> None:
        while (chunk := await stub.read()) is not None:
            stub.write(chunk)
