"""The pool's timeline: a sample every 50 ms and at every event, at most one a millisecond.

A long story in virtual time leaves the 50 ms out: between two events nothing changes there.
"""

import asyncio
from collections.abc import Callable, Sequence

from harness.model.rows import PoolSample
from harness.service.observation import PoolWatch

EVERY_S = 0.05
AT_MOST_EVERY_S = 0.001


class Timeline:
    """Samples a watched pool as long as `run` runs."""

    def __init__(
        self,
        take: Callable[[PoolSample], None],
        *,
        every_s: float = EVERY_S,
        take_again: Callable[[float], None] | None = None,
    ) -> None:
        """`take_again(at_s)`, if given, is called for a sample that is the last one but for its moment."""
        self._take = take
        self._take_again = take_again
        self._every_s = every_s
        self._due: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_still = False
        """Whether the last sample holds until the watch is told of something."""
        self.watch = PoolWatch(self._changed)

    async def run(self) -> None:
        """Sample until cancelled."""
        await sample_together([self], every_s=self._every_s)

    def sample(self) -> None:
        """Take the pool as it is now. Called in the running loop."""
        if self._is_still and self._take_again is not None:
            # Of a hundred instances nearly all are idle: counting their connections each time took most of the time.
            self._take_again(asyncio.get_running_loop().time())
            return
        sample = self.watch.sample()
        self._is_still = self.watch.is_still(sample)
        self._take(sample)

    def _changed(self) -> None:
        self._is_still = False
        # Events that belong together come in quick succession: one sample a millisecond shows their result.
        if self._due is None:
            self._loop = self._loop or asyncio.get_running_loop()
            self._due = self._loop.call_later(AT_MOST_EVERY_S, self._sample)

    def _sample(self) -> None:
        self._due = None
        self.sample()


async def sample_together(timelines: Sequence[Timeline], *, every_s: float) -> None:
    """Sample all of them at the same moments, in their order, until cancelled."""
    while timelines:
        for timeline in timelines:
            timeline.sample()
        await asyncio.sleep(every_s)
