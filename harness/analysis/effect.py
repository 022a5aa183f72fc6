"""The effect of a change on the same arrivals: how many requests it saves and how many it loses, seed by seed.

Two trials of one seed meet the same arrivals, so their requests are pairs, and in virtual time both are exact: one
request saved and none lost is an effect for these arrivals, not chance. One seed doesn't tell what happens with other
arrivals and wakes. Every further seed is one more sample of that: seeds are independent, requests are not.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from harness.analysis.sentences import plural
from harness.analysis.statistics import sign_test


class Verdict(StrEnum):
    """Whether a change is better or worse, over all seeds."""

    NONE = "no difference"
    BETTER = "better"
    WORSE = "worse"
    EVEN = "neither better nor worse"
    DEPENDS = "depends on the arrivals"


@dataclass(frozen=True, slots=True)
class SeedEffect:
    """The paired requests of one seed."""

    seed: int
    requests: int
    saved: int
    """Requests that fail before the change and are ok after it."""
    lost: int
    """Requests that are ok before the change and fail after it."""

    @classmethod
    def of(cls, seed: int, before: np.ndarray, after: np.ndarray) -> "SeedEffect":
        """From two arrays that say which requests are ok, in the same order of requests."""
        saved, lost = np.count_nonzero(~before & after), np.count_nonzero(before & ~after)
        return cls(seed, len(before), int(saved), int(lost))


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect of one change over several seeds."""

    seeds: tuple[SeedEffect, ...]

    @property
    def requests(self) -> int:
        return sum(seed.requests for seed in self.seeds)

    @property
    def saved(self) -> int:
        return sum(seed.saved for seed in self.seeds)

    @property
    def lost(self) -> int:
        return sum(seed.lost for seed in self.seeds)

    @property
    def better_in(self) -> int:
        """Seeds in which it saves more than it loses."""
        return sum(seed.saved > seed.lost for seed in self.seeds)

    @property
    def worse_in(self) -> int:
        """Seeds in which it loses more than it saves."""
        return sum(seed.saved < seed.lost for seed in self.seeds)

    @property
    def verdict(self) -> Verdict:
        if not any(seed.saved or seed.lost for seed in self.seeds):
            return Verdict.NONE
        if self.better_in and self.worse_in:
            return Verdict.DEPENDS
        return Verdict.BETTER if self.better_in else Verdict.WORSE if self.worse_in else Verdict.EVEN

    @property
    def chance(self) -> float:
        """The p-value of a sign test over the seeds: how likely chance alone makes them at least this uneven."""
        return sign_test(self.better_in, self.worse_in)

    def of(self, seeds: Iterable[int]) -> "Effect":
        """The effect over these seeds only."""
        chosen = set(seeds)
        return Effect(tuple(seed for seed in self.seeds if seed.seed in chosen))

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
