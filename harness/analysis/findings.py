"""A run's results in sentences: which configurations survive which wake, and why the others do not.

Every number comes from the trials' summaries. harness/analysis/sentences.py has the parts of the sentences.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import assert_never

from harness.analysis.labels import Names, wake_name
from harness.analysis.measured import by_reason, worst_of
from harness.analysis.sentences import (
    Failures,
    answered_within,
    by_count,
    listed,
    plural,
    seconds,
    span,
    who_succeeds,
)
from harness.model.doubt import Reason
from harness.model.outcomes import Outcome
from harness.model.pool import PoolConfiguration
from harness.model.summary import TrialSummary

WAKE_LATE_S = 0.05
"""The wake is detected and its connections are released within this time; if it takes longer, the machine was busy."""
MAX_TRIALS_NAMED = 3
"""How many trials a doubt lists by name; of the others it gives the number."""

Group = Sequence[TrialSummary]


def findings(summaries: Group) -> list[str]:
    """For each wake: which configurations survive it, and for each outcome why others fail; then the doubts."""
    woken = [summary for summary in summaries if not summary.trial.is_control]
    names = Names.of(summary.trial for summary in summaries)
    sentences: list[str] = []
    if summaries and not woken:
        sentences.append("Only controls were played: nothing is known of a wake.")
    for heading, group in _groups(woken):
        sentences.append(f"{heading} {_who_survives(group, names)}.")
        sentences += [*why(group, names), *_too_late(group, names)]
    return [*sentences, *_alerts(woken, names), *doubts(summaries, names)]


def _groups(woken: Group) -> Iterator[tuple[str, Group]]:
    """The trials that can be compared, with a heading: those of one wake and, with several pools, one variant."""
    several_pools = len({summary.trial.pool for summary in woken}) > 1
    together: dict[tuple[str, str], list[TrialSummary]] = {}
    for summary in woken:
        variant = summary.trial.variant if several_pools else ""
        together.setdefault((wake_name(summary.trial), variant), []).append(summary)
    for (_, variant), group in together.items():
        yield _heading(group) + (f" ({variant})" if variant else ""), group


def _heading(summaries: Group) -> str:
    """`At a wake of 8 s`, or the range of the latencies where the seeds drew different ones."""
    trial = summaries[0].trial
    if trial.wake is None or not trial.wake.can_sleep:
        return "With the database awake"
    words = {summary.trial.wake_words for summary in summaries}
    if len(words) == 1:
        return f"At a {words.pop()}"
    latencies_s = [summary.trial.wake_latency_s or 0.0 for summary in summaries]
    return f"At {len(set(latencies_s))} wakes of {span(latencies_s)} ({wake_name(trial).removeprefix('wake of ')})"


def _who_survives(summaries: Group, names: Names) -> str:
    """Which configurations survive; one with several seeds survives when it survives every seed."""
    failures: dict[str, Failures] = {}
    for summary in summaries:
        name = names[summary.trial.configuration]
        failures[name] = failures.get(name, Failures(0, 0)) + Failures(summary.unanswered, summary.requests)
    pools = {names[summary.trial.configuration]: summary.trial.pool.capacity for summary in summaries}
    same_story = len({summary.trial.variant for summary in summaries}) == 1
    answered = answered_within(summary.patience_s for summary in summaries)
    clause = who_succeeds(failures, pools if same_story else None, answered=answered)
    slowest = max((summary.latency_s.get("max", 0.0) for summary in summaries), default=0.0)
    if any(counts.failed for counts in failures.values()) or not any(counts.requests for counts in failures.values()):
        return clause
    return f"{clause}; the slowest answer takes {seconds(slowest)}"


def why(summaries: Group, names: Names) -> list[str]:
    """A sentence for each outcome and reason: how many requests ended so, by configuration. All trials met one wake."""
    latency_s = max((summary.trial.wake_latency_s or 0.0 for summary in summaries), default=0.0)
    counted: dict[tuple[Outcome, str], Counter[str]] = {}
    capacities = {names[summary.trial.configuration]: summary.trial.pool.capacity for summary in summaries}
    for summary in summaries:
        for outcome, count in summary.outcomes.items():
            if outcome.is_failure and count:
                # Of a pool that was not seen the settings are only what somebody says.
                explains = summary.saw_the_pool or outcome is Outcome.CLIENT_TIMEOUT
                key = outcome, _reason(outcome, summary, latency_s) if explains else ""
                counted.setdefault(key, Counter())[names[summary.trial.configuration]] += count
    return [
        " ".join(
            filter(None, [f"{outcome}: {by_count(counts)}.", reason, _larger(outcome, counts, capacities, summaries)])
        )
        for (outcome, reason), counts in counted.items()
    ]


def _too_late(summaries: Group, names: Names) -> list[str]:
    """How many requests end ok, but after the story's patience."""
    late: Counter[str] = Counter()
    for summary in summaries:
        if count := summary.unanswered - summary.failed:
            late[names[summary.trial.configuration]] += count
    answered = answered_within(summary.patience_s for summary in summaries)
    return [f"ok, but not {answered}: {by_count(late)}."] if late else []


def _larger(outcome: Outcome, counts: Mapping[str, int], capacities: Mapping[str, int], summaries: Group) -> str:
    """The remark that larger pools have more connect timeouts; empty where the numbers do not show it."""
    if outcome is not Outcome.CONNECT_TIMEOUT or len({summary.trial.variant for summary in summaries}) > 1:
        return ""
    by_size = sorted((capacities[name], count) for name, count in counts.items())
    grows = all(fewer < more for (small, fewer), (large, more) in pairwise(by_size) if small < large)
    several = len({capacity for capacity, _ in by_size}) > 1
    return "The larger the pool, the more requests are connecting then." if several and grows else ""


