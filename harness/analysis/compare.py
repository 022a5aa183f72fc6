"""Comparison of pool configurations, over the seeds of a run and over runs: measures and paired differences."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from harness.analysis.columns import by_instance, is_word, non_empty, numbers
from harness.analysis.decision import Decision, decide
from harness.analysis.differences import Difference, differences_in_words
from harness.analysis.effect import Effect, SeedEffect
from harness.analysis.labels import Names, wake_name
from harness.analysis.load import Run
from harness.analysis.measured import by_reason, marked_trials
from harness.analysis.pairs import Requests
from harness.analysis.sentences import answered_within, plural
from harness.analysis.statistics import Measure, mean, quantiles, rate
from harness.model.doubt import Reason
from harness.model.outcomes import FAILURES, Outcome
from harness.model.pool import PoolConfiguration
from harness.model.status import RunStatus
from harness.model.summary import TrialSummary

MAX_MARKED = 3
"""How many trials that are no measurement are named; of the others the number is given."""
QUANTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0}
OTHER_TIMEOUTS = tuple(outcome for outcome in Outcome if outcome.is_timeout and outcome is not Outcome.POOL_TIMEOUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The results of one configuration at one wake of one run, over all its seeds. Durations are in seconds."""

    run: str
    stack: str
    wake: str
    is_control: bool
    configuration: str
    pool: PoolConfiguration
    variant: str
    trials: int
    requests: int
    failed: int
    failures: Measure
    """The share of the requests that failed."""
    patience_s: float | None
    """How long an answer is worth having; None: any answer is."""
    unanswered: int
    """Requests that were not answered within the patience; without one, those that failed."""
    answered: Measure | None
    """The share of the requests that were answered within the patience."""
    rates: dict[Outcome, Measure]
    """The share of the requests that ended with each failure outcome; pool_timeout: the pool was exhausted."""
    timeouts: Measure
    """The share of the requests that ended with a timeout other than pool_timeout."""
    latency_s: dict[str, Measure]
    checkout_p95_s: Measure
    first_ok_s: float | None
    """When the first request was answered after the wake, from the start of the burst.

    This and the next two are means over the seeds.
    """
    recovered_s: float | None
    alert_lead_s: float | None
    peak_connections: int | None
    """None, as the next one: no trial's pool was seen."""
    held_s: float | None
    """Connection-seconds: the pool's size, integrated over the time of a trial; the mean over the seeds."""

    def to_json(self) -> dict[str, Any]:
        return {
            "run": self.run, "stack": self.stack, "wake": self.wake, "configuration": self.configuration,
            "trials": self.trials, "requests": self.requests, "failures": self.failures.to_json(),
            "rates": {outcome.value: measure.to_json() for outcome, measure in self.rates.items()},
            "latency_s": {name: measure.to_json() for name, measure in self.latency_s.items()},
            "checkout_p95_s": self.checkout_p95_s.to_json(), "first_ok_s": self.first_ok_s,
            "recovered_s": self.recovered_s, "alert_lead_s": self.alert_lead_s,
            "peak_connections": self.peak_connections, "held_s": self.held_s,
            **({} if self.answered is None else {
                "patience_s": self.patience_s, "answered_within": self.answered.to_json(),
            }),
        }  # fmt: skip

    def to_row(self) -> dict[str, Any]:
        """The line as a flat row of the CSV file."""
        row = {
            "run": self.run, "stack": self.stack, "wake": self.wake, "configuration": self.configuration,
            "trials": self.trials, "requests": self.requests,
        }  # fmt: skip
        measures = {"failures": self.failures, "exhaustion": self.rates[Outcome.POOL_TIMEOUT]}
        measures |= {outcome.value: self.rates[outcome] for outcome in FAILURES if outcome is not Outcome.POOL_TIMEOUT}
        measures |= {f"latency_{name}_s": measure for name, measure in self.latency_s.items()}
        measures["checkout_wait_p95_s"] = self.checkout_p95_s
        if self.answered is not None:
            measures["answered_within"] = self.answered
        for name, measure in measures.items():
            row |= {name: measure.value, f"{name}_low": measure.low, f"{name}_high": measure.high}
        return row | {
            "first_ok_s": self.first_ok_s, "recovered_s": self.recovered_s, "alert_lead_s": self.alert_lead_s,
            "peak_connections": self.peak_connections, "connection_seconds": self.held_s,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of `coldstart compare`."""

    lines: list[Line]
    differences: list[Difference]
    doubts: list[str]
    decisions: dict[str, Decision]
    """What to set, as far as each run shows it, by the run's name."""

    def sentences(self) -> list[str]:
        """The differences in words, and between which configurations there is none."""
        return list(differences_in_words(self.differences))

    def to_json(self) -> dict[str, Any]:
        return {
            "configurations": [line.to_json() for line in self.lines],
            "differences": [difference.to_json() for difference in self.differences],
            "doubts": self.doubts,
        }


def compare(runs: Sequence[Run]) -> Comparison:
    """Compare the configurations of every run. Runs stand beside each other; their data are never merged."""
    lines = [line for run in runs for line in _lines(run)]
    differences = [difference for run in runs for difference in _differences(run)]
    return Comparison(lines, differences, _doubts(runs), {run.folder.name: decide(run) for run in runs})


def _groups(run: Run) -> Iterator[tuple[str, str, list[TrialSummary]]]:
    """The trials of each wake and configuration, the controls last."""
    configurations = {
        name: position for position, name in enumerate(dict.fromkeys(trial.configuration for trial in run.trials))
    }
    wakes = sorted(
        {wake_name(summary.trial): summary.trial for summary in run.summaries}.items(),
        key=lambda named: (named[1].is_control, named[1].wake_latency_s or 0.0, named[0]),
    )
    positions = {name: position for position, (name, _) in enumerate(wakes)}

    def key(summary: TrialSummary) -> tuple[int, int]:
        return positions[wake_name(summary.trial)], configurations[summary.trial.configuration]

    for _, group in groupby(sorted(run.summaries, key=key), key=key):
        summaries = list(group)
        yield wake_name(summaries[0].trial), summaries[0].trial.configuration, summaries


def _lines(run: Run) -> Iterator[Line]:
    latencies = {summary.trial.number: np.asarray(summary.latencies_s) for summary in run.summaries}
    waits = {
        summary.trial.number: non_empty(run.rows(summary.trial, "requests"), "checkout_s") for summary in run.summaries
    }
    first_ok_s = _first_ok(run)
    held_s = _held(run)
    for wake, configuration, summaries in _groups(run):
        numbers = [summary.trial.number for summary in summaries]
        requests = sum(summary.requests for summary in summaries)
        failed = sum(summary.failed for summary in summaries)
        unanswered = sum(summary.unanswered for summary in summaries)
        counts = {outcome: sum(summary.count(outcome) for summary in summaries) for outcome in Outcome}
        trials = [latencies[number] for number in numbers if number in latencies]
        yield Line(
            run=run.folder.name, stack=run.manifest.stack, wake=wake,
            is_control=summaries[0].trial.is_control,
            configuration=configuration, pool=summaries[0].trial.pool, variant=summaries[0].trial.variant,
            trials=len(summaries), requests=requests,
            failed=failed, failures=rate(failed, requests),
            patience_s=summaries[0].patience_s, unanswered=unanswered,
            answered=None if summaries[0].patience_s is None else rate(requests - unanswered, requests),
            rates={outcome: rate(counts[outcome], requests) for outcome in FAILURES},
            timeouts=rate(sum(counts[outcome] for outcome in OTHER_TIMEOUTS), requests),
            latency_s={
                **dict(zip(QUANTILES, quantiles(trials, list(QUANTILES.values())), strict=True)),
                # Resampling gives no useful interval for a maximum.
                "max": Measure(max((float(trial.max()) for trial in trials), default=float("nan"))),
            },
            checkout_p95_s=quantiles([waits[number] for number in numbers if number in waits], [95.0])[0],
            first_ok_s=_mean([first_ok_s.get(number) for number in numbers]),
            recovered_s=_mean([summary.recovered_after_s for summary in summaries]),
            alert_lead_s=_mean([summary.alert_lead_s for summary in summaries]),
            peak_connections=max(
                (summary.peak_checked_out for summary in summaries if summary.peak_checked_out is not None),
                default=None,
            ),
            held_s=_mean([held_s.get(number) for number in numbers]),
        )  # fmt: skip


def _first_ok(run: Run) -> dict[int, float]:
    """When each trial's first request after its wake was answered, by trial number, in seconds."""
    first_ok_s = {}
    for summary in run.summaries:
        if summary.woke_after_s is None:
            continue
        rows = run.rows(summary.trial, "requests")
        end_s = numbers(rows, "end_s")
        answered = end_s[(end_s >= summary.woke_after_s) & is_word(rows["outcome"], Outcome.OK)]
        if answered.size:
            first_ok_s[summary.trial.number] = float(answered.min())
    return first_ok_s


def _held(run: Run) -> dict[int, float]:
    """Connection-seconds of each trial, by trial number: its pool's size over time; a sample holds until the next.

    Not of one whose pool was not seen.
    """
    held_s: dict[int, float] = {}
    for summary in run.summaries:
        pools = by_instance(run.rows(summary.trial, "pool"))
        if not pools:
            continue
        held_s[summary.trial.number] = sum(
            float(np.sum(np.diff(numbers(pool, "at_s")) * numbers(pool, "size")[:-1])) for pool in pools
        )
    return held_s


def _differences(run: Run) -> Iterator[Difference]:
    """Compare each configuration, seed by seed, with the first that met the same arrivals and the same wake."""
    several_pools = len({trial.pool for trial in run.trials}) > 1

    def same_arrivals(group: tuple[str, str, list[TrialSummary]]) -> tuple[Any, ...]:
        # Pools are compared within a story: two variants may be two loads.
        trial = group[2][0].trial
        return group[0], trial.story.bursts, trial.variant if several_pools else ""

    comparable: dict[tuple[Any, ...], list[tuple[str, str, list[TrialSummary]]]] = {}
    for group in _groups(run):
        if not group[2][0].trial.is_control:
            comparable.setdefault(same_arrivals(group), []).append(group)
    for (wake, baseline, baseline_summaries), *others in comparable.values():
        before = (
            {
                summary.trial.seed: Requests.of(run, summary.trial, patience_s=summary.patience_s)
                for summary in baseline_summaries
            }
            if others
            else {}
        )
        for _, other, summaries in others:
            pairs: list[SeedEffect] = []
            failed = 0
            longer_s = []
            for summary in summaries:
                if summary.trial.seed not in before:
                    continue
                old, new = before[summary.trial.seed], Requests.of(run, summary.trial, patience_s=summary.patience_s)
                mine, theirs = old.both(new)
                pairs.append(SeedEffect.of(summary.trial.seed, old.answered[mine], new.answered[theirs]))
                failed += int(np.count_nonzero(~old.answered[mine]))
                # Latencies of failed requests are no answer times, so only requests that are ok with both count.
                both_ok = old.ok[mine] & new.ok[theirs]
                longer_s.append((new.latency_s[theirs] - old.latency_s[mine])[both_ok])
            yield Difference(
                run=run.folder.name, wake=wake, baseline=baseline, other=other, effect=Effect(tuple(pairs)),
                failed=failed, longer_s=mean(longer_s),
                answered=answered_within(one.patience_s for one in (*baseline_summaries, *summaries)),
            )  # fmt: skip


def effect_of(run: Run, before: Sequence[TrialSummary], after: Sequence[TrialSummary]) -> Effect:
    """What the change from one configuration to another saves and loses, request by request, of the seeds both met."""
    old = {summary.trial.seed: Requests.of(run, summary.trial, patience_s=summary.patience_s) for summary in before}
    pairs = []
    for summary in after:
        if summary.trial.seed in old:
            new = Requests.of(run, summary.trial, patience_s=summary.patience_s)
            mine, theirs = old[summary.trial.seed].both(new)
            answered = old[summary.trial.seed].answered[mine], new.answered[theirs]
            pairs.append(SeedEffect.of(summary.trial.seed, *answered))
    return Effect(tuple(pairs))


def _doubts(runs: Sequence[Run]) -> list[str]:
    """The reasons why the numbers of these runs can't be compared directly, a sentence each."""
    doubts = []
    names = Names.of(trial for run in runs for trial in run.trials)
    for run in runs:
        if run.manifest.status is not RunStatus.COMPLETE:
            doubts.append(f"{run.folder.name} is {run.manifest.status}: what it measured until then is compared.")
        for reason, marked in by_reason(run.summaries).items():
            if reason is not Reason.CUT_SHORT or run.manifest.status is RunStatus.COMPLETE:
                where = f"{plural(len(marked), 'trial')} ({marked_trials(marked, names, most=MAX_MARKED)})"
                doubts.append(f"{run.folder.name}: in {where} {reason.clause}; not a measurement. {reason.advice}")
    conditions = {
        "stacks": [run.manifest.stack for run in runs],
        "machines": [str(run.manifest.machine) for run in runs],
        "versions": [str(run.manifest.versions) for run in runs],
        "scenarios": [run.scenario.name for run in runs],
    }
    return doubts + [
        f"The runs were made with different {what}." for what, values in conditions.items() if len(set(values)) > 1
    ]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
