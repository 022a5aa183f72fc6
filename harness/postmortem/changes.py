"""What each setting would have changed: paired runs in virtual time, over the same arrivals and wakes."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from harness.analysis.statistics import sign_test
from harness.analysis.summarise import summarise
from harness.model.outcomes import Outcome
from harness.model.plan import PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.summary import TrialSummary
from harness.model.timeline import Warm
from harness.model.times import Times
from harness.model.trial import Trial
from harness.postmortem.incident import Incident
from harness.results import TABLES
from harness.results.read import schema
from harness.simulation.trial import simulate

SEEDS = 5
"""More of them cost time and tell a draft nothing."""
MARGIN = 1.25
"""A timeout that is to outlive the wake is this much longer, rounded up to five seconds."""
SIGNIFICANT = 0.05
SAME = 0.02
"""Virtual time agrees with the run when the failures differ by no more than this share of the requests."""
AWAKE = "the database awake"

Say: TypeAlias = Callable[[str], None]
Played: TypeAlias = tuple[TrialSummary, np.ndarray]
"""What a trial came to, and which requests were ok, in the order of their numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One setting changed, the rest as it was; or the database awake."""

    what: str
    failed: int
    requests: int
    saved: int
    """Requests that fail as it was and are ok with the change."""
    lost: int
    """The reverse."""
    p95_s: float
    max_s: float

    @property
    def is_one(self) -> bool:
        """Whether more became of it than chance would make."""
        return sign_test(self.saved, self.lost) < SIGNIFICANT

    @property
    def is_none(self) -> bool:
        """Whether every request ended as well or as badly as before."""
        return self.saved == self.lost == 0

    @property
    def helps(self) -> bool:
        return self.is_one and self.saved > self.lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What every change came to, beside the incident played again."""

    measured_failed: int
    measured_requests: int
    again: Change
    """The incident's own settings in virtual time."""
    tried: list[Change]

    @property
    def agrees(self) -> bool:
        """Whether virtual time loses what the run lost: what it says of other settings rests on that."""
        difference = abs(self.again.failed / self.again.requests - self.measured_failed / self.measured_requests)
        return difference <= SAME


def changes(found: Incident, plan: PlannedRun, say: Say) -> Changes:
    """Play the incident as it was, with the database awake, and with each setting changed alone."""
    trials = [one.trial for one in found.summaries[:SEEDS]]
    # With another calibration than the run's the story is another too: measured times replace its own.
    trials = [replace(trial, story=plan.stories[trial.variant]) for trial in trials]
    times = plan.times(trials[0].story)
    say("playing the incident again in virtual time")
    before = [_played(trial, times) for trial in trials]
    tried = []
    candidates = list(_candidates(found))
    for number, (what, change) in enumerate(candidates, 1):
        say(f"{number}/{len(candidates)}  {what}")
        after = [_played(change(trial), times) for trial in trials]
        tried.append(_compared(what, before, after))
    return Changes(
        measured_failed=sum(one.failed for one in found.summaries[:SEEDS]),
        measured_requests=sum(one.requests for one in found.summaries[:SEEDS]),
        again=_compared("as it was", before, before),
        tried=tried,
    )


def _candidates(found: Incident) -> Iterator[tuple[str, Callable[[Trial], Trial]]]:
    if found.sleeps:
        yield AWAKE, lambda trial: replace(trial, wake=None)
    pool = found.first.trial.pool
    outlives = _outlives(found.wake_latency_s)
    if found.sleeps and 0 < pool.connection_timeout_s < outlives > pool.queue_timeout_s:
        # One of the two that a request meets on its way to a connection may not do alone.
        both = replace(pool, pool_timeout_s=outlives, connection_timeout_s=outlives)
        yield f"both pool_timeout and connection_timeout: {_plain(outlives)}", _with(both)
    timeline = found.first.trial.story.timeline
    warmed = max((phase.connections or 0 for phase in timeline if isinstance(phase, Warm)), default=0)
    for name, value in settings(pool, found.wake_latency_s):
        # Which moves a pool timeout that follows the connection timeout, as everywhere else.
        setting: dict[str, Any] = {name: value}
        changed = replace(pool, **setting)
        if changed.capacity >= warmed:
            yield f"{name.removesuffix('_s')}: {_plain(getattr(pool.resolved, name))} → {_plain(value)}", _with(changed)


def settings(pool: PoolConfiguration, wake_latency_s: float) -> Iterator[tuple[str, float | int | bool]]:
    """Every setting with the values worth trying beside the pool's own."""
    outlives = _outlives(wake_latency_s)
    yield "pool_size", pool.pool_size * 2
    if pool.pool_size > 1:
        yield "pool_size", pool.pool_size // 2
    yield "max_overflow", pool.max_overflow + 10
    if pool.max_overflow:
        yield "max_overflow", 0
    for name in ("pool_timeout_s", "connection_timeout_s", "statement_timeout_s"):
        mine = getattr(pool.resolved, name) or 0.0
        tries = {mine / 2, outlives if outlives > mine else mine * 2} if mine else {10.0, outlives}
        for value in sorted(tries):
            yield name, value
    yield "pool_recycle_s", 240
    yield "pool_pre_ping", not pool.pool_pre_ping
    yield "use_lifo", not pool.use_lifo


def _outlives(wake_latency_s: float) -> float:
    return max(5.0, math.ceil(wake_latency_s * MARGIN / 5) * 5)


def _with(pool: PoolConfiguration) -> Callable[[Trial], Trial]:
    return lambda trial: replace(trial, pool=pool)


def _played(trial: Trial, times: Times) -> Played:
    rows = simulate(trial, times)
    tables = {
        name: pa.Table.from_pylist([{"trial": trial.number, **row} for row in getattr(rows, name)], schema(columns))
        for name, columns in TABLES.items()
    }
    summary = summarise(trial, requests=tables["requests"], pool=tables["pool"], events=rows.events, wall_s=0.0)
    by_number = sorted(rows.requests, key=lambda row: row["number"])
    return summary, np.array([row["outcome"] == Outcome.OK for row in by_number])


def _compared(what: str, before: Sequence[Played], after: Sequence[Played]) -> Change:
    was, is_ = (np.concatenate([ok for _, ok in some]) for some in (before, after))
    latencies_s = np.concatenate([np.asarray(one.latencies_s) for one, _ in after])
    return Change(
        what=what,
        failed=int(np.count_nonzero(~is_)),
        requests=len(is_),
        saved=int(np.count_nonzero(~was & is_)),
        lost=int(np.count_nonzero(was & ~is_)),
        p95_s=float(np.percentile(latencies_s, 95)),
        max_s=float(latencies_s.max()),
    )


def _plain(value: float | bool | None) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"