def _reason(outcome: Outcome, summary: TrialSummary, latency_s: float) -> str:
    """Why requests end with this outcome, as a sentence; empty where no setting explains it."""
    pool = summary.trial.pool
    match outcome:
        case Outcome.POOL_TIMEOUT:
            return f"The queue waits no longer than pool_timeout, {pool.queue_timeout_s:g} s."
        case Outcome.CONNECT_TIMEOUT if pool.acquire_limit_s is not None:
            limit_s = pool.acquire_limit_s
            return f"asyncpg's acquire gives waiting and connecting together no more than pool_timeout, {limit_s:g} s."
        case Outcome.CONNECT_TIMEOUT if pool.connection_limit_s < latency_s:
            return f"{_connect_limit(pool)}, is shorter than the wake: whoever is connecting when it runs out fails."
        case Outcome.CONNECT_TIMEOUT:
            return f"Connecting took longer than {_connect_limit(pool)}."
        case Outcome.STATEMENT_TIMEOUT if (
            0 < pool.server_statement_timeout_s < (pool.client_statement_timeout_s or math.inf)
        ):
            limit = pool.server_statement_timeout_s
            return f"PostgreSQL ends a statement that takes longer than its statement_timeout, {limit:g} s."
        case Outcome.STATEMENT_TIMEOUT:
            return f"A statement took longer than statement_timeout, {pool.client_statement_timeout_s:g} s."
        case Outcome.CONNECTION_LOST if not pool.of_library.pool_pre_ping:
            return "Without a pre-ping a connection that died in the pool is used."
        case Outcome.CLIENT_TIMEOUT:
            return f"A client waits no longer than {summary.trial.story.client_timeout_s:g} s."
        case Outcome.OK | Outcome.CONNECT_ERROR | Outcome.CONNECTION_LOST | Outcome.ERROR:
            # No setting of the pool explains these.
            return ""
        case _:
            assert_never(outcome)


def _connect_limit(pool: PoolConfiguration) -> str:
    if pool.connection_timeout_s:
        return f"connection_timeout, {pool.connection_timeout_s:g} s"
    return f"{pool.runs_on}'s own limit for connecting, {pool.connection_limit_s:g} s an address"


def alert_sentence(leads_s: Sequence[float], *, comes: str = "comes") -> str:
    """How long before or after the first failure the alert comes; a negative lead means after it."""
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
    """Whether an alert on the pool's utilization would have come before the first failure."""
    failing = [summary for summary in woken if summary.first_failure_s is not None]
    seen = [summary for summary in failing if summary.saw_the_pool]
    leads_s = [summary.alert_lead_s for summary in seen if summary.alert_lead_s is not None]
    found = [f"An alert on 80% of the pool in use {alert_sentence(leads_s)}."] if leads_s else []
    silent = Counter(names[summary.trial.configuration] for summary in seen if summary.utilization_alert_s is None)
    if silent:
        trials = Counter(names[summary.trial.configuration] for summary in seen)
        configurations = [
            name if count == trials[name] else f"{name} (in {count} of {trials[name]} trials)"
            for name, count in silent.items()
        ]
        subject = "That alert" if leads_s else "An alert on 80% of the pool in use"
        found.append(
            f"{subject} never comes with {listed(configurations, most=MAX_TRIALS_NAMED)}, though requests fail."
        )
    return found


def _spread_percent(shares: Sequence[float]) -> str:
    """The smallest and the largest of sorted shares: `68 to 71%`, or one of them where they are the same."""
    # Rounded down: where one was not exact, it is not 100%.
    least, most = (math.floor(100 * share) for share in (shares[0], shares[-1]))
    return f"{least}%" if least == most else f"{least} to {most}%"


def doubts(summaries: Group, names: Names) -> list[str]:
    """Why these trials' numbers are not what they seem, a sentence each; none: they are."""

    def trials(group: Group) -> str:
        labels = [f"({names[summary.trial.configuration]}, {summary.trial.wake_label})" for summary in group]
        return listed(list(dict.fromkeys(labels)), most=MAX_TRIALS_NAMED)

    cut_short = [summary for summary in summaries if not summary.complete]
    found = []
    for reason, marked in by_reason(summaries).items():
        if reason not in (Reason.CUT_SHORT, Reason.NOT_AS_RECORDED):
            by_how_much = worst_of(reason, marked).sentence_end()
            found.append(
                f"Not a measurement (!): {trials(marked)}, because {reason.clause}{by_how_much}. {reason.advice}"
            )
    slow = [summary for summary in summaries if max(summary.wake_late_s.values(), default=0.0) > WAKE_LATE_S]
    if slow:
        worst = max(max(summary.wake_late_s.values()) for summary in slow)
        found.append(
            f"The machine was busy: the wake was injected up to {worst * 1000:.0f} ms late in {trials(slow)}. "
            "Run fewer trials at a time (--parallel)."
        )
    answered = [summary.answers for summary in summaries if sum(summary.answers.values())]
    if any(answers.get("exact", 0) < sum(answers.values()) for answers in answered):
        shares = sorted(answers.get("exact", 0) / sum(answers.values()) for answers in answered)
        found.append(
            f"Of the application's statements {_spread_percent(shares)} were answered exactly as recorded, the others "
            "as like ones were: right for the pool, not for what an application decides by its data."
        )
    for what in dict.fromkeys(what for summary in summaries for what in summary.not_played):
        did = [summary for summary in summaries if what in summary.not_played]
        times = sum(summary.not_played[what] for summary in did)
        often = "" if times == 1 else f", {times} times in all"
        found.append(f"Not to be relied on (!): {trials(did)}, because {what}{often}.")
    if cut_short:
        found.append(f"Cut short, so lower bounds only: {trials(cut_short)}.")
    return found
