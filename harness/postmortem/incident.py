"""Which of a run's configurations is the one that was in production, and the trials that tell of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from harness.analysis.compare import Comparison, compare, wake_name
from harness.analysis.load import Run
from harness.model.errors import UserError
from harness.model.summary import TrialSummary


@dataclass(frozen=True, slots=True)
class Incident:
    """One configuration at one wake, over all its seeds."""

    run: Run
    summaries: Sequence[TrialSummary]
    controls: Sequence[TrialSummary]
    """The same configuration and arrivals with the compute awake, where that was run."""

    @property
    def first(self) -> TrialSummary:
        """The trial whose timeline is told."""
        return self.summaries[0]

    @property
    def configuration(self) -> str:
        return self.first.trial.configuration

    @property
    def wake_latency_s(self) -> float:
        """The longest of the seeds' first wakes; 0 for a compute that never sleeps."""
        return max(one.trial.wake_latency_s or 0.0 for one in self.summaries)

    @property
    def sleeps(self) -> bool:
        return any(one.wakes for one in self.summaries)

    def beside(self) -> list[str]:
        """What the run's other configurations made of the same wake, where this one is what they are compared with."""
        wake = wake_name(self.first)
        differences = [
            one for one in compare([self.run]).differences if (one.wake, one.baseline) == (wake, self.configuration)
        ]
        return Comparison([], differences, []).sentences()

    def began_at(self) -> datetime | None:
        """When the told trial's burst began, in UTC; None in virtual time."""
        events = self.run.of(self.first.trial, "events")
        details = events.loc[events["event"] == "burst_started", "detail"].dropna()
        moments = [json.loads(detail).get("utc") for detail in details]
        return datetime.fromisoformat(moments[0]) if moments and moments[0] else None


def incident(run: Run, *, configuration: str | None = None) -> Incident:
    """The run's first configuration, or the one asked for, at the wake that cost it the most requests.

    Raises `UserError` for a configuration that the run has not, and for a run that measured nothing.
    """
    woken = [one for one in run.summaries if not one.trial.is_control]
    names = list(dict.fromkeys(one.trial.configuration for one in woken))
    if not names:
        raise UserError("has measured no trial with a wake", where=run.folder.name)
    name = configuration or names[0]
    if name not in names:
        raise UserError("the run has no such configuration", where=name, allowed=", ".join(names))
    mine = [one for one in woken if one.trial.configuration == name]
    labels = list(dict.fromkeys(one.trial.wake_label for one in mine))
    # A profile draws a latency a seed: what all seeds of one wake have in common is their place in the scenario.
    by_wake: dict[int, list[TrialSummary]] = {}
    for one in mine:
        assert one.trial.wake is not None
        by_wake.setdefault(run.plan.wakes.index(one.trial.wake), []).append(one)
    worst = max(
        by_wake.values(), key=lambda some: (sum(one.failed for one in some), labels.index(some[0].trial.wake_label))
    )
    return Incident(
        run=run,
        summaries=sorted(worst, key=lambda one: one.trial.seed),
        controls=[one for one in run.summaries if one.trial.is_control and one.trial.configuration == name],
    )
