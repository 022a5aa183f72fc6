"""The sentences and rows of the draft, every number in them from the run or from its changes in virtual time."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import zip_longest

import numpy as np
import pyarrow.compute as pc

from harness.analysis.columns import numbers
from harness.analysis.findings import alert_sentence, why
from harness.analysis.labels import Names
from harness.analysis.sentences import Failures, listed, percent, plural, seconds, span
from harness.analysis.statistics import rate
from harness.model.events import Event
from harness.model.outcomes import FAILURES, Outcome
from harness.model.status import RunStatus
from harness.model.summary import TrialSummary
from harness.model.timeline import Burst
from harness.model.wake import Constant, three_figures
from harness.postmortem.changes import AWAKE, SEEDS, Change, Changes
from harness.postmortem.incident import Incident

SLOW_S = 1.0
"""Slower than this, and a person notices."""
FEWEST_SEEDS = 3
MOST_BURSTS = 3
MOST_ACTIONS = 3


def summary(found: Incident) -> str:
    """What happened, in a paragraph."""
    first, trial = found.first, found.first.trial
    said = f"{_bursts(found)} met {found.configuration}"
    if found.run.manifest.status is not RunStatus.COMPLETE:
        said = f"**The run is {found.run.manifest.status}: this is what it measured until then.** {said}"
    if found.sleeps:
        times = f", and the database slept {first.wakes} times" if first.wakes > 1 else ""
        woke = span([summary.trial.wake_latency_s or 0.0 for summary in found.summaries], show=_wake)
        said += f" while the database was asleep; waking took {woke}{times}"
    failures = found.failures(found.summaries)
    if not failures.failed:
        slowest = max(summary.latency_s["max"] for summary in found.summaries)
        return f"{said}. No request failed; the slowest answer took {seconds(slowest)}."
    told = f"{failures.failed} of {failures.requests} requests failed ({percent(failures.share)})"
    said = f"{said}. **{told}**: {_outcomes(found)}."
    if first.recovered_after_s is not None and first.recovered_after_s > 0:
        said += f" {seconds(first.recovered_after_s)} after the burst began nobody waited any more."
    seeds = f" (The numbers are those of {len(found.summaries)} seeds together.)" if len(found.summaries) > 1 else ""
    variant = f" The story: {trial.variant}." if trial.variant else ""
    return said + seeds + variant


def impact(found: Incident) -> Iterator[tuple[str, ...]]:
    """The rows of the impact's table: what, with the wake, and awake where that was run."""
    groups = [found.summaries, *([found.controls] if found.controls else [])]

    def row(name: str, value: Callable[[Sequence[TrialSummary]], str]) -> tuple[str, ...]:
        return name, *(value(some) for some in groups)

    def count(outcome: Outcome, some: Sequence[TrialSummary]) -> str:
        return str(sum(one.count(outcome) for one in some))

    def longest(name: str, some: Sequence[TrialSummary]) -> str:
        return seconds(max(one.latency_s.get(name, 0.0) for one in some))

    yield row("requests", lambda some: str(sum(summary.requests for summary in some)))
    yield row("failed", lambda some: _share_failed(found.failures(some)))
    for outcome in FAILURES:
        if any(summary.count(outcome) for some in groups for summary in some):
            answer = "no answer" if outcome.http_status is None else f"HTTP {outcome.http_status}"
            yield row(f"{outcome} ({answer})", partial(count, outcome))
    if any(found.late(some) for some in groups):
        yield row(f"ok, but after more than {found.patience.seconds:g} s", lambda some: str(found.late(some)))
    yield row(f"slower than {SLOW_S:g} s", lambda some: str(sum(one.longer_than(SLOW_S) for one in some)))
    seed = ", worst seed" if len(found.summaries) > 1 else ""
    for name in ("p50", "p95", "p99"):
        yield row(f"latency {name}{seed}", partial(longest, name))
    yield row("slowest", partial(longest, "max"))
    yield row("longest queue", lambda some: str(max(one.peak_waiting for one in some)))
    yield row("most connections in use", lambda some: str(max(one.peak_checked_out for one in some)))


def impact_in_words(found: Incident) -> Iterator[str]:
    """What the table does not say."""
    failures = found.run.rows(found.first.trial, "requests")
    failures = failures.filter(pc.not_equal(failures["outcome"], Outcome.OK.value))
    if failures.num_rows:
        end_s = numbers(failures, "end_s")
        yield (f"Errors were answered {span([float(end_s.min()), float(end_s.max())])} after the burst began.")
    if found.first.attempts > found.first.requests:
        yield f"Clients asked {found.first.attempts} times for their {found.first.requests} requests."


def clock(found: Incident, utc: datetime | None, *, asked: bool) -> str:
    """What the timeline's zero is."""
    if utc is None:
        return (
            f"The run was made on the {found.run.manifest.stack} stack, in virtual time: there is no clock to give. "
            "`--at` says when the real burst began."
        )
    date = f"{utc.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"Zero is {date}, as given with `--at`." if asked else f"Zero is the start of the burst, {date}."


