"""One processor that everything shares: where a service is the bottleneck, its work waits for other work.

Statements and connects take their own time beside each other. What they cost a processor they can't spend beside each
other: 30 new connections at once on two cores are not as quick as one.
"""

from collections.abc import Callable

from harness.model.times import Draw


class Processor:
    """Does one piece of work at a time, in the order in which they come."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._free_at_s = 0.0

    def takes_s(self, work_s: float) -> float:
        """How long from now until so much new work is done, behind what is still to be done."""
        now_s = self._now_s()
        self._free_at_s = max(self._free_at_s, now_s) + work_s
        return self._free_at_s - now_s

    def charged(self, draw_s: Draw, work_s: float) -> Draw:
        """Times that are at least what the processor takes for so much work each; without any, as they are."""
        if not work_s:
            return draw_s
        return lambda: max(draw_s(), self.takes_s(work_s))
