"""Why a trial is no measurement: the reasons, each with its bound and what to do about it.

A trial is a measurement of a pool when everything else kept pace: the load generator with its schedule, the loops of
the service and of the proxy with their work, PostgreSQL with its answers, and the machine with what a wake releases at
once. What did not is a reason, and the trial is marked `(!)` wherever it is shown.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from harness.model.pool import PoolConfiguration
from harness.model.story import Story

STALL_S = 0.5
STALL_SHARE = 0.1
LEAST_STALL_S = 0.25
"""A part may stand still for a tenth of the trial's shortest timeout, at most STALL_S; below LEAST_STALL_S a busy
machine and a stall can't be told apart."""
RELEASED_A_CORE = 160
"""Requests that may be released at the same moment, a core: more, and the wake would show this machine's own queue."""
RELEASE_WINDOW_S = 0.4
"""What wakes within this time of each other release is served together."""
CALM_P50_S = 1.0
"""A control whose requests take longer, half of them, is none: with the database awake a request takes milliseconds."""


class Component(StrEnum):
    """What can stand still, as in the detail of a `stalled` event."""

    SERVICE = "service"
    PROXY = "proxy"
    LOAD = "locust"
    POSTGRES = "postgres"
    HARNESS = "harness"


FEWER = "Run fewer trials at a time (--parallel), on a machine that does nothing else."


class Reason(StrEnum):
    """Why a trial is no measurement: its name in a run's files, what was the matter, and what to do."""

    clause: str
    advice: str

    def __new__(cls, name: str, clause: str = "", advice: str = "") -> Self:
        reason = str.__new__(cls, name)
        reason._value_ = name
        reason.clause, reason.advice = clause, advice
        return reason

    CUT_SHORT = "cut_short", "a trial was cut short", "Run it again to its end."
    LATE_LOAD = "late_load", "the load generator did not keep its schedule", FEWER
    LOAD_STALLED = "locust_stalled", "the load generator stood still", FEWER
    SERVICE_STALLED = "service_stalled", "the service stood still", FEWER
    PROXY_STALLED = "proxy_stalled", "the proxy stood still", FEWER
    POSTGRES_STALLED = "postgres_stalled", "PostgreSQL stood still", FEWER
    HARNESS_STALLED = "harness_stalled", "the harness itself stood still", FEWER
    POSTGRES_RESTARTED = (
        "postgres_restarted",
        "PostgreSQL crashed or was restarted",
        "Its log, in the run's folder logs, says why; run it again.",
    )
    RELEASED_TOO_MANY = (
        "released_too_many",
        "more requests were released at once than this machine serves",
        "Play fewer requests, fewer trials at a time (--parallel), or virtual time (--stack simulated).",
    )
    NOT_CALM = "control_not_calm", "its control was not calm", "Run it again, on a machine that does nothing else."
    NOT_AS_RECORDED = (
        "not_as_recorded",
        "the application did what virtual time can't play",
        "Play it in real time (--stack embedded).",
    )


STALLS = {
    Component.SERVICE: Reason.SERVICE_STALLED,
    Component.PROXY: Reason.PROXY_STALLED,
    Component.LOAD: Reason.LOAD_STALLED,
    Component.POSTGRES: Reason.POSTGRES_STALLED,
    Component.HARNESS: Reason.HARNESS_STALLED,
}


@dataclass(frozen=True, slots=True)
class Doubt:
    """One reason, and by how much; the numbers are seconds, but requests where too many were released."""

    reason: Reason
    value: float | None = None
    bound: float | None = None
    at_s: float | None = None
    """When it was worst, from the start of the burst."""

    def sentence_end(self) -> str:
        """By how much, after the reason's clause; empty: it was or it was not."""
        match self.reason:
            case Reason.RELEASED_TOO_MANY:
                return f", {self.value:.0f}, and {self.bound:.0f} is what it serves"
            case Reason.NOT_CALM:
                return f": half of its requests took more than {self.value:.2f} s, and {self.bound:g} s is the bound"
            case Reason.POSTGRES_RESTARTED:
                return f", {_when(self.at_s)}"
            case _ if self.value is None:
                return ""
            case Reason.LATE_LOAD:
                return f": it started requests up to {self.value:.2f} s late"
            case _:
                return f" for {self.value:.2f} s, {_when(self.at_s)}; more than {self.bound:g} s counts"


def stall_bound_s(story: Story, pool: PoolConfiguration) -> float:
    """How long a part may stand still while this is played, in seconds, without changing what comes out of it."""
    limits_s = (
        pool.queue_timeout_s, pool.connection_limit_s, pool.client_statement_timeout_s, story.client_timeout_s,
        story.patience_s,
    )  # fmt: skip
    shortest_s = min(limit_s for limit_s in limits_s if limit_s)
    return min(STALL_S, max(LEAST_STALL_S, STALL_SHARE * shortest_s))


def release_budget(cores: int) -> int:
    """How many requests may be released at the same moment, of all trials together, on a machine with these cores."""
    return RELEASED_A_CORE * max(1, cores)


def _when(at_s: float | None) -> str:
    if at_s is None:
        return "at a moment that is not known"
    return f"{at_s:.1f} s after the burst began" if at_s >= 0 else f"{-at_s:.1f} s before the burst began"
