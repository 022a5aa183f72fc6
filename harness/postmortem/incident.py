"""The incident that a postmortem is about: one of a run's configurations at one wake, and its trials."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from harness.analysis.compare import compare
from harness.analysis.differences import differences_in_words
from harness.analysis.labels import wake_name
from harness.analysis.load import Run
from harness.analysis.sentences import Failures
from harness.model.errors import UserError
from harness.model.events import Event
from harness.model.patience import Patience
from harness.model.summary import TrialSummary
from harness.postmortem.patience import answered, late


@dataclass(frozen=True, slots=True)
class Incident:
    """One configuration at one wake, over all its seeds."""

    run: Run
    summaries: Sequence[TrialSummary]
    controls: Sequence[TrialSummary]
    """The same configuration and arrivals with the compute awake, where that was run."""
    patience: Patience

    @property
    def first(self) -> TrialSummary:
        """The trial whose timeline the draft shows."""
        return self.summaries[0]

    @property
    def configuration(self) -> str:
        return self.first.trial.configuration

    @property
    def described(self) -> str:
        """The configuration and, where its pool has a name, what that means: `the fix (10+5)`."""
        pool = self.first.trial.pool
        return f"{self.configuration} ({pool.label})" if pool.name else self.configuration

    @property
    def seeds(self) -> list[int]:
        """The seeds that were measured."""
        return [summary.trial.seed for summary in self.summaries]

    @property
    def wake_latency_s(self) -> float:
        """The longest of the seeds' first wakes; 0 for a compute that never sleeps."""
        return max(summary.trial.wake_latency_s or 0.0 for summary in self.summaries)

    @property
    def can_be_played_again(self) -> bool:
        """Whether virtual time can play it: not an application that was running already."""
        application = self.run.plan.overrides.application
        return application is None or application.target is None

    @property
    def sleeps(self) -> bool:
        return any(summary.wakes for summary in self.summaries)

    def failures(self, summaries: Sequence[TrialSummary]) -> Failures:
        """How many requests of these trials fail: they do not end ok, or not within the patience."""
        return _failures(self.run, summaries, self.patience)

    def late(self, summaries: Sequence[TrialSummary]) -> int:
        """How many requests of these trials end ok, but too late."""
        return sum(late(self.patience, self.run.rows(summary.trial, "requests")) for summary in summaries)

    def measured_beside(self) -> list[str]:
        """Sentences that compare other configurations of the run with this one; empty where it is no baseline."""
        key = wake_name(self.first.trial), self.configuration
        differences = compare([self.run]).differences
        return list(differences_in_words([other for other in differences if (other.wake, other.baseline) == key]))

    def began_at(self) -> datetime | None:
        """When the burst of the trial `first` began, in UTC; None in virtual time."""
        events = self.run.of(self.first.trial, "events")
        details = events.loc[events["event"] == Event.BURST_STARTED, "detail"].dropna()
        moments = [json.loads(detail).get("utc") for detail in details]
        return datetime.fromisoformat(moments[0]) if moments and moments[0] else None


def incident(run: Run, *, configuration: str | None = None, patience_s: float | None = None) -> Incident:
    """The run's first configuration, or the given one, at the wake with the most failed requests.

    Raises `UserError` for a configuration that the run has not, and for a run that measured nothing.
    """
    woken = [summary for summary in run.summaries if not summary.trial.is_control and summary.requests]
    names = list(dict.fromkeys(summary.trial.configuration for summary in woken))
    if not names:
        raise UserError("has measured no trial with a wake", where=run.folder.name)
    labels = {summary.trial.pool.label: summary.trial.configuration for summary in woken if not summary.trial.variant}
    name = labels.get(configuration, configuration) if configuration else names[0]
    if name not in names:
        raise UserError("the run has no such configuration", where=name, allowed=", ".join(names))
    summaries = [summary for summary in woken if summary.trial.configuration == name]
    story = summaries[0].trial.story
    patience = Patience.chosen(
        patience_s, client_timeout_s=story.client_timeout_s, of_the_story_s=story.patience_s
    )  # fmt: skip
    # Each seed may draw another latency, so a wake is identified by its position in the scenario.
    by_wake: dict[int, list[TrialSummary]] = {}
    for summary in summaries:
        assert summary.trial.wake is not None
        if summary.trial.wake not in run.plan.wakes:
            raise UserError(f"trial {summary.trial.number} has a wake that is not its plan's", where=run.folder.name)
        by_wake.setdefault(run.plan.wakes.index(summary.trial.wake), []).append(summary)
    # Of several with as many failures take the last, which is the longest in most stories.
    worst = max(by_wake, key=lambda place: (_failures(run, by_wake[place], patience).failed, place))
    return Incident(
        run=run,
        summaries=sorted(by_wake[worst], key=lambda summary: summary.trial.seed),
        controls=[
            summary for summary in run.summaries if summary.trial.is_control and summary.trial.configuration == name
        ],
        patience=patience,
    )


def _failures(run: Run, summaries: Sequence[TrialSummary], patience: Patience) -> Failures:
    in_time = [answered(patience, run.rows(summary.trial, "requests")) for summary in summaries]
    return Failures(sum(int((~ok).sum()) for ok in in_time), sum(ok.size for ok in in_time))
