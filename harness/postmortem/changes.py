"""The effect of each setting: paired trials in virtual time, with the same arrivals and wakes.

The first `SEEDS` seeds that the run measured are played again: their numbers can be compared with the run's. For a run
of fewer seeds, others are added, with other arrivals and wakes: the number of seeds in which a change helps shows how
reliable it is. The requests of one seed get no significance test: they are exact, not a sample.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.analysis.effect import Effect, SeedEffect, Verdict
from harness.analysis.sentences import Failures
from harness.model.errors import UserError
from harness.model.outcomes import Outcome
from harness.model.patience import Patience
from harness.model.plan import PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.trial import Trial
from harness.postmortem.helped import MARGIN, would_have_helped
from harness.postmortem.incident import Incident
from harness.processes.cancelling import run_async
from harness.recommend.answer import Answer
from harness.search.playing import PlayedTrial, Playing, program_of
from harness.simulation.simulators import Program, Say

SEEDS = 5
"""More seeds take more time and add little to a draft."""
TOLERANCE = 0.02
"""Virtual time agrees with the run when the failures differ by no more than this share of the requests."""
AWAKE = "the database awake"


@dataclass(frozen=True, slots=True)
class Played:
    """One trial in virtual time: whether each request was answered in time, and its latency, ordered by number."""

    answered: np.ndarray
    latency_s: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The effect of one changed setting (or of the database awake), everything else being as it was."""

    what: str
    failures: Failures
    """Over the seeds that the run measured; `p95_s` and `max_s` too."""
    measured: Effect
    """The effect over the same seeds."""
    replayed: Effect
    """The effect over all seeds that were played in virtual time."""
    p95_s: float
    max_s: float

    @property
    def verdict(self) -> Verdict:
        """The verdict over all seeds that were played."""
        return self.replayed.verdict

    @property
    def changes_nothing(self) -> bool:
        return self.verdict is Verdict.NONE

    @property
    def helps(self) -> bool:
        """Whether it saves more than it loses in the measured seeds, and is better in more of all seeds than worse."""
        return self.measured.saved > self.measured.lost and self.replayed.better_in > self.replayed.worse_in

    @property
    def harms(self) -> bool:
        return self.measured.saved < self.measured.lost and self.replayed.better_in < self.replayed.worse_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The effects of all changes, and the incident played again without a change."""

    measured_seeds: tuple[int, ...]
    """The seeds of the run that were played again."""
    other_seeds: tuple[int, ...]
    """The added seeds, which the run did not measure."""
    measured: Failures
    """The failures that the run measured with `measured_seeds`."""
    again: Change
    """The incident's own settings in virtual time."""
    tried: list[Change]
    searched: Answer | None = None
    """What a search found that would have met the objective; None: nothing failed, or nothing slept."""
    best: Change | None = None
    """The effect of what it found; None: nothing."""

    @property
    def agrees(self) -> bool:
        """Whether virtual time has the failures of the run; otherwise its results for other settings are doubtful."""
        return abs(self.again.failures.share - self.measured.share) <= TOLERANCE

    @property
    def seeds(self) -> int:
        return len(self.measured_seeds) + len(self.other_seeds)

    def helping(self) -> list[Change]:
        """The settings that help, the one with the fewest failures first."""
        settings = [change for change in self.tried if change.helps and change.what != AWAKE]
        return sorted(settings, key=lambda change: change.failures.failed)


def changes(incident: Incident, plan: PlannedRun, say: Say, *, recording: Path | None = None) -> Changes:
    """Play the incident as it was, with the database awake, and with each setting changed alone; then search.

    `recording` is that of the user's own application, where the run's plan does not name one. Raises `UserError` for an
    application that can't be played, and `TrialDiedError` when the process of a replayed trial dies twice.
    """
    return run_async(_changes(incident, plan, say, program_of(plan, recording=recording, where="postmortem")))


async def _changes(incident: Incident, plan: PlannedRun, say: Say, program: Program) -> Changes:
    measured = incident.summaries[:SEEDS]
    trials = [*(summary.trial for summary in measured), *_other_seeds(incident)]
    # With another calibration the story differs from the run's: measured times replace its own.
    trials = [replace(trial, story=plan.stories[trial.variant]) for trial in trials]
    seeds = tuple(summary.trial.seed for summary in measured)
    times = plan.times(trials[0].story)
    async with Playing.running(say=say, program=program) as playing:

        async def played(change: Callable[[Trial], Trial]) -> dict[int, Played]:
            changed = await playing.play_all([change(trial) for trial in trials], times)
            return {one.trial.seed: _played(one, incident.patience) for one in changed}

        say("playing the incident again in virtual time")
        before = await played(lambda trial: trial)
        tried = []
        candidates = list(_candidates(incident))
        for number, (what, change) in enumerate(candidates, 1):
            say(f"{number}/{len(candidates)}  {what}")
            try:
                after = await played(change)
            except UserError as error:
                # A connection_timeout below what connecting takes, say: the pool can't even be filled.
                say(f"{what} can't be played: {error}")
                continue
            tried.append(_compared(what, before, after, measured=seeds))
        helped = await would_have_helped(incident, plan, [trial.seed for trial in trials], playing, say)
        best = None
        if helped is not None and (found := helped.found) is not None:
            best = _compared("what would have helped", before, await played(_with(found)), measured=seeds)
    return Changes(
        measured_seeds=seeds,
        other_seeds=tuple(trial.seed for trial in trials[len(seeds) :]),
        measured=incident.failures(measured),
        again=_compared("as it was", before, before, measured=seeds),
        tried=tried,
        searched=helped,
        best=best,
    )


