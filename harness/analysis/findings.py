"""What a comparison says in words, every number in it from the trials: which pool survives what, and why."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import assert_never

from harness.model.outcomes import Outcome
from harness.model.summary import TrialSummary

WAKE_LATE_S = 0.05
"""The wake is detected, and what it releases goes on, within this; later, the machine was in the way."""


def findings(summaries: Sequence[TrialSummary]) -> list[str]:
    """For each wake who survived it and, an outcome at a time, why the others did not; then what is doubtful."""
    found: list[str] = []
    for wake in dict.fromkeys(one.trial.wake_label for one in summaries if not one.trial.is_control):
        met = [one for one in summaries if one.trial.wake_label == wake]
        trial = met[0].trial
        sleeps = trial.wake is not None and trial.wake.can_sleep
        found.append(f"{f'At a {trial.wake_words}' if sleeps else 'With the database awake'} {_who_survives(met)}")
        found += why(trial.wake_latency_s or 0.0, met)
    return found + _alerts(summaries) + _doubts(summaries)


def _alerts(summaries: Sequence[TrialSummary]) -> list[str]:
    """Whether watching the pool's utilization would have told anybody before the first failure."""
    failing = [one for one in summaries if one.first_failure_s is not None and not one.trial.is_control]
    if not failing:
        return []
    silent = [one for one in failing if one.utilization_alert_s is None]
    leads_s = sorted(one.alert_lead_s for one in failing if one.alert_lead_s is not None)
    said = []
    if leads_s:
        first, last = leads_s[0], leads_s[-1]
        span = f"{first:.1f} s" if last - first < 0.1 else f"{first:.1f} to {last:.1f} s"
        late = " (below 0: after it)" if first < 0 else ""
        said.append(f"An alert on 80 % of the pool in use comes {span} before the first failure{late}.")
    if silent:
        said.append(f"That alert never comes with {_names(silent)}.")
    return said


def _who_survives(met: Sequence[TrialSummary]) -> str:
    """Of several seeds a pool survives when it survives each of them."""
    by_name: dict[str, list[TrialSummary]] = {}
    for one in met:
        by_name.setdefault(_name(one), []).append(one)
    failed = {name: sum(one.failed for one in some) for name, some in by_name.items()}
    safe = [name for name, count in failed.items() if count == 0]

    def capacity(name: str) -> int:
        return by_name[name][0].trial.pool.capacity

    if len(safe) == len(by_name):
        slowest = max(one.latency_s["max"] for one in met)
        return f"no pool loses a request; the slowest answer takes {slowest:.1f} s."
    if len(safe) == 1:
        return f"only {safe[0]} loses nothing."
    if safe:
        return f"{_list(safe)} lose nothing; the smallest of them is {min(safe, key=capacity)}."
    fewest = min(by_name, key=lambda name: (failed[name], capacity(name)))
    requests = sum(one.requests for one in by_name[fewest])
    share = f"{failed[fewest]} of {requests} ({failed[fewest] / max(1, requests):.1%})"
    return f"every pool loses requests; the fewest, {share}, with {fewest}."


def why(latency_s: float, met: Sequence[TrialSummary]) -> list[str]:
    """A sentence for each outcome and reason: who lost how many to it. The trials met one wake, of `latency_s`."""
    losses: dict[tuple[Outcome, str], Counter[str]] = {}
    for one in met:
        for outcome, count in one.outcomes.items():
            if outcome.is_failure:
                losses.setdefault((outcome, _reason(outcome, one, latency_s)), Counter())[_name(one)] += count
    return [
        f"{outcome}{reason}: {_list([f'{count} with {name}' for name, count in counts.items()])}."
        for (outcome, reason), counts in losses.items()
    ]


def _reason(outcome: Outcome, one: TrialSummary, latency_s: float) -> str:
    pool = one.trial.pool
    match outcome:
        case Outcome.POOL_TIMEOUT:
            return f", because the queue waits no longer than pool_timeout, {pool.pool_timeout_s:g} s"
        case Outcome.CONNECT_TIMEOUT if pool.connection_timeout_s < latency_s:
            return (
                f", because connection_timeout, {pool.connection_timeout_s:g} s, is shorter than the wake: "
                "whoever is connecting when it runs out fails, so a larger pool fails more"
            )
        case Outcome.CONNECT_TIMEOUT:
            return f", because connecting took longer than connection_timeout, {pool.connection_timeout_s:g} s"
        case Outcome.STATEMENT_TIMEOUT if 0 < pool.server_statement_timeout_s < (pool.statement_timeout_s or math.inf):
            limit = pool.server_statement_timeout_s
            return f", because PostgreSQL ends a statement that takes longer than its statement_timeout, {limit:g} s"
        case Outcome.STATEMENT_TIMEOUT:
            return f", because a statement took longer than statement_timeout, {pool.statement_timeout_s:g} s"
        case Outcome.CONNECTION_LOST if not pool.pool_pre_ping:
            return ", because without a pre-ping a connection that died in the pool is used"
        case Outcome.CLIENT_TIMEOUT:
            return f", because a client waits no longer than {one.trial.scenario.client_timeout_s:g} s"
        case Outcome.OK | Outcome.CONNECT_ERROR | Outcome.CONNECTION_LOST | Outcome.ERROR:
            # No setting of the pool says why.
            return ""
        case _:
            assert_never(outcome)


def _doubts(summaries: Sequence[TrialSummary]) -> list[str]:
    late = [one for one in summaries if not one.kept_schedule]
    short = [one for one in summaries if not one.complete]
    doubts = []
    if late:
        worst = max(one.late_start_s["max"] for one in late)
        doubts.append(
            f"Not a measurement: {_trials(late)}, because the load generator started requests up to "
            f"{worst:.2f} s late. Run fewer trials at a time (--parallel)."
        )
    slow = [one for one in summaries if max(one.wake_late_s.values(), default=0.0) > WAKE_LATE_S]
    if slow:
        worst = max(max(one.wake_late_s.values()) for one in slow)
        doubts.append(
            f"The machine was busy: the wake was injected up to {worst * 1000:.0f} ms late in {_trials(slow)}. "
            "Run fewer trials at a time (--parallel)."
        )
    if short:
        doubts.append(f"Cut short, so lower bounds only: {_trials(short)}.")
    return doubts


def _name(one: TrialSummary) -> str:
    return one.trial.configuration


def _names(some: Sequence[TrialSummary]) -> str:
    return _list(list(dict.fromkeys(_name(one) for one in some)))


def _trials(some: Sequence[TrialSummary]) -> str:
    return _list([f"({one.trial.label})" for one in some])


def _list(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
