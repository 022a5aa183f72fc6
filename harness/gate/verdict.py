"""Verdicts on objectives: met, missed, or unknown; unknown is never a pass.

The rule: an objective is met when the requests of all seeds together meet it. Seeds are samples of the same question,
so one of them may miss it, and the verdict says how many do.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

from harness.analysis.judge import no_measurement
from harness.analysis.labels import wake_name
from harness.analysis.sentences import plural
from harness.model.objective import Objective
from harness.model.outcomes import Outcome
from harness.model.patience import Patience
from harness.model.summary import TrialSummary
from harness.model.trial import Trial

RULE = "An objective is met when the requests of all seeds together meet it."


class Verdict(StrEnum):
    MISSED = "missed"
    UNKNOWN = "unknown"
    """Not played, cut short, or no measurement. Never shown as a pass."""
    MET = "met"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Missed where one is, else unknown where one is, or where there is none at all."""
    found = set(verdicts)
    return next((verdict for verdict in Verdict if verdict in found), Verdict.UNKNOWN)


@dataclass(frozen=True)
class Together:
    """The requests of several trials as those of one: the `Answers` of an objective."""

    trials: Sequence[TrialSummary]

    @property
    def requests(self) -> int:
        return sum(trial.requests for trial in self.trials)

    @cached_property
    def latencies_s(self) -> list[float]:
        return [latency_s for trial in self.trials for latency_s in trial.latencies_s]

    def count(self, outcome: Outcome) -> int:
        return sum(trial.count(outcome) for trial in self.trials)

    def answered(self, within_s: float) -> int:
        return sum(trial.answered(within_s) for trial in self.trials)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The verdict on one objective for one configuration at one wake, over all its seeds."""

    objective: Objective
    configuration: str
    wake: str
    verdict: Verdict
    value: float = math.nan
    """The measured share or seconds; NaN where the verdict is unknown."""
    requests: int = 0
    seeds: int
    """How many were to be played."""
    missed_in: int = 0
    """In how many of them the objective is missed by that seed's own requests."""
    patience: Patience
    why: str = ""
    """Why the verdict is unknown."""
    before: float | None = None
    """The baseline's value on the same arrivals; None: it was not compared on all of them."""

    @property
    def measured(self) -> str:
        """`2.5% (5 of 200)`, `12.4 s`; of what is unknown `–`."""
        return self.shown(self.value)

    def shown(self, value: float) -> str:
        """A value of the objective's measure; a share also as a count of these requests."""
        if math.isnan(value):
            return "–"
        text = self.objective.shown(value)
        return f"{text} ({round(value * self.requests)} of {self.requests})" if self.objective.is_share else text

    @property
    def in_seeds(self) -> str:
        """`missed in 2 of 5 seeds`; empty where there is one, whose verdict is the verdict."""
        if self.verdict is Verdict.UNKNOWN or self.seeds == 1:
            return ""
        return f"missed in {self.missed_in or 'none'} of {plural(self.seeds, 'seed')}"

    @property
    def seeds_missed(self) -> str:
        """`2 of 5`, for a column; of what is unknown `–`."""
        return "–" if self.verdict is Verdict.UNKNOWN else f"{self.missed_in} of {self.seeds}"

    @property
    def sentence(self) -> str:
        """`10+5, wake 12 s: failed<1% is missed, it is 7.5% (15 of 200); missed in 3 of 5 seeds`."""
        what = f"{self.configuration}, {self.wake}: {self.objective} is {self.verdict}"
        if self.verdict is Verdict.UNKNOWN:
            return f"{what}: {self.why}"
        return "; ".join(filter(None, [f"{what}, it is {self.measured}", self.in_seeds]))

    def to_json(self) -> dict[str, Any]:
        known = self.verdict is not Verdict.UNKNOWN
        return {
            "objective": str(self.objective), "configuration": self.configuration, "wake": self.wake,
            "verdict": self.verdict.value, "value": self.value if known else None, "requests": self.requests,
            "seeds": self.seeds, "missed_in": self.missed_in if known else None,
            "patience_s": self.patience.seconds, "why": self.why, "before": self.before,
        }  # fmt: skip


def grouped(trials: Iterable[Trial]) -> dict[tuple[str, str], list[Trial]]:
    """The trials of each wake and configuration, without controls; those of one wake follow each other."""
    found: dict[str, dict[str, list[Trial]]] = {}
    for trial in trials:
        if not trial.is_control:
            found.setdefault(wake_name(trial), {}).setdefault(trial.configuration, []).append(trial)
    return {(wake, name): group for wake, named in found.items() for name, group in named.items()}


def patience_of(trial: Trial, given: Patience | None) -> Patience:
    """The given patience, else that of the trial's story, else the default."""
    if given is not None:
        return given
    story = trial.story
    return Patience.chosen(None, client_timeout_s=story.client_timeout_s, of_the_story_s=story.patience_s)


def judge(
    objectives: Sequence[Objective],
    trials: Sequence[Trial],
    summaries: Sequence[TrialSummary],
    *,
    patience: Patience | None = None,
    why: str = "",
) -> list[Judged]:
    """A verdict on each objective for each wake and configuration of the planned `trials`; controls are left out.

    `why` says why nothing was played, where that is so: then every verdict is unknown.
    """
    by_number = {summary.trial.number: summary for summary in summaries}
    found = []
    for (wake, configuration), group in grouped(trials).items():
        played = [by_number[trial.number] for trial in group if trial.number in by_number]
        unjudged = Judged(
            objective=objectives[0], configuration=configuration, wake=wake, verdict=Verdict.UNKNOWN,
            seeds=len(group), requests=Together(played).requests, patience=patience_of(group[0], patience),
            why=why or _doubt(group, played),
        )  # fmt: skip
        found += [_judged(replace(unjudged, objective=objective), played) for objective in objectives]
    return found


def _doubt(planned: Sequence[Trial], played: Sequence[TrialSummary]) -> str:
    """Why nothing can be said of these trials; empty: something can."""
    if len(played) < len(planned):
        missing = len(planned) - len(played)
        return "not played" if not played else f"{missing} of {plural(len(planned), 'seed')} not played"
    return no_measurement(played) or ("" if any(trial.requests for trial in played) else "no request was made")


def _judged(unjudged: Judged, played: Sequence[TrialSummary]) -> Judged:
    if unjudged.why:
        return unjudged
    objective, patience_s = unjudged.objective, unjudged.patience.seconds
    value = objective.value(Together(played), patience_s)
    return replace(
        unjudged,
        verdict=Verdict.MET if objective.is_met(value) else Verdict.MISSED,
        value=value,
        missed_in=sum(not objective.is_met(objective.value(trial, patience_s)) for trial in played),
    )
