"""Statements about a trial, and whether a run reproduced them: reproduced, not reproduced, or unknown."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from harness.outcomes import Outcome

if TYPE_CHECKING:
    from harness.summary import TrialSummary


class Verdict(StrEnum):
    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    UNKNOWN = "unknown"
    """Not run, cut short, or not a measurement. Never shown as a pass."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing a scenario expects of a pool configuration, in words and as a check."""

    text: str
    holds: Callable[["TrialSummary"], bool]
    wake_latency_s: float | None = None
    """Only speaks of trials with this wake latency; None: of every wake, but not of controls."""

    def at_wake(self, latency_s: float) -> Self:
        """The same statement, about one wake latency only."""
        return replace(self, wake_latency_s=latency_s)

    def speaks_of(self, summary: "TrialSummary") -> bool:
        wake_latency_s = summary.trial.wake_latency_s
        return wake_latency_s is not None and self.wake_latency_s in (None, wake_latency_s)

    def __str__(self) -> str:
        return self.text if self.wake_latency_s is None else f"{self.text} at a wake of {self.wake_latency_s:g} s"


def none(outcome: str) -> Statement:
    """No request ends like this; `none("failure")`: every request is ok."""
    if outcome == "failure":
        return Statement("no failed request", lambda summary: summary.failed == 0)
    wanted = Outcome(outcome)
    return Statement(f"no {outcome}", lambda summary: summary.count(wanted) == 0)


def at_least(outcome: str, *, count: int) -> Statement:
    """At least this many requests end like this."""
    wanted = Outcome(outcome)
    return Statement(f"at least {count} {outcome}", lambda summary: summary.count(wanted) >= count)


def at_most(outcome: str, *, count: int) -> Statement:
    """At most this many requests end like this."""
    wanted = Outcome(outcome)
    return Statement(f"at most {count} {outcome}", lambda summary: summary.count(wanted) <= count)


def latency_at_most(limit_s: float) -> Statement:
    """No request takes longer than this, from its arrival to its answer."""
    return Statement(f"no request takes longer than {limit_s:g} s", lambda summary: summary.latency_s["max"] <= limit_s)


@dataclass(frozen=True, slots=True)
class Judgement:
    """One statement about one pool configuration, and what the run made of it."""

    pool: str
    statement: str
    verdict: Verdict
    why: str = ""

    def to_json(self) -> dict[str, str]:
        return {"pool": self.pool, "statement": self.statement, "verdict": self.verdict.value, "why": self.why}
