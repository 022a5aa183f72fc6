"""Cuts a log into stretches of roughly one rate.

The log is cut into equal intervals. The two neighbours that are most alike are merged, again and again, until all
neighbours differ, by a factor of 1.5 or more and by more than chance does, and until there are 12 stretches or fewer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

FACTOR = 1.5
"""Rates that differ by less than this are one rate."""
DEVIATIONS = 5.0
"""Counts of independent arrivals differ by less than so many standard deviations by chance."""
MOST_STRETCHES = 12
MOST_INTERVALS = 720
FEWEST_IN_ONE = 5
"""Requests in an interval, in the mean: with fewer, nothing but chance can be seen in it."""
INTERVALS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 21_600, 86_400)


@dataclass(frozen=True, slots=True)
class Stretch:
    """So many requests over so many seconds, from the log's first request on."""

    start_s: float
    for_s: float
    requests: int

    @property
    def per_s(self) -> float:
        return self.requests / self.for_s


def stretches(moments_s: Sequence[float]) -> list[Stretch]:
    """The stretches of a log whose requests come at these moments, in order, the first at 0. The last ends at the
    first whole second after the last request."""
    over_s = max(1, math.ceil(moments_s[-1]))
    found = _intervals(moments_s, over_s, _interval_s(len(moments_s), over_s))
    while len(found) > 1:
        differences = [_difference(before, after) for before, after in pairwise(found)]
        alike = [number for number, (before, after) in enumerate(pairwise(found))
                 if differences[number] < DEVIATIONS or _factor(before, after) < FACTOR]  # fmt: skip
        if not alike and len(found) <= MOST_STRETCHES:
            break
        first = min(alike or range(len(differences)), key=differences.__getitem__)
        found[first : first + 2] = [_merged(found[first], found[first + 1])]
    return found


def peak(moments_s: Sequence[float], window_s: float) -> int:
    """The most requests in any `window_s` seconds: moments are in order."""
    most = first = 0
    for last, moment_s in enumerate(moments_s):
        while moment_s - moments_s[first] >= window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def _interval_s(requests: int, over_s: int) -> int:
    least_s = max(over_s / MOST_INTERVALS, over_s * FEWEST_IN_ONE / requests)
    return next((width_s for width_s in INTERVALS_S if width_s >= least_s), over_s)


def _intervals(moments_s: Sequence[float], over_s: int, width_s: int) -> list[Stretch]:
    counts = [0] * math.ceil(over_s / width_s)
    for moment_s in moments_s:
        # A request at the very end belongs to the last one.
        counts[min(int(moment_s / width_s), len(counts) - 1)] += 1
    return [
        Stretch(number * width_s, min(width_s, over_s - number * width_s), count) for number, count in enumerate(counts)
    ]


def _merged(before: Stretch, after: Stretch) -> Stretch:
    return Stretch(before.start_s, before.for_s + after.for_s, before.requests + after.requests)


def _factor(one: Stretch, other: Stretch) -> float:
    low, high = sorted((one.per_s, other.per_s))
    return math.inf if low == 0 < high else high / low if low else 1.0


def _difference(one: Stretch, other: Stretch) -> float:
    """Of the two rates, in standard deviations that it has by chance where both are one rate."""
    together = _merged(one, other).per_s
    deviation = math.sqrt(together * (1 / one.for_s + 1 / other.for_s))
    return abs(one.per_s - other.per_s) / deviation if deviation else 0.0
