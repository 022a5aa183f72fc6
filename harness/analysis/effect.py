"""What a change does to the same arrivals: which requests it saves and which it loses, a seed at a time.

Two trials of one seed meet the same arrivals, so their requests are pairs, and in virtual time both are exact: one
request saved and none lost is an effect for these arrivals, not chance. What one seed can't say is what other
arrivals and wakes would bring; each seed more is one more answer to that, and seeds, not requests, are independent.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from harness.analysis.sentences import plural
from harness.analysis.statistics import sign_test


class Verdict(StrEnum):
    """What a change is, all seeds together."""

    NONE = "no difference"
    BETTER = "better"
    WORSE = "worse"
    EVEN = "neither better nor worse"
    DEPENDS = "depends on the arrivals"


@dataclass(frozen=True, slots=True)
class SeedEffect:
    """The pairs of one seed."""

    seed: int
    requests: int
    saved: int
    """Requests that fail before and are ok after the change."""
    lost: int
    """The reverse."""

    @classmethod
    def of(cls, seed: int, before: np.ndarray, after: np.ndarray) -> "SeedEffect":
        """From which requests are ok, in the same order."""
        saved, lost = np.count_nonzero(~before & after), np.count_nonzero(before & ~after)
        return cls(seed, len(before), int(saved), int(lost))


@dataclass(frozen=True, slots=True)
class Effect:
    """The same change over some seeds."""

    seeds: tuple[SeedEffect, ...]

    @property
    def requests(self) -> int:
        return sum(one.requests for one in self.seeds)

    @property
    def saved(self) -> int:
        return sum(one.saved for one in self.seeds)

    @property
    def lost(self) -> int:
        return sum(one.lost for one in self.seeds)

    @property
    def better_in(self) -> int:
        """Seeds in which it saves more than it loses."""
        return sum(one.saved > one.lost for one in self.seeds)

    @property
    def worse_in(self) -> int:
        """Seeds in which it loses more than it saves."""
        return sum(one.saved < one.lost for one in self.seeds)

    @property
    def verdict(self) -> Verdict:
        if not any(one.saved or one.lost for one in self.seeds):
            return Verdict.NONE
        if self.better_in and self.worse_in:
            return Verdict.DEPENDS
        return Verdict.BETTER if self.better_in else Verdict.WORSE if self.worse_in else Verdict.EVEN

    @property
    def chance(self) -> float:
        """How likely seeds that differ fall as unevenly as this where neither way is the likelier; 1 when none does."""
        return sign_test(self.better_in, self.worse_in)

    def of(self, seeds: Iterable[int]) -> "Effect":
        """The same over these of the seeds only."""
        kept = set(seeds)
        return Effect(tuple(one for one in self.seeds if one.seed in kept))

    def counts(self) -> str:
        """`of 200 requests 5 are saved and none is lost`."""
        return f"of {plural(self.requests, 'request')} {_are(self.saved)} saved and {_are(self.lost)} lost"

    def in_seeds(self) -> str:
        """`better in 18 of 20 seeds, worse in 1`."""
        of = f"of {plural(len(self.seeds), 'seed')}"
        if not self.worse_in and not self.better_in:
            return f"in none {of} better or worse"
        if not self.worse_in:
            return f"better in {self.better_in} {of}, worse in none"
        if not self.better_in:
            return f"worse in {self.worse_in} {of}, better in none"
        return f"better in {self.better_in} {of}, worse in {self.worse_in}"


def _are(count: int) -> str:
    return "none is" if count == 0 else "1 is" if count == 1 else f"{count} are"
