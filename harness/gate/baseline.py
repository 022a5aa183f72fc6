"""A run compared with an earlier one, the baseline: request by request, on the arrivals that both met.

Configurations are found again by their settings. Where one is left on each side, those two are compared: that is a
pool whose settings were changed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.analysis import Run
from harness.analysis.effect import Effect, SeedEffect
from harness.analysis.judge import no_measurement
from harness.analysis.labels import wake_name
from harness.analysis.pairs import Requests
from harness.analysis.sentences import MAX_LISTED, listed
from harness.analysis.statistics import Measure, mean
from harness.gate.differing import seeds_in_words, what_differs
from harness.gate.verdict import Judged, Together, grouped, patience_of
from harness.model.objective import Objective
from harness.model.patience import Patience
from harness.model.summary import TrialSummary
from harness.model.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of a configuration at one wake since the baseline, over the seeds that both have."""

    configuration: str
    wake: str
    before: str
    """The baseline's configuration: the same settings, unless these were changed."""
    effect: Effect
    failed_before: int
    """Requests that were not answered within the patience, in the baseline."""
    same: bool
    """Whether every request ended exactly as in the baseline: in the same way, after the same time."""
    longer_s: Measure
    """How much longer, on average, a request that is ok in both takes now; negative: shorter; NaN: there is none."""
    values: dict[str, float]
    """Each objective's value in the baseline, over these seeds."""

    def to_json(self) -> dict[str, Any]:
        effect = self.effect
        return {
            "configuration": self.configuration, "wake": self.wake, "before": self.before, "same": self.same,
            "pairs": effect.requests, "saved": effect.saved, "lost": effect.lost, "verdict": effect.verdict.value,
            "seeds": len(effect.seeds), "better_in": effect.better_in, "worse_in": effect.worse_in,
            "chance": effect.chance, "longer_s": self.longer_s.to_json(), "values": self.values,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """A run beside its baseline."""

    baseline: str
    """The baseline's id."""
    differs: tuple[str, ...]
    """What the two runs differ in besides their pools, wakes and results."""
    changes: tuple[Change, ...]
    left_out: tuple[str, ...]
    """What is not compared, and why, a sentence each."""

    def change(self, judged: Judged) -> Change | None:
        """The comparison of this configuration at this wake; None: it was not compared."""
        key = (judged.configuration, judged.wake)
        return next((change for change in self.changes if (change.configuration, change.wake) == key), None)

    def to_json(self) -> dict[str, Any]:
        return {
            "baseline": self.baseline, "differs": list(self.differs), "left_out": list(self.left_out),
            "changes": [change.to_json() for change in self.changes],
        }  # fmt: skip


def against(before: Run, now: Run, objectives: Sequence[Objective], *, patience: Patience | None) -> Against:
    """Compare a run with its baseline on the seeds, wakes and arrivals that both have."""
    changes, left_out = [], []
    old = grouped(before.trials)
    new = grouped(now.trials)
    for wake in dict.fromkeys(wake for wake, _ in new):
        old_here = {name: trials for (at, name), trials in old.items() if at == wake}
        new_here = {name: trials for (at, name), trials in new.items() if at == wake}
        if not old_here:
            known = listed(list(dict.fromkeys(at for at, _ in old)), most=MAX_LISTED)
            left_out.append(f"{wake}: not compared, the baseline has no such wake (it has {known}).")
            continue
        same = _found_again(old_here, new_here)
        for name, trials in new_here.items():
            if name not in same:
                known = listed(list(old_here), most=MAX_LISTED)
                left_out.append(f"{wake}, {name}: not compared, the baseline has no such pool (it has {known}).")
                continue
            found = _compared(before, old_here[same[name]], now, trials, objectives, patience)
            if isinstance(found, str):
                left_out.append(f"{wake}, {name}: not compared, {found}.")
            else:
                changes.append(found)
    return Against(
        baseline=before.manifest.id,
        differs=tuple(what_differs(before, now)),
        changes=tuple(changes),
        left_out=tuple(left_out),
    )


def _found_again(old: dict[str, list[Trial]], new: dict[str, list[Trial]]) -> dict[str, str]:
    """For each configuration's name, its name in the baseline; within a variant of the story."""
    found: dict[str, str] = {}
    for name, trials in new.items():
        alike = (before for before, others in old.items() if _settings(others) == _settings(trials))
        if (before := next(alike, None)) is not None:
            found[name] = before
    for variant in dict.fromkeys(trials[0].variant for trials in new.values()):
        left = [name for name, trials in new.items() if name not in found and trials[0].variant == variant]
        others = [
            name for name, trials in old.items() if name not in found.values() and trials[0].variant == variant
        ]  # fmt: skip
        if len(left) == len(others) == 1:
            found[left[0]] = others[0]
    return found


def _settings(trials: Sequence[Trial]) -> object:
    return trials[0].variant, trials[0].pool.resolved


def _compared(
    before: Run,
    old: Iterable[Trial],
    now: Run,
    new: Iterable[Trial],
    objectives: Sequence[Objective],
    patience: Patience | None,
) -> Change | str:
    """The comparison, or why there is none."""
    old_by_seed, new_by_seed = _by_seed(before, old), _by_seed(now, new)
    seeds = [seed for seed in new_by_seed if seed in old_by_seed]
    if not seeds:
        return "no seed was played in both"
    if doubt := no_measurement([old_by_seed[seed] for seed in seeds]):
        return f"the baseline is no measurement: {doubt}"
    if doubt := no_measurement([new_by_seed[seed] for seed in seeds]):
        return f"this run is no measurement: {doubt}"
    patience_s = patience_of(new_by_seed[seeds[0]].trial, patience).seconds
    pairs, longer_s, same, failed, others = [], [], True, 0, set[int]()
    for seed in seeds:
        first = Requests.of(before, old_by_seed[seed].trial, patience_s=patience_s)
        second = Requests.of(now, new_by_seed[seed].trial, patience_s=patience_s)
        if not second.met_the_same_as(first):
            others.add(seed)
            continue
        pairs.append(SeedEffect.of(seed, first.answered, second.answered))
        failed += int(np.count_nonzero(~first.answered))
        same = same and second.ended_as(first)
        # Latencies of failed requests are no answer times, so only requests that are ok in both count.
        longer_s.append((second.latency_s - first.latency_s)[first.ok & second.ok])
    if others:
        # Paired by number, they would be other requests.
        return f"the arrivals are others (seed {seeds_in_words(others)})"
    summaries = [old_by_seed[seed] for seed in seeds]
    return Change(
        configuration=new_by_seed[seeds[0]].trial.configuration,
        wake=wake_name(new_by_seed[seeds[0]].trial),
        before=summaries[0].trial.configuration,
        effect=Effect(tuple(pairs)),
        failed_before=failed,
        same=same,
        longer_s=mean(longer_s),
        values={str(one): one.value(Together(summaries), patience_s) for one in objectives},
    )


def _by_seed(run: Run, trials: Iterable[Trial]) -> dict[int, TrialSummary]:
    numbers = {trial.number for trial in trials}
    return {summary.trial.seed: summary for summary in run.summaries if summary.trial.number in numbers}