def causes(found: Incident) -> Iterator[str]:
    """Why requests failed, as far as rows can say."""
    first, trial = found.first, found.first.trial
    failed = found.failures(found.summaries).failed
    if found.sleeps:
        rows = found.run.rows(trial, "requests")
        met = _met_a_wake(found)
        lost = ~found.patience.answered(rows)
        others = first.requests - int(np.count_nonzero(met))
        told = f"{np.count_nonzero(met)} of {first.requests} requests met the database while it was waking"
        rest = f", and of the {others} others {np.count_nonzero(lost & ~met)}" if others else ""
        seed = f" (seed {trial.seed})" if len(found.summaries) > 1 else ""
        yield f"{told}; {np.count_nonzero(lost & met)} of them failed{rest}{seed}."
    if not failed:
        yield "Nothing failed: there is no cause to name."
    yield from why(found.summaries, Names([found.configuration]))
    if late := found.late(found.summaries):
        yield f"{plural(late, 'request')} ended ok, but only after more than {found.patience.seconds:g} s."
    if found.controls:
        awake = found.failures(found.controls).failed
        if failed and not awake:
            yield "With the database awake none of the same arrivals fails: all of it is the cold start's."
        elif failed:
            yield f"With the database awake {awake} of the same arrivals fail: not all of it is the cold start's."
    elif found.sleeps:
        yield "The run has no control; below the same arrivals meet a database that is awake, in virtual time."
    if first.utilization_alert_s is None and first.first_failure_s is not None:
        yield "An alert on 80% of the pool in use would not have come."
    elif first.alert_lead_s is not None:
        yield f"An alert on 80% of the pool in use {alert_sentence([first.alert_lead_s], comes='would have come')}."


def basis(found: Incident, changes: Changes) -> str:
    """What the table of changes rests on: what was played, and whether it is like what was measured."""
    measured = _seeds(changes.measured_seeds)
    said = (
        "The same arrivals and wakes, played in virtual time on the same SQLAlchemy pool and asyncpg, with one setting "
        f"changed at a time. The numbers are those of {measured}, which the run measured"
    )
    if len(found.summaries) > len(changes.measured_seeds):
        whole = found.failures(found.summaries)
        said += f" (the first {SEEDS} of its {len(found.summaries)}; over all of them {whole} requests fail)"
    said += f": as it was, {changes.again.failures.failed} of {changes.again.failures.requests} requests fail in "
    said += f"virtual time, and {changes.measured} did in the run. "
    if changes.other_seeds:
        said += (
            f"*Better in* and *worse in* count {plural(changes.seeds, 'seed')}: also {_seeds(changes.other_seeds)}, "
            "which the run did not measure and which bring other arrivals and wakes. "
        )
    elif len(changes.measured_seeds) == 1:
        said += "Every seed brings the same arrivals and wake to this story, so one is all there is. "
    if changes.agrees:
        return f"{said}They agree: what follows can be relied on as far as that goes."
    return f"{said}**They differ by more than 2% of the requests: what follows is a direction, not numbers.**"


def columns(changes: Changes) -> list[str]:
    """The header of the table of changes."""
    of_seeds = f"of {plural(changes.seeds, 'seed')}"
    return ["changed", "fail", "saved", "lost", "p95", "slowest", f"better in, {of_seeds}", "worse in"]


def row_of(change: Change, changes: Changes) -> tuple[str, ...]:
    """A change as a row of its table; nothing is compared with itself."""
    compared = (
        (str(change.replayed.better_in), str(change.replayed.worse_in)) if change is not changes.again else ("", "")
    )
    pairs = (str(change.measured.saved), str(change.measured.lost)) if change is not changes.again else ("", "")
    return (change.what, str(change.failures.failed), *pairs, seconds(change.p95_s), seconds(change.max_s), *compared)


def table_in_words(changes: Changes) -> Iterator[str]:
    """The changes that change nothing, those that make it worse, and those that depend on the arrivals."""
    tried = [change for change in changes.tried if change.what != AWAKE]
    nothing = [change for change in tried if change.changes_nothing]
    harming = [change for change in tried if change.harms]
    unclear = [change for change in tried if not (change.changes_nothing or change.harms or change.helps)]
    if nothing:
        yield f"Not in the table, because exactly the same requests fail: {listed([one.what for one in nothing])}."
    if harming:
        more = [f"{one.what} ({one.measured.lost - one.measured.saved} more fail)" for one in harming]
        yield f"Worse: {listed(more)}."
    if unclear:
        told = [f"{one.what} ({one.replayed.in_seeds()})" for one in unclear]
        yield f"Neither better nor worse, or that depends on the arrivals: {listed(told)}."


