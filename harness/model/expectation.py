"""What a scenario expects of a trial, and the verdicts: reproduced, not reproduced, or unknown."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from harness.model.limits import check_number
from harness.model.objective import read_objectives
from harness.model.outcomes import Outcome
from harness.model.part import WHOLE, Part
from harness.model.patience import Patience
from harness.model.summary import TrialSummary
from harness.model.trial import Trial


class Verdict(StrEnum):
    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    UNKNOWN = "unknown"
    """Not run, cut short, or not a measurement. Never shown as a pass."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """One thing a scenario expects of a pool configuration, in words and as a check."""

    text: str
    holds: Callable[[TrialSummary], bool]
    shows: Callable[[TrialSummary], str] | None = None
    """The numbers that were checked, as text; None: the counts of the outcomes are shown."""
    wake_latency_s: float | None = None
    """Only about trials with this wake latency; None: about every wake, but not about controls."""
    variant: str | None = None
    """Only about trials of this variant of the story."""
    suspend: str | None = None
    """Only about trials whose connections meet the suspend like this: `close`, `freeze`, …"""
    part: Part = WHOLE
    """Only about this part of the trial's requests."""

    def at_wake(self, latency_s: float) -> Self:
        """The same expectation, about one wake latency only."""
        return replace(self, wake_latency_s=latency_s)

    def in_variant(self, variant: str) -> Self:
        """The same expectation, about one variant of the story only."""
        return replace(self, variant=variant)

    def on_suspend(self, suspend: str) -> Self:
        """The same expectation, about one behaviour of open connections at the suspend only."""
        return replace(self, suspend=suspend)

    def in_burst(self, number: int) -> Self:
        """The same expectation, about the requests of one burst only: its number in the timeline, from 0."""
        return replace(self, part=replace(self.part, burst=number))

    def of_request(self, name: str) -> Self:
        """The same expectation, about the requests of this name only: a `RequestName`, or a shape's name."""
        return replace(self, part=replace(self.part, request=str(name)))

    def on_instance(self, number: int) -> Self:
        """The same expectation, about the requests that one instance of the service had only: its number, from 0."""
        return replace(self, part=replace(self.part, instance=number))

    def is_about(self, trial: Trial) -> bool:
        """Whether this expectation applies to a trial of its pool; never to a control."""
        if trial.wake is None:
            return False
        return (
            self.wake_latency_s in (None, trial.wake_latency_s)
            and self.variant in (None, trial.variant)
            and self.suspend in (None, trial.wake.on_suspend.value)
        )

    def __str__(self) -> str:
        limits = [
            str(self.part),
            f"at a wake of {self.wake_latency_s:g} s" if self.wake_latency_s is not None else "",
            f"when connections meet {self.suspend}" if self.suspend is not None else "",
            self.variant or "",
        ]
        return ", ".join(filter(None, [" ".join(filter(None, [self.text, *limits[:3]])), limits[3]]))


def none(outcome: str) -> Expectation:
    """No request ends like this; `none("failure")`: every request is ok."""
    if outcome == "failure":
        return Expectation("no failed request", lambda summary: summary.failed == 0)
    wanted = Outcome(outcome)
    return Expectation(f"no {outcome}", lambda summary: summary.count(wanted) == 0)


def at_least(outcome: str, *, count: int) -> Expectation:
    """At least this many requests end like this."""
    wanted = Outcome(outcome)
    return Expectation(f"at least {count} {outcome}", lambda summary: summary.count(wanted) >= count)


def at_most(outcome: str, *, count: int) -> Expectation:
    """At most this many requests end like this."""
    wanted = Outcome(outcome)
    return Expectation(f"at most {count} {outcome}", lambda summary: summary.count(wanted) <= count)


def latency_at_most(limit_s: float) -> Expectation:
    """No request takes longer than this, from its arrival to its answer."""
    return Expectation(
        f"no request takes longer than {limit_s:g} s", lambda summary: summary.latency_s["max"] <= limit_s
    )


def latency_p95_at_most(limit_s: float) -> Expectation:
    """The 95th percentile of the latency is at most this."""
    return Expectation(f"p95 at most {limit_s:g} s", lambda summary: summary.latency_s["p95"] <= limit_s)


def answered_within(seconds: float, share: float = 0.99) -> Expectation:
    """At least this share of the requests end ok within this time of their arrival."""
    check_number("seconds", seconds, where="answered_within", above_least=True)
    check_number("share", share, where="answered_within", above_least=True, most=1.0)
    who = "every request is" if share == 1 else f"at least {100 * share:.12g}% of the requests are"

    def holds(summary: TrialSummary) -> bool:
        # No rounding of the share: 99% of 150 requests are 149 of them.
        return summary.answered(seconds) >= share * summary.requests - 1e-9

    def shows(summary: TrialSummary) -> str:
        return f"{summary.answered(seconds)} of {summary.requests} answered within {seconds:g} s"

    return Expectation(f"{who} answered within {seconds:g} s", holds, shows)


def hang(count: int, *, longer_than_s: float) -> Expectation:
    """At least this many requests take longer than this, whatever their outcome."""
    return Expectation(
        f"at least {count} requests take longer than {longer_than_s:g} s",
        lambda summary: summary.longer_than(longer_than_s) >= count,
    )


def error(name: str, *, count: int = 1) -> Expectation:
    """At least this many requests fail with an exception of this name."""
    return Expectation(f"at least {count} {name}", lambda summary: summary.errors.get(name, 0) >= count)


def misses(*objectives: str, patience_s: float) -> Expectation:
    """At least one of these objectives, each as in `--slo`, is missed; an answer after `patience_s` is none."""
    read = read_objectives(objectives, patience=Patience(patience_s, "the scenario's"), where="misses")
    check_number("patience_s", patience_s, where="misses", above_least=True)

    def shows(summary: TrialSummary) -> str:
        values = read.values(summary)
        return ", ".join(f"{one.measured} is {one.shown(values[str(one)])}" for one in read.all)

    return Expectation(f"misses {read}", lambda summary: not read.are_met(summary), shows)


def that(
    text: str, holds: Callable[[TrialSummary], bool], *, shows: Callable[[TrialSummary], str] | None = None
) -> Expectation:
    """Any other expectation: in words, as a check of a trial's summary, and optionally the numbers to show."""
    return Expectation(text, holds, shows)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict of a run on one expectation of one pool configuration."""

    pool: str
    statement: str
    verdict: Verdict
    why: str = ""
    shown: bool = False
    """Whether to show `why` also when the expectation was reproduced."""

    def to_json(self) -> dict[str, str]:
        return {"pool": self.pool, "statement": self.statement, "verdict": self.verdict.value, "why": self.why}
