"""The sentences and rows of the draft, every number in them from the run or from its changes in virtual time."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import zip_longest

import numpy as np
import pyarrow.compute as pc

from harness.analysis.columns import numbers
from harness.analysis.findings import why
from harness.analysis.statistics import rate
from harness.analysis.tables import seconds
from harness.model.events import Event
from harness.model.outcomes import FAILURES, Outcome
from harness.model.scenario import Burst
from harness.model.status import RunStatus
from harness.model.summary import TrialSummary
from harness.model.wake import Constant
from harness.postmortem.changes import AWAKE, Change, Changes
from harness.postmortem.incident import Incident

SLOW_S = 1.0
"""Slower than this, and a person notices."""
FEWEST_SEEDS = 3
MOST_BURSTS = 3
MOST_ACTIONS = 3


def summary(found: Incident) -> str:
    """What happened, in a paragraph."""
    one, trial = found.first, found.first.trial
    told = f"{_bursts(found)} met {found.configuration}"
    if found.run.manifest.status is not RunStatus.COMPLETE:
        told = f"**The run is {found.run.manifest.status}: this is what it measured until then.** {told}"
    if found.sleeps:
        times = f", and the database slept {one.wakes} times" if one.wakes > 1 else ""
        woke = _range([one.trial.wake_latency_s for one in found.summaries])
        told += f" while the database was asleep; waking took {woke}{times}"
    failed, requests = _failed(found.summaries), _requests(found.summaries)
    if not failed:
        slowest = max(one.latency_s["max"] for one in found.summaries)
        return f"{told}. No request failed; the slowest answer took {seconds(slowest)}."
    share = rate(failed, requests)
    said = f"{told}. **{failed} of {requests} requests failed ({share.value:.1%})**: {_outcomes(found.summaries)}."
    if one.recovered_after_s is not None and one.recovered_after_s > 0:
        said += f" {seconds(one.recovered_after_s)} after the burst began nobody waited any more."
    seeds = f" (The numbers are those of {len(found.summaries)} seeds together.)" if len(found.summaries) > 1 else ""
    variant = f" The story: {trial.scenario.variant}." if trial.scenario.variant else ""
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

    yield row("requests", lambda some: str(_requests(some)))
    yield row("failed", _share_failed)
    for outcome in FAILURES:
        if any(one.count(outcome) for some in groups for one in some):
            answer = "no answer" if outcome.http_status is None else f"HTTP {outcome.http_status}"
            yield row(f"{outcome} ({answer})", partial(count, outcome))
    yield row(f"slower than {SLOW_S:g} s", lambda some: str(sum(one.longer_than(SLOW_S) for one in some)))
    seed = ", worst seed" if len(found.summaries) > 1 else ""
    for name in ("p50", "p95", "p99"):
        yield row(f"latency {name}{seed}", partial(longest, name))
    yield row("slowest", partial(longest, "max"))
    yield row("longest queue", lambda some: str(max(one.peak_waiting for one in some)))
    yield row("most connections in use", lambda some: str(max(one.peak_checked_out for one in some)))


def impact_said(found: Incident) -> Iterator[str]:
    """What the table does not say."""
    failures = found.run.rows(found.first.trial, "requests")
    failures = failures.filter(pc.not_equal(failures["outcome"], Outcome.OK.value))
    if failures.num_rows:
        end_s = numbers(failures, "end_s")
        yield (
            f"Errors were answered from {seconds(float(end_s.min()))} to {seconds(float(end_s.max()))} after the burst "
            "began."
        )
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
    one, trial = found.first, found.first.trial
    failed = _failed(found.summaries)
    if found.sleeps:
        rows = found.run.rows(trial, "requests")
        met = _met_a_wake(found)
        lost = pc.not_equal(rows["outcome"], Outcome.OK.value).to_numpy()
        others = one.requests - int(np.count_nonzero(met))
        told = f"{np.count_nonzero(met)} of {one.requests} requests met the database while it was waking"
        rest = f", and of the {others} others {np.count_nonzero(lost & ~met)}" if others else ""
        yield f"{told}; {np.count_nonzero(lost & met)} of them failed{rest}."
    if not failed:
        yield "Nothing failed: there is no cause to name."
    yield from why(found.wake_latency_s, found.summaries)
    if found.controls:
        awake = _failed(found.controls)
        if failed and not awake:
            yield "With the database awake the same arrivals lose nothing: all of it is the cold start's."
        elif failed:
            yield f"With the database awake the same arrivals lose {awake}: the cold start does not explain all of it."
    elif found.sleeps:
        yield "The run has no control; below the same arrivals meet a database that is awake, in virtual time."
    if one.utilization_alert_s is None and failed:
        yield "An alert on 80 % of the pool in use would not have come."
    elif one.alert_lead_s is not None:
        when = "before" if one.alert_lead_s >= 0 else "after"
        lead = seconds(abs(one.alert_lead_s))
        yield f"An alert on 80 % of the pool in use would have come {lead} {when} the first failure."


def basis(changes: Changes) -> str:
    """What the table of changes rests on."""
    said = (
        "The same arrivals and wakes, played in virtual time on the same SQLAlchemy pool and asyncpg, with one setting "
        f"changed at a time. As it was, virtual time loses {changes.again.failed} of {changes.again.requests} "
        f"requests; the run lost {changes.measured_failed} of {changes.measured_requests}"
    )
    if changes.agrees:
        return f"{said}: what follows can be relied on as far as that goes."
    return f"{said}. **They differ by more than 2 % of the requests: what follows is a direction, not numbers.**"


def row_of(one: Change) -> tuple[str, ...]:
    """A change as a row of its table."""
    return (one.what, str(one.failed), str(one.saved), str(one.lost), seconds(one.p95_s), seconds(one.max_s))


def said_of(changes: Changes) -> Iterator[str]:
    """The changes that change nothing, and those that make it worse."""
    nothing = [one for one in changes.tried if one.is_none and one.what != AWAKE]
    chance = [one for one in changes.tried if not one.is_one and not one.is_none and one.what != AWAKE]
    worse = [one for one in changes.tried if one.is_one and one.lost > one.saved]
    if nothing:
        yield f"Not in the table, because exactly the same requests fail: {_list([one.what for one in nothing])}."
    if chance:
        yield f"A difference that can be chance: {_list([one.what for one in chance])}."
    if worse:
        yield f"Worse: {_list([f'{one.what} ({one.failed - changes.again.failed:+d})' for one in worse])}."


def actions(found: Incident, changes: Changes) -> Iterator[str]:
    """What a team has to decide, from what would have helped."""
    helping = sorted((one for one in changes.tried if one.helps and one.what != AWAKE), key=lambda one: one.failed)
    for one in helping[:MOST_ACTIONS]:
        yield (
            f"`{one.what}`: saves {one.saved} of {changes.again.failed} failures and loses {one.lost} others; the "
            f"slowest request then takes {seconds(one.max_s)}, as it was {seconds(changes.again.max_s)}."
        )
    if any(one.max_s > changes.again.max_s + SLOW_S for one in helping):
        yield "How long may an answer take? What outlives the wake saves requests and lets them wait."
    if not helping and changes.again.failed:
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
    if run.scenario.shortened:
        yield f"What would have been different at full length: {run.scenario.shortened}."
    if run.scenario.changed:
        yield f"Whether the story's expectations hold: it was changed ({', '.join(run.scenario.changed)})."
    if len(found.summaries) < FEWEST_SEEDS:
        yield f"How much of this is chance: seeds played, {len(found.summaries)}; `--repeat 10` plays more."
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
    seeds = _list([str(one.trial.seed) for one in found.summaries])
    return (
        f"Stack {manifest.stack}, {manifest.status}, started {manifest.started_at}, commit "
        f"{manifest.git_commit or 'unknown'}, seeds {seeds}. {versions}."
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
    bursts = [phase for phase in found.first.trial.scenario.timeline if isinstance(phase, Burst)]
    told = [f"{burst.requests} requests over {burst.over_s:g} s" for burst in bursts]
    return (
        _list(told)
        if len(told) <= 3
        else f"{len(told)} bursts, {sum(burst.requests for burst in bursts)} requests in all,"
    )


def _outcomes(some: Sequence[TrialSummary]) -> str:
    counted = {outcome: sum(one.count(outcome) for one in some) for outcome in FAILURES}
    return _list([f"{count} {outcome}" for outcome, count in counted.items() if count])


def _share_failed(some: Sequence[TrialSummary]) -> str:
    share = rate(_failed(some), _requests(some))
    interval = "" if share.low is None or share.high is None else f", {share.low:.1%} to {share.high:.1%}"
    return f"{_failed(some)} ({share.value:.1%}{interval})"


def _failed(some: Sequence[TrialSummary]) -> int:
    return sum(one.failed for one in some)


def _requests(some: Sequence[TrialSummary]) -> int:
    return sum(one.requests for one in some)


def _range(values: Sequence[float | None]) -> str:
    there = [value for value in values if value is not None]
    least, most = min(there), max(there)
    return f"{most:.3g} s" if most - least < 0.05 else f"{least:.3g} to {most:.3g} s"


def _list(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
