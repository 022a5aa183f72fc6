"""Requests in pairs: two trials of one seed met the same arrivals, so they are compared request by request."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from harness.analysis.columns import is_word, numbers, words
from harness.analysis.load import Run
from harness.model.outcomes import Outcome
from harness.model.trial import Trial


@dataclass(frozen=True, slots=True)
class Requests:
    """How the requests of one trial ended, in the order of their numbers."""

    number: np.ndarray
    arrival_s: np.ndarray
    outcome: np.ndarray
    ok: np.ndarray
    answered: np.ndarray
    """Ok within the patience; without one, ok."""
    latency_s: np.ndarray

    @classmethod
    def of(cls, run: Run, trial: Trial, *, patience_s: float | None) -> Self:
        rows = run.rows(trial, "requests")
        number = numbers(rows, "number")
        order = np.argsort(number, kind="stable")
        outcome = words(rows["outcome"])
        ok, latency_s = is_word(rows["outcome"], Outcome.OK), numbers(rows, "latency_s")
        answered = ok if patience_s is None else ok & (latency_s <= patience_s)
        columns = (number, numbers(rows, "arrival_s"), outcome, ok, answered, latency_s)
        return cls(*(column[order] for column in columns))

    def both(self, other: "Requests") -> tuple[np.ndarray, np.ndarray]:
        """The positions, in each of the two trials, of the requests that both have: all, unless one was cut short."""
        _, mine, theirs = np.intersect1d(self.number, other.number, assume_unique=True, return_indices=True)
        return mine, theirs

    def met_the_same_as(self, other: "Requests") -> bool:
        """Whether both trials' requests were meant to start at the same moments."""
        return np.array_equal(self.number, other.number) and np.array_equal(self.arrival_s, other.arrival_s)

    def ended_as(self, other: "Requests") -> bool:
        """Whether every request ended exactly as in the other trial: in the same way, after the same time."""
        same_outcomes = bool(np.all(self.outcome == other.outcome))
        return same_outcomes and np.array_equal(self.latency_s, other.latency_s)
