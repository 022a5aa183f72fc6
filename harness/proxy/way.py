"""What lies between a client and the database beside its compute: connects that cost, and a reaper of idle ones."""

import asyncio
import random
from contextlib import nullcontext
from time import monotonic
from typing import Any

from harness.converter import from_json
from harness.model.server import ConnectCost, IdleReaper


class Way:
    """The way of one proxy's connections."""

    def __init__(self, connect_cost: ConnectCost | None, reaper: IdleReaper | None, *, seed: int) -> None:
        self.reaper = reaper
        self._cost = connect_cost
        self._random = random.Random(f"connect cost/{seed}")
        at_a_time = None if connect_cost is None else connect_cost.at_a_time
        self._turn = nullcontext() if at_a_time is None else asyncio.Semaphore(at_a_time)

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> "Way":
        """Raises `UserError` for what is no such thing."""
        cost, reaper = body.get("connect_cost"), body.get("reaper")
        return cls(
            None if cost is None else from_json(cost, ConnectCost, where="connect_cost"),
            None if reaper is None else from_json(reaper, IdleReaper, where="reaper"),
            seed=int(body.get("seed", 0)),
        )

    async def connect(self) -> None:
        """Spend what a new connection costs, after waiting for its turn."""
        if self._cost is not None:
            async with self._turn:
                await asyncio.sleep(self._cost.takes_s.draw(self._random))

    def forgets(self, idle_since_s: float) -> bool:
        """Whether a connection that has been without traffic since this moment is forgotten now."""
        return self.reaper is not None and monotonic() - idle_since_s > self.reaper.after_s
