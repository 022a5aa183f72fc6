"""How long a loop stood still: a beat every 50 ms, and how much later than that it came.

For every process whose lateness would be taken for the pool's: the service, an application, the proxy, Locust, and the
harness itself. On the standard library alone, for it runs in the environment of a user's application too.
"""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import TypeAlias

EVERY_S = 0.05
REPORTED_S = 0.1
"""Less is what a loop with work to do always has; what counts is judged later, against the trial's own timeouts."""

Stalled: TypeAlias = Callable[[float, float], None]
"""Told when a loop began to stand still, on the monotonic clock, and for how long, in seconds."""


class Heartbeat:
    """The beats of one loop."""

    def __init__(self, now_s: float) -> None:
        self._last_s = now_s
        self._stalled_s = 0.0

    def beat(self, now_s: float) -> tuple[float, float] | None:
        """The loop is awake at this moment. From when on and for how long it stood still; None: it did not."""
        late_s, began_s = self._late_s(now_s), self._last_s
        self._last_s = now_s
        if late_s < REPORTED_S:
            return None
        self._stalled_s += late_s
        return began_s, late_s

    def stalled_s(self, now_s: float) -> float:
        """For how long it has stood still since the first beat, in all; one that goes on is counted up to now."""
        late_s = self._late_s(now_s)
        return self._stalled_s + (late_s if late_s >= REPORTED_S else 0.0)

    def _late_s(self, now_s: float) -> float:
        return max(0.0, now_s - self._last_s - EVERY_S)


async def beating(stalled: Stalled, heart: Heartbeat | None = None) -> None:
    """Watch this loop until cancelled."""
    heart = heart or Heartbeat(monotonic())
    while True:
        await asyncio.sleep(EVERY_S)
        if (found := heart.beat(monotonic())) is not None:
            stalled(*found)
