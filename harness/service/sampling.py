"""The pool's timeline: a sample every 50 ms and at every event, at most one a millisecond.

A long story in virtual time leaves the 50 ms out: between two events nothing changes there.
"""

import asyncio
from collections.abc import Callable

from harness.model.rows import PoolSample
from harness.service.observation import PoolWatch

EVERY_S = 0.05
AT_MOST_EVERY_S = 0.001


class Timeline:
    """Samples a watched pool as long as `run` runs."""

    def __init__(self, take: Callable[[PoolSample], None], *, every_s: float = EVERY_S) -> None:
        self._take = take
        self._every_s = every_s
        self._due: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.watch = PoolWatch(self._changed)

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            self._take(self.watch.sample())
            await asyncio.sleep(self._every_s)

    def _changed(self) -> None:
        # Events that belong together come in quick succession: one sample a millisecond shows their result.
        if self._due is None:
            self._loop = self._loop or asyncio.get_running_loop()
            self._due = self._loop.call_later(AT_MOST_EVERY_S, self._sample)

    def _sample(self) -> None:
        self._due = None
        self._take(self.watch.sample())
