"""What a run's trials came to in words, every number from them: who survives which wake, and why the others do not.

The sentences' parts, with their ties and their nones, are those of harness/analysis/sentences.py.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import assert_never

from harness.analysis.labels import Names, wake_name
from harness.analysis.sentences import Failures, by_count, listed, plural, seconds, span, who_fails
from harness.model.outcomes import Outcome
from harness.model.summary import TrialSummary

WAKE_LATE_S = 0.05
"""The wake is detected, and what it releases goes on, within this; later, the machine was in the way."""
MOST_TRIALS = 3
"""Trials that a doubt names; of more it says how many."""

Group = Sequence[TrialSummary]


def findings(summaries: Group) -> list[str]:
    """For each wake who survives it and, an outcome at a time, why the others do not; then what is doubtful."""
    woken = [summary for summary in summaries if not summary.trial.is_control]
    names = Names.of(summary.trial for summary in summaries)
    found: list[str] = []
    if summaries and not woken:
        found.append("Only controls were played: nothing is known of a wake.")
    for heading, met in _groups(woken):
        found.append(f"{heading} {_who_survives(met, names)}.")
        found += why(met, names)
    return [*found, *_alerts(woken, names), *_doubts(summaries, names)]


def _groups(woken: Group) -> Iterator[tuple[str, Group]]:
    """What can be compared: trials that met one wake in one story; pools are not compared over different stories."""
    several_pools = len({summary.trial.pool for summary in woken}) > 1
    together: dict[tuple[str, str], list[TrialSummary]] = {}
    for summary in woken:
        variant = summary.trial.variant if several_pools else ""
        together.setdefault((wake_name(summary.trial), variant), []).append(summary)
    for (_, variant), met in together.items():
        yield _heading(met) + (f" ({variant})" if variant else ""), met


def _heading(met: Group) -> str:
    """`At a wake of 8 s`, or of how many seconds the seeds' wakes were."""
    trial = met[0].trial
    if trial.wake is None or not trial.wake.can_sleep:
        return "With the database awake"
    words = {summary.trial.wake_words for summary in met}
    if len(words) == 1:
        return f"At a {words.pop()}"
    latencies_s = [summary.trial.wake_latency_s or 0.0 for summary in met]
    return f"At {len(set(latencies_s))} wakes of {span(latencies_s)} ({wake_name(trial).removeprefix('wake of ')})"


def _who_survives(met: Group, names: Names) -> str:
    """Of several seeds a configuration survives when it survives each of them."""
    failures: dict[str, Failures] = {}
    for summary in met:
        name = names[summary.trial.configuration]
        failures[name] = failures.get(name, Failures(0, 0)) + Failures(summary.failed, summary.requests)
    pools = {names[summary.trial.configuration]: summary.trial.pool.capacity for summary in met}
    same_story = len({summary.trial.variant for summary in met}) == 1
    told = who_fails(failures, pools if same_story else None)
    slowest = max((summary.latency_s.get("max", 0.0) for summary in met), default=0.0)
    if any(one.failed for one in failures.values()) or not any(one.requests for one in failures.values()):
        return told
    return f"{told}; the slowest answer takes {seconds(slowest)}"


def why(met: Group, names: Names) -> list[str]:
    """A sentence for each outcome and reason: with whom how many requests ended so. The trials met one wake."""
    latency_s = max((summary.trial.wake_latency_s or 0.0 for summary in met), default=0.0)
    counted: dict[tuple[Outcome, str], Counter[str]] = {}
    capacities = {names[summary.trial.configuration]: summary.trial.pool.capacity for summary in met}
    for summary in met:
        for outcome, count in summary.outcomes.items():
            if outcome.is_failure and count:
                key = outcome, _reason(outcome, summary, latency_s)
                counted.setdefault(key, Counter())[names[summary.trial.configuration]] += count
    return [
        " ".join(filter(None, [f"{outcome}: {by_count(counts)}.", reason, _larger(outcome, counts, capacities, met)]))
        for (outcome, reason), counts in counted.items()
    ]


def _larger(outcome: Outcome, counts: Mapping[str, int], capacities: Mapping[str, int], met: Group) -> str:
    """That a larger pool times out more often while it connects, where the numbers say so."""
    if outcome is not Outcome.CONNECT_TIMEOUT or len({summary.trial.variant for summary in met}) > 1:
        return ""
    by_size = sorted((capacities[name], count) for name, count in counts.items())
    grows = all(fewer < more for (small, fewer), (large, more) in pairwise(by_size) if small < large)
    several = len({capacity for capacity, _ in by_size}) > 1
    return "The larger the pool, the more requests are connecting then." if several and grows else ""


