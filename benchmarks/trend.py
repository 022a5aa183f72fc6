"""Whether something grows: a slope that outliers don't move, its interval, and a bound that says what matters."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
FEWEST = 8
"""Samples below which nothing is said: the interval of so few slopes is no interval."""


class Verdict(StrEnum):
    """What a slope and its interval say about a bound."""

    FLAT = "flat"
    """All of the interval lies within the bound, above and below."""
    GROWS = "grows"
    """All of the interval lies above the bound."""
    FALLS = "falls"
    """All of the interval lies below it, on the other side."""
    UNKNOWN = "unknown"
    """The interval reaches over the bound: too few samples, or too noisy ones."""


@dataclass(frozen=True, slots=True)
class Trend:
    """The slope of samples over time, by Theil and Sen: the median of the slopes between any two of them.

    Sen (1968), J. Am. Stat. Assoc. 63, 1379, has the interval too.
    """

    slope: float
    low: float
    high: float
    """Per hour, with the 95 % interval's ends."""

    @classmethod
    def of(cls, hours: Sequence[float], values: Sequence[float]) -> "Trend | None":
        """None: fewer than `FEWEST` samples."""
        if len(values) < FEWEST:
            return None
        found = stats.theilslopes(np.asarray(values), np.asarray(hours), alpha=CONFIDENCE)
        return cls(float(found.slope), float(found.low_slope), float(found.high_slope))

    def within(self, bound: float) -> Verdict:
        """What it says about a change of `bound` an hour."""
        if -bound <= self.low and self.high <= bound:
            return Verdict.FLAT
        if self.low > bound:
            return Verdict.GROWS
        return Verdict.FALLS if self.high < -bound else Verdict.UNKNOWN
