"""The sentences and table rows of the draft, with numbers from the run and from its changes in virtual time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

import numpy as np
import pyarrow.compute as pc

from harness.analysis.away import away
from harness.analysis.columns import numbers
from harness.analysis.findings import alert_sentence, why
from harness.analysis.labels import Names
from harness.analysis.measured import by_reason
from harness.analysis.sentences import Failures, listed, percent, plural, seconds, span
from harness.analysis.statistics import rate
from harness.model.distribution import Constant, three_figures
from harness.model.outcomes import FAILURES, Outcome
from harness.model.status import RunStatus
from harness.model.summary import TrialSummary
from harness.postmortem.changes import AWAKE, SEEDS, Change, Changes
from harness.postmortem.incident import Incident
from harness.postmortem.patience import answered

SLOW_S = 1.0
"""A person notices an answer that is slower than this."""
MIN_SEEDS = 3
MAX_BURSTS = 3
MAX_ACTIONS = 3
NOT_PLAYED_AGAIN = (
    "What each setting would have changed: the application was running already, and virtual time plays one that it can "
    "start."
)


def summary(incident: Incident) -> str:
    """A paragraph that says what happened."""
    first, trial = incident.first, incident.first.trial
    text = f"{_bursts(incident)} met {incident.described}"
    if incident.run.manifest.status is not RunStatus.COMPLETE:
        text = f"**The run is {incident.run.manifest.status}: this is what it measured until then.** {text}"
    if incident.sleeps:
        times = f", and the database slept {first.wakes} times" if first.wakes > 1 else ""
        woke = span([summary.trial.wake_latency_s or 0.0 for summary in incident.summaries], show=_wake)
        text += f" while the database was asleep; waking took {woke}{times}"
    failures = incident.failures(incident.summaries)
    if not failures.failed:
        slowest = max(summary.latency_s["max"] for summary in incident.summaries)
        return f"{text}. No request failed; the slowest answer took {seconds(slowest)}."
    failed = f"{failures.failed} of {failures.requests} requests failed ({percent(failures.share)})"
    text = f"{text}. **{failed}**: {_outcomes(incident)}."
    if first.recovered_after_s is not None and first.recovered_after_s > 0:
        text += f" {seconds(first.recovered_after_s)} after the burst began nobody waited any more."
    seeds = (
        f" (The numbers are those of {len(incident.summaries)} seeds together.)" if len(incident.summaries) > 1 else ""
    )
    variant = f" The story: {trial.variant}." if trial.variant else ""
    return text + seeds + variant


def impact(incident: Incident) -> Iterator[tuple[str, ...]]:
    """The rows of the impact table: name, value with the wake, and value awake where there are controls."""
    groups = [incident.summaries, *([incident.controls] if incident.controls else [])]

    def row(name: str, value: Callable[[Sequence[TrialSummary]], str]) -> tuple[str, ...]:
        return name, *(value(group) for group in groups)

    def count(outcome: Outcome, group: Sequence[TrialSummary]) -> str:
        return str(sum(summary.count(outcome) for summary in group))

    def longest(name: str, group: Sequence[TrialSummary]) -> str:
        return seconds(max(summary.latency_s.get(name, 0.0) for summary in group))

    yield row("requests", lambda group: str(sum(summary.requests for summary in group)))
    yield row("failed", lambda group: _share_failed(incident.failures(group)))
    for outcome in FAILURES:
        if any(summary.count(outcome) for group in groups for summary in group):
            answer = "no answer" if outcome.http_status is None else f"HTTP {outcome.http_status}"
            yield row(f"{outcome} ({answer})", partial(count, outcome))
    if any(incident.late(group) for group in groups):
        yield row(f"ok, but after more than {incident.patience.seconds:g} s", lambda group: str(incident.late(group)))
    yield row(f"slower than {SLOW_S:g} s", lambda group: str(sum(summary.longer_than(SLOW_S) for summary in group)))
    seed = ", worst seed" if len(incident.summaries) > 1 else ""
    for name in ("p50", "p95", "p99"):
        yield row(f"latency {name}{seed}", partial(longest, name))
    yield row("slowest", partial(longest, "max"))
    yield row("longest queue", lambda group: _most(summary.peak_waiting for summary in group))
    yield row("most connections in use", lambda group: _most(summary.peak_checked_out for summary in group))


def _most(peaks: Iterable[int | None]) -> str:
    known = [peak for peak in peaks if peak is not None]
    return str(max(known)) if known else "not known"


def impact_in_words(incident: Incident) -> Iterator[str]:
    """Sentences about the impact that complete its table."""
    failures = incident.run.rows(incident.first.trial, "requests")
    failures = failures.filter(pc.not_equal(failures["outcome"], Outcome.OK.value))
    if failures.num_rows:
        end_s = numbers(failures, "end_s")
        yield (f"Errors were answered {span([float(end_s.min()), float(end_s.max())])} after the burst began.")
    if incident.first.attempts > incident.first.requests:
        yield f"Clients asked {incident.first.attempts} times for their {incident.first.requests} requests."


def clock(incident: Incident, utc: datetime | None, *, given: bool) -> str:
    """The sentence that says what moment is zero in the timeline; `given`: `utc` comes from `--at`."""
    if utc is None:
        return (
            f"The run was made on the {incident.run.manifest.stack} stack, in virtual time: there is no clock to give. "
            "`--at` says when the real burst began."
        )
    date = f"{utc.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"Zero is {date}, as given with `--at`." if given else f"Zero is the start of the burst, {date}."


def causes(incident: Incident) -> Iterator[str]:
    """Sentences that say why requests failed, as far as the data shows it."""
    first, trial = incident.first, incident.first.trial
    failed = incident.failures(incident.summaries).failed
    if incident.sleeps:
        rows = incident.run.rows(trial, "requests")
        met_a_wake = _met_a_wake(incident)
        lost = ~answered(incident.patience, rows)
        others = first.requests - int(np.count_nonzero(met_a_wake))
        clause = f"{np.count_nonzero(met_a_wake)} of {first.requests} requests met the database while it was waking"
        of_the_others = f", and of the {others} others {np.count_nonzero(lost & ~met_a_wake)}" if others else ""
        seed = f" (seed {trial.seed})" if len(incident.summaries) > 1 else ""
        yield f"{clause}; {np.count_nonzero(lost & met_a_wake)} of them failed{of_the_others}{seed}."
    if not failed:
        yield "Nothing failed: there is no cause to name."
    yield from why(incident.summaries, Names([incident.configuration]))
    if late := incident.late(incident.summaries):
        yield f"{plural(late, 'request')} ended ok, but only after more than {incident.patience.seconds:g} s."
    if incident.controls:
        awake = incident.failures(incident.controls).failed
        if failed and not awake:
            yield "With the database awake none of the same arrivals fails: all of it is the cold start's."
        elif failed:
            yield f"With the database awake {awake} of the same arrivals fail: not all of it is the cold start's."
    elif incident.sleeps and incident.can_be_played_again:
        yield "The run has no control; below the same arrivals meet a database that is awake, in virtual time."
    yield from _alert(first)


def _alert(first: TrialSummary) -> Iterator[str]:
    """When an alert on the pool would have come."""
    if not first.saw_the_pool:
        yield "The pool was not seen: what it held, who waited and when an alert on it would have come is not known."
    elif first.utilization_alert_s is None and first.first_failure_s is not None:
        yield "An alert on 80% of the pool in use would not have come."
    elif first.alert_lead_s is not None:
        yield f"An alert on 80% of the pool in use {alert_sentence([first.alert_lead_s], comes='would have come')}."


def basis(incident: Incident, changes: Changes) -> str:
    """How the table of changes was made, and whether virtual time agrees with the run."""
    measured = _seeds(changes.measured_seeds)
    application = incident.run.plan.overrides.application
    on = "the same SQLAlchemy pool and asyncpg" if application is None else f"{application.name} and its recording"
    text = (
        f"The same arrivals and wakes, played in virtual time on {on}, with one setting "
        f"changed at a time. The numbers are those of {measured}, which the run measured"
    )
    if len(incident.summaries) > len(changes.measured_seeds):
        over_all_seeds = incident.failures(incident.summaries)
        text += (
            f" (the first {SEEDS} of its {len(incident.summaries)}; over all of them {over_all_seeds} requests fail)"
        )
    text += f": as it was, {changes.again.failures.failed} of {changes.again.failures.requests} requests fail in "
    text += f"virtual time, and {changes.measured} did in the run. "
    if changes.other_seeds:
        text += (
            f"*Better in* and *worse in* count {plural(changes.seeds, 'seed')}: also {_seeds(changes.other_seeds)}, "
            "which the run did not measure and which bring other arrivals and wakes. "
        )
    elif len(changes.measured_seeds) == 1:
        text += "Every seed brings the same arrivals and wake to this story, so one is all there is. "
    if changes.agrees:
        return f"{text}They agree: what follows can be relied on as far as that goes."
    return f"{text}**They differ by more than 2% of the requests: what follows is a direction, not numbers.**"


def columns(changes: Changes) -> list[str]:
    """The header of the table of changes."""
    of_seeds = f"of {plural(changes.seeds, 'seed')}"
    return ["changed", "fail", "saved", "lost", "p95", "slowest", f"better in, {of_seeds}", "worse in"]


def row_of(change: Change, changes: Changes) -> tuple[str, ...]:
    """A change as a row of its table. The incident as it was has empty cells where others are compared with it."""
    compared = (
        (str(change.replayed.better_in), str(change.replayed.worse_in)) if change is not changes.again else ("", "")
    )
    pairs = (str(change.measured.saved), str(change.measured.lost)) if change is not changes.again else ("", "")
    return (change.what, str(change.failures.failed), *pairs, seconds(change.p95_s), seconds(change.max_s), *compared)


def table_in_words(changes: Changes) -> Iterator[str]:
    """Sentences about the changes without effect, those that make it worse, and those that depend on the arrivals."""
    tried = [change for change in changes.tried if change.what != AWAKE]
    nothing = [change for change in tried if change.changes_nothing]
    harming = [change for change in tried if change.harms]
    unclear = [change for change in tried if not (change.changes_nothing or change.harms or change.helps)]
    if nothing:
        same = listed([change.what for change in nothing])
        yield f"Not in the table, because exactly the same requests fail: {same}."
    if harming:
        more = [f"{change.what} ({change.measured.lost - change.measured.saved} more fail)" for change in harming]
        yield f"Worse: {listed(more)}."
    if unclear:
        with_seeds = [f"{change.what} ({change.replayed.in_seeds()})" for change in unclear]
        yield f"Neither better nor worse, or that depends on the arrivals: {listed(with_seeds)}."


def actions(incident: Incident, changes: Changes | None) -> Iterator[str]:
    """What a team has to decide, from the changes that would have helped; None: they are not known."""
    if changes is not None:
        yield from _of_settings(changes)
    elif incident.failures(incident.summaries).failed:
        yield "Which settings to try: run the same scenario again with each (`coldstart run`)."
    if incident.sleeps:
        yield "Is what sleeping saves worth this? `coldstart run keepalive --stack simulated` has the other side."
    if (
        incident.first.saw_the_pool
        and incident.first.first_failure_s is not None
        and (incident.first.alert_lead_s is None or incident.first.alert_lead_s < 0)
    ):
        yield "An alert that comes before the first failure: on the pool's queue rather than on the connections in use."
    yield "Who owns each of these, and by when."


def _of_settings(changes: Changes) -> Iterator[str]:
    helping = changes.helping()[:MAX_ACTIONS]
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


def unknown(incident: Incident, changes: Changes | None) -> Iterator[str]:
    """What the draft's numbers do not show."""
    run, trial = incident.run, incident.first.trial
    yield "Who was affected and what it cost them: it counts requests, not people."
    bursts = _bursts(incident)
    yield f"Whether the requests came like this: {bursts[:1].lower() + bursts[1:]} are the scenario's."
    if trial.wake is not None and incident.sleeps:
        how = "injected" if run.manifest.stack != "simulated" else "simulated"
        yield (
            f"Why the database took as long to wake: the wake was {how} (profile {trial.wake.name}, "
            f"{trial.wake.latency}; open connections: {trial.wake.on_suspend}; new ones: {trial.wake.while_waking})."
        )
        # Where the story sets the wake's latency, the profile's own distribution is not used.
        latency_is_given = isinstance(trial.wake.latency, Constant)
        guessed = [name for name in trial.wake.unsourced if not (latency_is_given and name.startswith("latency"))]
        if guessed:
            yield f"Guessed in that profile, for want of a source: {', '.join(guessed)}."
    if run.plan.shortened:
        yield f"What would have been different at full length: {run.plan.shortened}."
    if run.plan.changes:
        yield f"Whether the story's expectations hold: it was changed ({', '.join(run.plan.changes)})."
    if len(incident.summaries) < MIN_SEEDS:
        yield (
            "How much of this is due to just these arrivals: the run measured "
            f"{plural(len(incident.summaries), 'seed')}; `--repeat 10` measures more."
        )
    for reason, marked in by_reason(incident.summaries).items():
        yield f"The exact numbers: in {plural(len(marked), 'trial')} {reason.clause}; that is not a measurement."
    if run.manifest.status is not RunStatus.COMPLETE:
        yield f"The rest: the run is {run.manifest.status}, and this is what it measured until then."
    if changes is None:
        yield NOT_PLAYED_AGAIN
        return
    if not changes.agrees:
        yield "What the settings would have changed, exactly: virtual time and the run differ, see above."
    else:
        yield "What network and query times add to the settings' table, unless it was made with `--calibration`."
    yield "Other settings changed together, and values between those in the table."


