"""reset_peer: `timeout` ms after the next data, both ends of the connection are reset (RST)."""

from dataclasses import dataclass
from typing import ClassVar

from harness.proxy.toxics.base import Stub, Toxic


@dataclass
class ResetPeer(Toxic):
    type: ClassVar[str] = "reset_peer"
    timeout: int = 0

    async def pipe(self, stub: Stub) -> None:
        chunk = await stub.read()
        if chunk is None:
            return
        # Not to be interrupted: from the first data on the reset is certain.
        await stub.sleep(self.timeout / 1000)
        stub.close()
