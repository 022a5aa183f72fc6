"""The longest wake that something survives, by bisection."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

RESOLUTION_S = 0.1
FIRST_STEP_S = 1.0

Survives = Callable[[float], Awaitable[bool]]
"""Whether a wake of so many seconds is survived."""


@dataclass(frozen=True, slots=True)
class LongestWake:
    """The longest wake that is survived, and the shortest longer one that was tried and is not."""

    survived_s: float | None
    """None: not even the shortest that was tried."""
    broken_s: float | None
    """None: none was, up to the longest that was tried."""


async def longest_wake(
    survives: Survives,
    *,
    known_s: float | None,
    most_s: float,
    broken_s: float | None = None,
    resolution_s: float = RESOLUTION_S,
) -> LongestWake:
    """The longest wake that is survived, to `resolution_s`, when every shorter one is and no longer one.

    `known_s` is known to be survived (None: nothing is, and 0 is tried), and `broken_s` is known not to be; no wake
    longer than `most_s` is tried.
    """
    low = known_s
    if low is None:
        if not await survives(0.0):
            return LongestWake(None, 0.0)
        low = 0.0
    high = broken_s
    step = FIRST_STEP_S
    while high is None:
        tried = min(low + step, most_s)
        if tried <= low:
            return LongestWake(low, None)
        if await survives(tried):
            low, step = tried, 2 * step
        else:
            high = tried
    while high - low > resolution_s + 1e-9:
        middle = round((low + high) / 2, 6)
        if await survives(middle):
            low = middle
        else:
            high = middle
    return LongestWake(low, high)
