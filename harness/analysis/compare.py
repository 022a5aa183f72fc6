"""Pool configurations beside each other, over the seeds of a run and over runs: measures, and paired differences."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Self

import numpy as np
import pyarrow.compute as pc

from harness.analysis.columns import by_instance, numbers, there
from harness.analysis.differences import Difference, differences_in_words
from harness.analysis.effect import Effect, SeedEffect
from harness.analysis.labels import wake_name
from harness.analysis.load import Run
from harness.analysis.statistics import Measure, mean, quantiles, rate
from harness.model.outcomes import FAILURES, Outcome
from harness.model.pool import PoolConfiguration
from harness.model.status import RunStatus
from harness.model.summary import TrialSummary
from harness.model.trial import Trial

QUANTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0}
OTHER_TIMEOUTS = tuple(outcome for outcome in Outcome if outcome.is_timeout and outcome is not Outcome.POOL_TIMEOUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One configuration meeting one wake in one run, over all its seeds. Durations in seconds."""

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
    """The same, as a share of the requests."""
    rates: dict[Outcome, Measure]
    """Each way to fail, as a share of the requests; pool_timeout is the exhaustion."""
    timeouts: Measure
    """All timeouts but the pool's, as a share."""
    latency_s: dict[str, Measure]
    checkout_p95_s: Measure
    first_ok_s: float | None
    """The first answer after the wake, from the start of the burst; the mean over the seeds, as the next two."""
    recovered_s: float | None
    alert_lead_s: float | None
    peak_connections: int
    held_s: float
    """Connection-seconds: what the pool held, summed over the time of a trial; the mean over the seeds."""

    def to_json(self) -> dict[str, Any]:
        return {
            "run": self.run, "stack": self.stack, "wake": self.wake, "configuration": self.configuration,
            "trials": self.trials, "requests": self.requests, "failures": self.failures.to_json(),
            "rates": {outcome.value: measure.to_json() for outcome, measure in self.rates.items()},
            "latency_s": {name: measure.to_json() for name, measure in self.latency_s.items()},
            "checkout_p95_s": self.checkout_p95_s.to_json(), "first_ok_s": self.first_ok_s,
            "recovered_s": self.recovered_s, "alert_lead_s": self.alert_lead_s,
            "peak_connections": self.peak_connections, "held_s": self.held_s,
        }  # fmt: skip

    def to_row(self) -> dict[str, Any]:
        """The same, flat: a row of the CSV file."""
        row = {
            "run": self.run, "stack": self.stack, "wake": self.wake, "configuration": self.configuration,
            "trials": self.trials, "requests": self.requests,
        }  # fmt: skip
        measures = {"failures": self.failures, "exhaustion": self.rates[Outcome.POOL_TIMEOUT]}
        measures |= {outcome.value: self.rates[outcome] for outcome in FAILURES if outcome is not Outcome.POOL_TIMEOUT}
        measures |= {f"latency_{name}_s": measure for name, measure in self.latency_s.items()}
        measures["checkout_wait_p95_s"] = self.checkout_p95_s
        for name, measure in measures.items():
            row |= {name: measure.value, f"{name}_low": measure.low, f"{name}_high": measure.high}
        return row | {
            "first_ok_s": self.first_ok_s, "recovered_s": self.recovered_s, "alert_lead_s": self.alert_lead_s,
            "peak_connections": self.peak_connections, "connection_seconds": self.held_s,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `coldstart compare` says."""

    lines: list[Line]
    differences: list[Difference]
    doubts: list[str]

    def sentences(self) -> list[str]:
        """What is and what is not a difference."""
        return list(differences_in_words(self.differences))

    def to_json(self) -> dict[str, Any]:
        return {
            "configurations": [line.to_json() for line in self.lines],
            "differences": [one.to_json() for one in self.differences],
            "doubts": self.doubts,
        }


def compare(runs: Sequence[Run]) -> Comparison:
    """Every run's configurations. Runs are put beside each other and never pooled."""
    lines = [line for run in runs for line in _lines(run)]
    differences = [one for run in runs for one in _differences(run)]
    return Comparison(lines, differences, _doubts(runs))


def _groups(run: Run) -> Iterator[tuple[str, str, list[TrialSummary]]]:
    """The trials of each wake and configuration, the controls last."""
    configurations = {name: place for place, name in enumerate(dict.fromkeys(one.configuration for one in run.trials))}
    wakes = sorted(
        {wake_name(summary.trial): summary.trial for summary in run.summaries}.items(),
        key=lambda named: (named[1].is_control, named[1].wake_latency_s or 0.0, named[0]),
    )
    places = {name: place for place, (name, _) in enumerate(wakes)}

    def key(summary: TrialSummary) -> tuple[int, int]:
        return places[wake_name(summary.trial)], configurations[summary.trial.configuration]

    for _, some in groupby(sorted(run.summaries, key=key), key=key):
        met = list(some)
        yield wake_name(met[0].trial), met[0].trial.configuration, met


def _lines(run: Run) -> Iterator[Line]:
    latencies = {one.trial.number: np.asarray(one.latencies_s) for one in run.summaries}
    waits = {one.trial.number: there(run.rows(one.trial, "requests"), "checkout_s") for one in run.summaries}
    first = _first_ok(run)
    held = _held(run)
    for wake, configuration, some in _groups(run):
        numbers = [one.trial.number for one in some]
        requests = sum(one.requests for one in some)
        trials = [latencies[number] for number in numbers if number in latencies]
        yield Line(
            run=run.folder.name, stack=run.manifest.stack, wake=wake,
            is_control=some[0].trial.is_control,
            configuration=configuration, pool=some[0].trial.pool, variant=some[0].trial.variant,
            trials=len(some), requests=requests,
            failed=sum(one.failed for one in some), failures=rate(sum(one.failed for one in some), requests),
            rates={outcome: rate(sum(one.count(outcome) for one in some), requests) for outcome in FAILURES},
            timeouts=rate(sum(one.count(outcome) for one in some for outcome in OTHER_TIMEOUTS), requests),
            latency_s={
                **dict(zip(QUANTILES, quantiles(trials, list(QUANTILES.values())), strict=True)),
                # Resampling says nothing about a maximum.
                "max": Measure(max((float(one.max()) for one in trials), default=float("nan"))),
            },
            checkout_p95_s=quantiles([waits[number] for number in numbers if number in waits], [95.0])[0],
            first_ok_s=_mean([first.get(number) for number in numbers]),
            recovered_s=_mean([one.recovered_after_s for one in some]),
            alert_lead_s=_mean([one.alert_lead_s for one in some]),
            peak_connections=max(one.peak_checked_out for one in some),
            held_s=_mean([held.get(number, 0.0) for number in numbers]) or 0.0,
        )  # fmt: skip


def _first_ok(run: Run) -> dict[int, float]:
    """When each trial's first request was answered after its wake."""
    found = {}
    for one in run.summaries:
        if one.woke_after_s is None:
            continue
        rows = run.rows(one.trial, "requests")
        end_s = numbers(rows, "end_s")
        answered = end_s[(end_s >= one.woke_after_s) & pc.equal(rows["outcome"], Outcome.OK.value).to_numpy()]
        if answered.size:
            found[one.trial.number] = float(answered.min())
    return found


def _held(run: Run) -> dict[int, float]:
    """Connection-seconds of each trial: its pool's size over time, each sample holding until the next."""
    found: dict[int, float] = {}
    for one in run.summaries:
        pools = by_instance(run.rows(one.trial, "pool"))
        found[one.trial.number] = sum(
            float(np.sum(np.diff(numbers(pool, "at_s")) * numbers(pool, "size")[:-1])) for pool in pools
        )
    return found


@dataclass(frozen=True, slots=True)
class _Met:
    """What one trial's requests met, in the order of their numbers."""

    number: np.ndarray
    ok: np.ndarray
    latency_s: np.ndarray

    @classmethod
    def of(cls, run: Run, trial: Trial) -> Self:
        rows = run.rows(trial, "requests")
        number = numbers(rows, "number")
        order = np.argsort(number, kind="stable")
        ok = pc.equal(rows["outcome"], Outcome.OK.value).to_numpy()
        return cls(number[order], ok[order], numbers(rows, "latency_s")[order])

    def both(self, other: "_Met") -> tuple[np.ndarray, np.ndarray]:
        """Where in each the requests are that both have: all, unless one was cut short."""
        _, mine, theirs = np.intersect1d(self.number, other.number, assume_unique=True, return_indices=True)
        return mine, theirs


def _differences(run: Run) -> Iterator[Difference]:
    """Each configuration against the first that met the same arrivals at the same wake, seed by seed."""
    several_pools = len({trial.pool for trial in run.trials}) > 1

    def same_arrivals(group: tuple[str, str, list[TrialSummary]]) -> tuple[Any, ...]:
        # Pools are compared within a story: two variants may be two loads.
        trial = group[2][0].trial
        return group[0], trial.story.bursts, trial.variant if several_pools else ""

    comparable: dict[tuple[Any, ...], list[tuple[str, str, list[TrialSummary]]]] = {}
    for group in _groups(run):
        if not group[2][0].trial.is_control:
            comparable.setdefault(same_arrivals(group), []).append(group)
    for (wake, baseline, first), *others in comparable.values():
        before = {summary.trial.seed: _Met.of(run, summary.trial) for summary in first} if others else {}
        for _, other, some in others:
            pairs: list[SeedEffect] = []
            failed = 0
            longer_s = []
            for summary in some:
                if summary.trial.seed not in before:
                    continue
                old, new = before[summary.trial.seed], _Met.of(run, summary.trial)
                mine, theirs = old.both(new)
                pairs.append(SeedEffect.of(summary.trial.seed, old.ok[mine], new.ok[theirs]))
                failed += int(np.count_nonzero(~old.ok[mine]))
                # A request that fails sooner or later than before is no quicker or slower answer.
                both_ok = old.ok[mine] & new.ok[theirs]
                longer_s.append((new.latency_s[theirs] - old.latency_s[mine])[both_ok])
            yield Difference(
                run=run.folder.name, wake=wake, baseline=baseline, other=other, effect=Effect(tuple(pairs)),
                failed=failed, longer_s=mean(longer_s),
            )  # fmt: skip


def _doubts(runs: Sequence[Run]) -> list[str]:
    """What keeps these runs from being compared number by number."""
    said = []
    for run in runs:
        if run.manifest.status is not RunStatus.COMPLETE:
            said.append(f"{run.folder.name} is {run.manifest.status}: what it measured until then is compared.")
        if late := [one for one in run.summaries if not one.kept_schedule]:
            said.append(f"{run.folder.name}: in {len(late)} trials the load generator was late; not a measurement.")
    told = {
        "stacks": [run.manifest.stack for run in runs],
        "machines": [str(run.manifest.machine) for run in runs],
        "versions": [str(run.manifest.versions) for run in runs],
        "scenarios": [run.scenario.name for run in runs],
    }
    return said + [f"The runs were made with different {what}." for what, kept in told.items() if len(set(kept)) > 1]


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None