def actions(found: Incident, changes: Changes) -> Iterator[str]:
    """What a team has to decide, from what would have helped."""
    helping = changes.helping()[:MOST_ACTIONS]
    was = changes.again
    for change in helping:
        lost = f"loses {change.measured.lost} others" if change.measured.lost else "loses none"
        yield (
            f"`{change.what}`: saves {change.measured.saved} of the {was.failures.failed} that fail and {lost}; "
            f"{change.replayed.in_seeds()}. The slowest request then takes {seconds(change.max_s)}, as it was "
            f"{seconds(was.max_s)}."
        )
    if any(change.max_s > was.max_s + SLOW_S for change in helping):
        yield "How long may an answer take? What outlives the wake saves requests and lets them wait."
    if not helping and was.failures.failed:
        yield "No setting alone helps: look at two together (`coldstart run`), at warming the pool, or at not sleeping."
    if found.sleeps:
        yield "Is what sleeping saves worth this? `coldstart run keepalive --stack simulated` has the other side."
    if found.first.first_failure_s is not None and (found.first.alert_lead_s is None or found.first.alert_lead_s < 0):
        yield "An alert that comes before the first failure: on the pool's queue rather than on the connections in use."
    yield "Who owns each of these, and by when."


def unknown(found: Incident, changes: Changes) -> Iterator[str]:
    """What no number of the draft says."""
    run, trial = found.run, found.first.trial
    yield "Who was affected and what it cost them: it counts requests, not people."
    yield f"Whether the requests came like this: {_bursts(found)[:1].lower() + _bursts(found)[1:]} are the scenario's."
    if trial.wake is not None and found.sleeps:
        how = "injected" if run.manifest.stack != "simulated" else "simulated"
        yield (
            f"Why the database took as long to wake: the wake was {how} (profile {trial.wake.name}, "
            f"{trial.wake.latency}; open connections: {trial.wake.on_suspend}; new ones: {trial.wake.while_waking})."
        )
        # Where the story says how long the wake takes, the profile's own distribution plays no part.
        told = isinstance(trial.wake.latency, Constant)
        guessed = [name for name in trial.wake.unsourced if not (told and name.startswith("latency"))]
        if guessed:
            yield f"Guessed in that profile, for want of a source: {', '.join(guessed)}."
    if run.plan.shortened:
        yield f"What would have been different at full length: {run.plan.shortened}."
    if run.plan.changes:
        yield f"Whether the story's expectations hold: it was changed ({', '.join(run.plan.changes)})."
    if len(found.summaries) < FEWEST_SEEDS:
        yield (
            f"How much of this is due to just these arrivals: the run measured {plural(len(found.summaries), 'seed')}; "
            "`--repeat 10` measures more."
        )
    if late := [one for one in found.summaries if not one.kept_schedule]:
        yield f"The exact numbers: in {len(late)} trials the load generator was late; that is not a measurement."
    if run.manifest.status is not RunStatus.COMPLETE:
        yield f"The rest: the run is {run.manifest.status}, and this is what it measured until then."
    if not changes.agrees:
        yield "What the settings would have changed, exactly: virtual time and the run differ, see above."
    else:
        yield "What network and query times add to the settings' table, unless it was made with `--calibration`."
    yield "Other settings changed together, and values between those in the table."


def measured(found: Incident) -> str:
    """How the run was made."""
    manifest = found.run.manifest
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    seeds = _seeds(found.seeds)
    return (
        f"Stack {manifest.stack}, {manifest.status}, started {manifest.started_at}, commit "
        f"{manifest.git_commit or 'unknown'}, {seeds}. {versions}."
    )


def _met_a_wake(found: Incident) -> np.ndarray:
    """Which of the told trial's requests were under way between a first attempt and its answer."""
    rows, events = found.run.rows(found.first.trial, "requests"), found.run.of(found.first.trial, "events")
    arrival_s, end_s = numbers(rows, "arrival_s"), numbers(rows, "end_s")
    began, woke = (events.loc[events["event"] == name, "at_s"] for name in (Event.FIRST_ATTEMPT, Event.WOKEN))
    met = np.zeros(len(arrival_s), dtype=bool)
    for began_s, woke_s in zip_longest(began, woke, fillvalue=np.inf):
        met |= (arrival_s < woke_s) & (end_s > began_s)
    return met


def _bursts(found: Incident) -> str:
    bursts = [phase for phase in found.first.trial.story.timeline if isinstance(phase, Burst)]
    told = [f"{burst.requests} requests over {burst.over_s:g} s" for burst in bursts]
    return (
        listed(told)
        if len(told) <= 3
        else f"{len(told)} bursts, {sum(burst.requests for burst in bursts)} requests in all,"
    )


def _outcomes(found: Incident) -> str:
    counted = {outcome.value: sum(summary.count(outcome) for summary in found.summaries) for outcome in FAILURES}
    counted["ok, but too late"] = found.late(found.summaries)
    return listed([f"{count} {outcome}" for outcome, count in counted.items() if count])


def _share_failed(failures: Failures) -> str:
    share = rate(failures.failed, failures.requests)
    interval = "" if share.low is None or share.high is None else f", {share.low:.1%} to {share.high:.1%}"
    return f"{failures.failed} ({percent(failures.share)}{interval})"


def _seeds(seeds: Sequence[int]) -> str:
    """`seed 1`, `seeds 1 to 5`, `seeds 1, 3 and 4`."""
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"seeds {seeds[0]} to {seeds[-1]}"
    return f"seeds {listed([str(seed) for seed in seeds])}"


def _wake(latency_s: float) -> str:
    return f"{three_figures(latency_s)} s"