def _reason(outcome: Outcome, summary: TrialSummary, latency_s: float) -> str:
    """Why requests end like this, as a sentence; empty where the rows do not say."""
    pool = summary.trial.pool
    match outcome:
        case Outcome.POOL_TIMEOUT:
            return f"The queue waits no longer than pool_timeout, {pool.queue_timeout_s:g} s."
        case Outcome.CONNECT_TIMEOUT if pool.connection_timeout_s < latency_s:
            return (
                f"connection_timeout, {pool.connection_timeout_s:g} s, is shorter than the wake: whoever is connecting "
                "when it runs out fails."
            )
        case Outcome.CONNECT_TIMEOUT:
            return f"Connecting took longer than connection_timeout, {pool.connection_timeout_s:g} s."
        case Outcome.STATEMENT_TIMEOUT if 0 < pool.server_statement_timeout_s < (pool.statement_timeout_s or math.inf):
            limit = pool.server_statement_timeout_s
            return f"PostgreSQL ends a statement that takes longer than its statement_timeout, {limit:g} s."
        case Outcome.STATEMENT_TIMEOUT:
            return f"A statement took longer than statement_timeout, {pool.statement_timeout_s:g} s."
        case Outcome.CONNECTION_LOST if not pool.pool_pre_ping:
            return "Without a pre-ping a connection that died in the pool is used."
        case Outcome.CLIENT_TIMEOUT:
            return f"A client waits no longer than {summary.trial.story.client_timeout_s:g} s."
        case Outcome.OK | Outcome.CONNECT_ERROR | Outcome.CONNECTION_LOST | Outcome.ERROR:
            # No setting of the pool says why.
            return ""
        case _:
            assert_never(outcome)


def alert_sentence(leads_s: Sequence[float], *, comes: str = "comes") -> str:
    """How long before or after the first failure the alert comes; `leads_s` are below 0 where it is after it."""
    before, after = [lead for lead in leads_s if lead >= 0], [-lead for lead in leads_s if lead < 0]
    if not after:
        return f"{comes} {span(before)} before the first failure"
    if not before:
        return f"{comes} too late, {span(after)} after the first failure"
    return (
        f"{comes} {span(before)} before the first failure in {plural(len(before), 'trial')}, "
        f"and too late, {span(after)} after it, in {len(after)}"
    )


def _alerts(woken: Group, names: Names) -> list[str]:
    """Whether watching the pool's utilization would have told anybody before the first failure."""
    failing = [summary for summary in woken if summary.first_failure_s is not None]
    leads_s = [summary.alert_lead_s for summary in failing if summary.alert_lead_s is not None]
    found = [f"An alert on 80% of the pool in use {alert_sentence(leads_s)}."] if leads_s else []
    silent = Counter(names[summary.trial.configuration] for summary in failing if summary.utilization_alert_s is None)
    if silent:
        trials = Counter(names[summary.trial.configuration] for summary in failing)
        told = [
            name if count == trials[name] else f"{name} (in {count} of {trials[name]} trials)"
            for name, count in silent.items()
        ]
        subject = "That alert" if leads_s else "An alert on 80% of the pool in use"
        found.append(f"{subject} never comes with {listed(told, most=MOST_TRIALS)}, though requests fail.")
    return found


def _doubts(summaries: Group, names: Names) -> list[str]:
    def trials(some: Group) -> str:
        labels = [f"({names[one.trial.configuration]}, {one.trial.wake_label})" for one in some]
        return listed(list(dict.fromkeys(labels)), most=MOST_TRIALS)

    late = [summary for summary in summaries if not summary.kept_schedule]
    cut_short = [summary for summary in summaries if not summary.complete]
    doubts = []
    if late:
        worst = max(summary.late_start_s.get("max", 0.0) for summary in late)
        doubts.append(
            f"Not a measurement: {trials(late)}, because the load generator started requests up to {worst:.2f} s late. "
            "Run fewer trials at a time (--parallel)."
        )
    slow = [summary for summary in summaries if max(summary.wake_late_s.values(), default=0.0) > WAKE_LATE_S]
    if slow:
        worst = max(max(summary.wake_late_s.values()) for summary in slow)
        doubts.append(
            f"The machine was busy: the wake was injected up to {worst * 1000:.0f} ms late in {trials(slow)}. "
            "Run fewer trials at a time (--parallel)."
        )
    if cut_short:
        doubts.append(f"Cut short, so lower bounds only: {trials(cut_short)}.")
    return doubts