def _other_seeds(incident: Incident) -> Iterator[Trial]:
    """The trial with seeds that the run has not; empty where every seed gives the same arrivals and wakes."""
    own = incident.first.trial
    for seed in range(max(incident.seeds) + 1, max(incident.seeds) + 1 + SEEDS - len(incident.summaries)):
        other = replace(own, seed=seed)
        if _moments(other) != _moments(own) or other.wake_latencies_s() != own.wake_latencies_s():
            yield other


def _moments(trial: Trial) -> list[float]:
    """When requests arrive, whatever they ask for."""
    return [arrival.at_s for burst in trial.arrivals() for arrival in burst]


def _candidates(incident: Incident) -> Iterator[tuple[str, Callable[[Trial], Trial]]]:
    if incident.sleeps:
        yield AWAKE, lambda trial: replace(trial, wake=None)
    pool = incident.first.trial.pool
    outlives = _outlives(incident.wake_latency_s)
    apart = pool.pool_timeout_s is not None
    if incident.sleeps and apart and 0 < pool.connection_timeout_s < outlives > pool.queue_timeout_s:
        # A request meets both timeouts on its way to a connection; raising only one may not help.
        both = pool.with_settings({"pool_timeout": f"{outlives:g}", "connection_timeout": f"{outlives:g}"})
        yield f"both pool_timeout and connection_timeout: {outlives:g}", _with(both)
    for name, value in settings(pool, incident.wake_latency_s):
        changed = pool.with_settings({name: value})
        moved = " (pool_timeout follows)" if name == "connection_timeout" and not apart else ""
        if changed.capacity >= incident.first.trial.story.warmed:
            yield f"{name}: {_plain(pool.to_json()[name])} → {value}{moved}", _with(changed)


def settings(pool: PoolConfiguration, wake_latency_s: float) -> Iterator[tuple[str, str]]:
    """Every setting with the values to try instead of the pool's own, written as for `--set`."""
    outlives = _outlives(wake_latency_s)
    yield "pool_size", str(pool.pool_size * 2)
    if pool.pool_size > 1:
        yield "pool_size", str(pool.pool_size // 2)
    yield "max_overflow", str(pool.max_overflow + 10)
    if pool.max_overflow:
        yield "max_overflow", "0"
    for name in ("pool_timeout", "connection_timeout", "statement_timeout"):
        own_s = pool.to_json()[name] or 0.0
        tries = {own_s / 2, outlives if outlives > own_s else own_s * 2} if own_s else {10.0, outlives}
        for value in sorted(tries):
            if pool.accepts({name: f"{value:g}"}):
                yield name, f"{value:g}"
    own = pool.of_library
    for name, text in (
        ("pool_recycle", "240"),
        ("pool_pre_ping", str(not own.pool_pre_ping).lower()),
        ("use_lifo", str(not own.use_lifo).lower()),
    ):
        # What the library hasn't can't be tried.
        if pool.accepts({name: text}):
            yield name, text


def _outlives(wake_latency_s: float) -> float:
    """A timeout that outlasts the wake with a margin, rounded up to five seconds."""
    return max(5.0, math.ceil(wake_latency_s * MARGIN / 5) * 5)


def _with(pool: PoolConfiguration) -> Callable[[Trial], Trial]:
    return lambda trial: replace(trial, pool=pool)


def _played(played: PlayedTrial, patience: Patience) -> Played:
    in_time = [row["outcome"] == Outcome.OK and row["latency_s"] <= patience.seconds for row in played.rows]
    return Played(np.array(in_time, dtype=bool), np.array(played.latencies_s))


def _compared(what: str, before: dict[int, Played], after: dict[int, Played], *, measured: Sequence[int]) -> Change:
    effect = Effect(tuple(SeedEffect.of(seed, before[seed].answered, after[seed].answered) for seed in before))
    own = [after[seed] for seed in measured]
    latency_s = np.concatenate([played.latency_s for played in own])
    return Change(
        what=what,
        failures=Failures(sum(int((~played.answered).sum()) for played in own), latency_s.size),
        measured=effect.of(measured),
        replayed=effect,
        p95_s=float(np.percentile(latency_s, 95)),
        max_s=float(latency_s.max()),
    )


def _plain(value: float | bool | None) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value or 0:g}"