def measured(incident: Incident) -> str:
    """How the run was made."""
    manifest = incident.run.manifest
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    seeds = _seeds(incident.seeds)
    return (
        f"Stack {manifest.stack}, {manifest.status}, started {manifest.started_at}, commit "
        f"{manifest.git_commit or 'unknown'}, {seeds}. {versions}."
    )


def _met_a_wake(incident: Incident) -> np.ndarray:
    """For each request of the trial `first`, whether it was under way while the database was waking."""
    rows, events = incident.run.rows(incident.first.trial, "requests"), incident.run.of(incident.first.trial, "events")
    arrival_s, end_s = numbers(rows, "arrival_s"), numbers(rows, "end_s")
    met = np.zeros(len(arrival_s), dtype=bool)
    in_order = events.sort_values("at_s", kind="stable")
    for period in away(zip(in_order["event"], in_order["at_s"], strict=True)):
        met |= (arrival_s < (np.inf if period.ended_s is None else period.ended_s)) & (end_s > period.began_s)
    return met


def _bursts(incident: Incident) -> str:
    bursts = incident.first.trial.story.bursts
    texts = [
        f"{burst.requests} requests over {burst.over_s:g} s" if burst.over_s else f"{burst.requests} requests at once"
        for burst in bursts
    ]
    return (
        listed(texts)
        if len(texts) <= MAX_BURSTS
        else f"{len(texts)} bursts, {sum(burst.requests for burst in bursts)} requests in all,"
    )


def _outcomes(incident: Incident) -> str:
    counted = {outcome.value: sum(summary.count(outcome) for summary in incident.summaries) for outcome in FAILURES}
    counted["ok, but too late"] = incident.late(incident.summaries)
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
