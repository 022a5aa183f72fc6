"""Pool configurations beside each other, over the seeds of a run and over runs: measures, and paired differences."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Self

import numpy as np
import pyarrow.compute as pc

from harness.analysis.columns import by_instance, numbers, there
from harness.analysis.load import Run
from harness.analysis.statistics import Measure, mean, quantiles, rate, sign_test
from harness.model.outcomes import FAILURES, Outcome
from harness.model.pool import PoolConfiguration
from harness.model.status import RunStatus
from harness.model.summary import TrialSummary
from harness.model.trial import Trial

QUANTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0}
OTHER_TIMEOUTS = tuple(outcome for outcome in Outcome if outcome.is_timeout and outcome is not Outcome.POOL_TIMEOUT)
SIGNIFICANT = 0.05
TELLING_S = 0.01
"""Nobody chooses a pool for less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One configuration meeting one wake in one run, over all its seeds. Durations in seconds."""

    run: str
    stack: str
    wake: str
    latency: str
    """The wake's latency in words; empty: a control."""
    configuration: str
    pool: PoolConfiguration
    variant: str
    trials: int
    requests: int
    failures: Measure
    """Requests that did not end ok, as a share."""
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

    @property
    def is_control(self) -> bool:
        return not self.latency

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Two configurations that met the same arrivals, request by request, at one wake of one run."""

    run: str
    wake: str
    baseline: str
    other: str
    pairs: int
    saved: int
    """Requests that fail with the baseline and are ok with the other."""
    lost: int
    """The reverse."""
    chance: float
    """How likely a difference as large is by chance alone."""
    longer_s: Measure
    """By how much a request takes longer with the other, in the mean of all pairs; negative: shorter."""

    @property
    def is_one(self) -> bool:
        return self.chance < SIGNIFICANT

    @property
    def is_none(self) -> bool:
        """Whether every request ended alike."""
        return self.saved == self.lost == 0

    def sentence(self) -> str:
        """In words, what is and what is not a difference."""
        if self.is_none:
            return f"{self.wake}: {self.other} loses exactly the requests that {self.baseline} loses{self._mean()}."
        counts = f"of {self.pairs} requests {self.saved} are saved and {self.lost} are lost"
        if not self.is_one:
            words = f"{self.wake}: {self.other} against {self.baseline}: {counts}"
            return f"{words}; that can be chance (p = {self.chance:.2f})."
        better = "better" if self.saved > self.lost else "worse"
        return f"{self.wake}: {self.other} is {better} than {self.baseline}: {counts}{self._mean()}."

    def _mean(self) -> str:
        """What the mean latency says, where the interval over the seeds leaves no doubt on which side of 0 it is."""
        found = self.longer_s
        if found.low is None or found.high is None or found.low <= 0 <= found.high or abs(found.value) < TELLING_S:
            return ""
        longer = "longer" if found.value > 0 else "shorter"
        low, high = sorted((abs(found.low), abs(found.high)))
        return f"; a request takes {abs(found.value):.2f} s {longer} on average ({low:.2f}–{high:.2f})"

    def to_json(self) -> dict[str, Any]:
        return {
            "run": self.run, "wake": self.wake, "baseline": self.baseline, "other": self.other, "pairs": self.pairs,
            "saved": self.saved, "lost": self.lost, "chance": self.chance, "is_a_difference": self.is_one,
            "longer_s": self.longer_s.to_json(),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `coldstart compare` says."""

    lines: list[Line]
    differences: list[Difference]
    doubts: list[str]

    def sentences(self) -> list[str]:
        """What is and what is not a difference, those that are none at all in one sentence a wake."""
        said = []
        for (_, wake), some in groupby(self.differences, key=lambda one: (one.run, one.wake)):
            of_wake = list(some)
            same = [one.other for one in of_wake if one.is_none]
            if len(same) > 1:
                said.append(f"{wake}: {', '.join(same)} lose exactly the requests that {of_wake[0].baseline} loses.")
            said += [one.sentence() for one in of_wake if not one.is_none or len(same) == 1]
        return said

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

    def key(one: TrialSummary) -> tuple[bool, float, str, str]:
        return one.trial.is_control, one.trial.wake_latency_s or 0.0, wake_name(one), one.trial.configuration

    order = {name: number for number, name in enumerate(dict.fromkeys(trial.configuration for trial in run.trials))}
    ordered = sorted(run.summaries, key=lambda one: (*key(one)[:3], order[one.trial.configuration]))
    for found, some in groupby(ordered, key=lambda one: (wake_name(one), one.trial.configuration)):
        yield *found, list(some)


def wake_name(one: TrialSummary) -> str:
    """Several seeds of a profile draw several latencies; what they have in common is its distribution."""
    wake = one.trial.wake
    if wake is None:
        return "awake (control)"
    return one.trial.wake_label if not wake.can_sleep else f"{wake.name}, {wake.latency}, {wake.on_suspend}"


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
            latency="" if some[0].trial.wake is None else str(some[0].trial.wake.latency),
            configuration=configuration, pool=some[0].trial.pool, variant=some[0].trial.scenario.variant,
            trials=len(some), requests=requests,
            failures=rate(sum(one.failed for one in some), requests),
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
    """Each configuration against the run's first, over the same arrivals of the same seeds."""
    groups = [group for group in _groups(run) if not group[2][0].trial.is_control]
    for wake, of_wake in groupby(groups, key=lambda group: group[0]):
        (_, baseline, first), *others = of_wake
        before = {one.trial.seed: _Met.of(run, one.trial) for one in first} if others else {}
        for _, other, some in others:
            saved = lost = 0
            longer_s = []
            for one in some:
                if one.trial.seed not in before:
                    continue
                old, new = before[one.trial.seed], _Met.of(run, one.trial)
                mine, theirs = old.both(new)
                saved += int(np.count_nonzero(~old.ok[mine] & new.ok[theirs]))
                lost += int(np.count_nonzero(old.ok[mine] & ~new.ok[theirs]))
                longer_s.append(new.latency_s[theirs] - old.latency_s[mine])
            yield Difference(
                run=run.folder.name, wake=wake, baseline=baseline, other=other, pairs=sum(map(len, longer_s)),
                saved=saved, lost=lost, chance=sign_test(saved, lost), longer_s=mean(longer_s),
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
