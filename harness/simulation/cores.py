"""The cores that a machine's processes share, in virtual time.

Ready processes get equal shares, as Linux' scheduler gives them: with n of them on c cores each computes at min(1, c/n)
of a core's speed ("processor sharing": Kleinrock, Queueing Systems, volume 2, chapter 4.4).
"""

import asyncio
from collections.abc import Callable

ROUNDING_S = 1e-9
"""What is less than that has been computed: seconds that were added up and divided are not exact."""


class Computing:
    """What one process still has to compute."""

    __slots__ = ("_cores", "done", "left_s")

    def __init__(self, cores: "Cores", left_s: float, done: Callable[[], None]) -> None:
        self._cores = cores
        self.left_s = left_s
        self.done = done

    def cancel(self) -> None:
        """It computes no further, and what was to be done then is not."""
        self._cores.leave(self)


class Cores:
    """`count` cores, and who computes on them now."""

    def __init__(self, loop: asyncio.AbstractEventLoop, count: int) -> None:
        self._loop = loop
        self._count = count
        self._computing: dict[Computing, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._settled_s = 0.0

    def compute(self, seconds: float, done: Callable[[], None]) -> Computing:
        """Call `done` when this much has been computed: after `seconds` where a core is free for all of them."""
        self._settle()
        computing = Computing(self, seconds, done)
        self._computing[computing] = None
        self._set_timer()
        return computing

    def leave(self, computing: Computing) -> None:
        """One computes no further; the others are faster from now on."""
        if computing in self._computing:
            self._settle()
            del self._computing[computing]
            self._set_timer()

    @property
    def _speed(self) -> float:
        return min(1.0, self._count / len(self._computing))

    def _settle(self) -> None:
        """Write down what has been computed up to now."""
        now_s = self._loop.time()
        if self._computing and now_s > self._settled_s:
            each_s = (now_s - self._settled_s) * self._speed
            for computing in self._computing:
                computing.left_s -= each_s
        self._settled_s = now_s

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._computing:
            least_s = max(0.0, min(computing.left_s for computing in self._computing))
            self._timer = self._loop.call_at(self._settled_s + least_s / self._speed, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._settle()
        ended = [computing for computing in self._computing if computing.left_s <= ROUNDING_S]
        for computing in ended:
            del self._computing[computing]
        self._set_timer()
        for computing in ended:
            computing.done()
